"""The recurrence of Mamba-2 over a stretch of a stream, as matrix products over chunks, with its own gradient.

For every head, with the letters of `edgebci.training.ssm`:

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t'          y_t = h_t C_t + D x_t

Time is cut into chunks of Q frames: inside a chunk the sum over past frames is a masked Q x Q product, and only one
state per chunk is carried sequentially (Dao & Gu 2024, arXiv 2405.21060, section 6). Work and memory grow linearly
with T. Tensors stay in the order (chunk, frame, head, channel) in which the block has them: what reads and writes the
state is one product for all heads, what stays inside a chunk one product per head, and nothing is transposed.

The gradient is written out, because what autograd makes of these steps is most of the time of a plain scan. For the
decays it needs no sum over pairs of frames: with c_t the logarithm of the decay since the start of the chunk,

    dL/dc_t = y_t . dL/dy_t - x_t . dL/dx_t        and at the end of the chunk besides        h . dL/dh
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

CHUNK_FRAMES = 32
"""Q: larger chunks do more arithmetic per frame, smaller ones more steps in Python."""


def selective_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    h: Tensor,
    D: Tensor | None = None,
    chunk: int = CHUNK_FRAMES,
    input_scaled_by_dt: bool = True,
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over a stream, chunk by chunk, in the precision of `h`; differentiable once.

    Args:
        x: (b, T, H, P). dt: (b, T, H), positive. A: (H,), negative. B, C: (b, T, N).
        h: state before the first frame (b, H, P, N).
        D: direct path of each head (H,); None: none.
        chunk: Q; changes the speed, not the result.
        input_scaled_by_dt: False: h_t = exp(dt_t A) h_{t-1} + x_t B_t'.

    Returns:
        y (b, T, H, P), and the state after the last frame (b, H, P, N).

    What was tried, as training throughput of two layers on one core of a shared AMD EPYC (float32, tokens per second
    of processor time; d_model 64, d_state 16, batch 8 | d_model 256, d_state 64, batch 4; 512 frames):

        autograd, products for each head and chunk, conv1d          32,400 | 5,000    a plain chunked scan
        the same with the convolution of `training.depthwise`       35,300 | 6,100
        this gradient, conv1d                                       39,800 | 6,200
        this gradient, that convolution, Q = 16                     46,600 | 6,100
        the same, Q = 32                                            48,400 | 7,300    kept
        the same, Q = 64                                            46,000 | 7,200
        the same, Q = 128                                           32,800 | 7,300

    Adding each head's product in place (`baddbmm_`) was slower than a product and an addition: torch runs it chunk
    by chunk where the head is a slice. What is left at the larger size is matrix products for more than half.
    """
    with torch.autocast(h.device.type, enabled=False):
        x, dt, B, C = (v.to(h.dtype) for v in (x, dt, B, C))
        written = x * dt.unsqueeze(-1) if input_scaled_by_dt else x
        # A padded frame has no decay and no input, and so leaves the state as it is.
        padded = (_padded(v, chunk) for v in (written, dt * A, B, C))
        y, h = _ChunkedScan.apply(*padded, h, chunk)  # type: ignore[no-untyped-call]
        y = y[:, : x.shape[1]]
        return (y if D is None else torch.addcmul(y, x, D.unsqueeze(-1))), h


def _padded(value: Tensor, chunk: int) -> Tensor:
    """(b, T, ...) with T filled up by zeros to whole chunks."""
    missing = -value.shape[1] % chunk
    return functional.pad(value, [0, 0] * (value.dim() - 2) + [0, missing]) if missing else value


class _ChunkedScan(torch.autograd.Function):
    """h_t = exp(s_t) h_{t-1} + x_t B_t', y_t = h_t C_t over whole chunks; n = b * chunks below."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, steps: Tensor, B: Tensor, C: Tensor, h: Tensor, chunk: int
    ) -> tuple[Tensor, Tensor]:
        shape, heads = x.shape, h.shape[1]
        x, steps, B, C = (v.reshape(-1, chunk, *v.shape[2:]) for v in (x, steps, B, C))
        log_decay = steps.cumsum(1)  # (n, Q, H), since the start of the chunk
        decays = _decays_between(log_decay)
        to_end = (log_decay[:, -1:] - log_decay).exp_()
        added = (x * to_end.unsqueeze(-1)).flatten(2).transpose(1, 2) @ B  # (n, H P, N)
        states = _carried(h, log_decay[:, -1].exp(), added)  # before each chunk, and after the last
        before = states[:, :-1].flatten(0, 1).flatten(1, 2)  # (n, H P, N)
        products = (C @ B.transpose(1, 2)).tril_()
        y = (C @ before.transpose(1, 2)).reshape(x.shape).mul_(log_decay.exp().unsqueeze(-1))
        for head in range(heads):
            y[:, :, head] += (decays[:, head] * products) @ x[:, :, head]
        ctx.save_for_backward(x, B, C, y, log_decay, decays, products, states)
        return y.reshape(shape), states[:, -1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dh: Tensor) -> tuple[Tensor | None, ...]:
        x, B, C, y, log_decay, decays, products, states = ctx.saved_tensors
        shape, batch = dy.shape, len(dh)
        dy = dy.reshape(x.shape)
        before = states[:, :-1].flatten(0, 1).flatten(1, 2)
        end_decay = log_decay[:, -1].exp()
        to_end = (log_decay[:, -1:] - log_decay).exp_().unsqueeze(-1)
        read = (dy * log_decay.exp().unsqueeze(-1)).flatten(2)  # (n, Q, H P)
        dstates = _carried(dh, end_decay, read.transpose(1, 2) @ C, backwards=True)
        dafter = dstates[:, 1:].flatten(0, 1).flatten(1, 2)  # of the state after each chunk (n, H P, N)
        dx = (B @ dafter.transpose(1, 2)).reshape(x.shape).mul_(to_end)
        dproducts = torch.zeros_like(products)
        for head in range(x.shape[2]):
            seen = decays[:, head] * products
            dx[:, :, head] += seen.transpose(1, 2) @ dy[:, :, head]
            dproducts.addcmul_(decays[:, head], dy[:, :, head] @ x[:, :, head].transpose(1, 2))
        dproducts.tril_()
        dC = torch.baddbmm(read @ before, dproducts, B)
        dB = torch.baddbmm((x * to_end).flatten(2) @ dafter, dproducts.transpose(1, 2), C)
        dlog_decay = (dy * y).sum(-1) - (x * dx).sum(-1)  # (n, Q, H)
        dlog_decay[:, -1] += (states[:, 1:] * dstates[:, 1:]).sum((-1, -2)).flatten(0, 1)
        dsteps = dlog_decay.flip(1).cumsum(1).flip(1)
        frames = (batch, shape[1], -1)
        return dx.reshape(shape), dsteps.reshape(frames), dB.reshape(frames), dC.reshape(frames), dstates[:, 0], None


def _decays_between(log_decay: Tensor) -> Tensor:
    """Decay from frame j (excluded) to frame i >= j: (n, Q, H) to (n, H, Q, Q); ones where j > i."""
    columns = log_decay.transpose(1, 2).contiguous()
    # Clamped before exp: where j > i the difference is positive and could overflow.
    return (columns.unsqueeze(-1) - columns.unsqueeze(-2)).clamp_(max=0).exp_()


def _carried(h: Tensor, decay: Tensor, added: Tensor, backwards: bool = False) -> Tensor:
    """States (b, chunks + 1, H, P, N): h, and after each chunk its decay (n, H) times the last one plus what it added.

    Backwards, h is that after the last chunk, and time runs to the first.
    """
    decay = decay.reshape(len(h), -1, h.shape[1], 1, 1)
    added = added.reshape(len(h), -1, *h.shape[1:])
    chunks = added.shape[1]
    states = h.new_empty(len(h), chunks + 1, *h.shape[1:])
    states[:, chunks if backwards else 0] = h
    for chunk in reversed(range(chunks)) if backwards else range(chunks):
        last, following = (chunk + 1, chunk) if backwards else (chunk, chunk + 1)
        torch.addcmul(added[:, chunk], decay[:, chunk], states[:, last], out=states[:, following])
    return states
