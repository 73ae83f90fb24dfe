"""Mamba-2: one selective state-space block, as a parallel scan for training and as a step for the implant.

Glossary (letters and parameter names are those of Mamba-2, Dao & Gu 2024, arXiv 2405.21060, and of `mamba_ssm.Mamba2`
with ngroups = 1, whose state dict loads into `Mamba2` unchanged):

    b  streams in a batch            T  frames in a stream             H  heads (n_heads)
    P  headdim, channels of a head   N  d_state, size of one state     Q  frames in one chunk of the scan
    z  gate (d_inner)                x  input of the recurrence        B, C  how the state is written and read (N)
    dt step size of a head, > 0      A  decay rate of a head, < 0      D  direct path of a head
    h  state (H, P, N)

One step, for every head:

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t'          y_t = h_t C_t + D x_t

and a whole block, from u_t (d_model) to the same width:

    z, xBC, dt = in_proj(u)     xBC = silu(conv1d(xBC))     dt = softplus(dt + dt_bias)     A = -exp(A_log)
    out = out_proj(rms_norm(y * silu(z)) * norm.weight)

The scan cuts time into chunks of Q frames: inside a chunk the sum over past frames is a masked Q x Q product, and only
one state per chunk is carried sequentially. Work and memory grow linearly with T.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebci.decoder_spec import DecoderSpec

CHUNK_FRAMES = 32
"""Q: larger chunks do more arithmetic per frame, smaller ones more steps in Python."""


class BlockState(NamedTuple):
    """What one block remembers of a stream."""

    conv: Tensor
    """Last inputs of the convolution, oldest first (b, conv_dim, d_conv - 1)."""
    ssm: Tensor
    """h (b, H, P, N)."""


def selective_scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor, chunk: int = CHUNK_FRAMES
) -> tuple[Tensor, Tensor]:
    """Run the recurrence over a stream, chunk by chunk.

    Args:
        x: (b, T, H, P). dt: (b, T, H), positive. A: (H,), negative. B, C: (b, T, N).
        h: state before the first frame (b, H, P, N).
        chunk: Q; changes the speed, not the result.

    Returns:
        y without the direct path (b, T, H, P), and the state after the last frame (b, H, P, N).
    """
    frames = x.shape[1]
    x, dt, B, C = (_in_chunks(v, chunk) for v in (x, dt, B, C))
    # Logarithm of the decay from the start of a chunk to each frame; a padded frame has dt = 0: no decay, no input.
    log_decay = (dt * A).transpose(2, 3).cumsum(-1)  # (b, chunks, H, Q)
    dtx = (dt.unsqueeze(-1) * x).transpose(2, 3)  # (b, chunks, H, Q, P)
    inside = _decay_between(log_decay) * (C @ B.transpose(-1, -2)).unsqueeze(2)
    to_end = (log_decay[..., -1:] - log_decay).exp().unsqueeze(-1)
    written = (dtx * to_end).transpose(-1, -2) @ B.unsqueeze(2)  # (b, chunks, H, P, N)
    before, h = _carry(written, log_decay[..., -1].exp(), h)
    read = C.unsqueeze(2) @ before.transpose(-1, -2)  # (b, chunks, H, Q, P)
    y = inside @ dtx + read * log_decay.exp().unsqueeze(-1)
    return y.transpose(2, 3).flatten(1, 2)[:, :frames], h


def _in_chunks(value: Tensor, chunk: int) -> Tensor:
    """(b, T, ...) to (b, chunks, Q, ...), zero-padded at the end."""
    missing = -value.shape[1] % chunk
    padding = [0, 0] * (value.dim() - 2) + [0, missing]
    padded = functional.pad(value, padding)
    return padded.reshape(len(value), -1, chunk, *value.shape[2:])


def _decay_between(log_decay: Tensor) -> Tensor:
    """exp of the summed log decay from frame j (excluded) to frame i, 0 where j > i: (..., Q) to (..., Q, Q)."""
    difference = log_decay.unsqueeze(-1) - log_decay.unsqueeze(-2)
    future = torch.ones(difference.shape[-2:], dtype=torch.bool, device=difference.device).triu(1)
    # Masked before exp: the upper triangle is positive and could overflow, and inf * 0 would poison the gradient.
    return difference.masked_fill(future, -math.inf).exp()


def _carry(written: Tensor, decay: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """State before each chunk (b, chunks, H, P, N), and after the last."""
    before = []
    for chunk in range(written.shape[1]):
        before.append(h)
        h = h * decay[:, chunk, :, None, None] + written[:, chunk]
    return torch.stack(before, dim=1), h


class GatedRMSNorm(nn.Module):
    """rms_norm(y * silu(z)) * weight, over the last axis."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        """(..., width) and its gate to (..., width)."""
        return functional.rms_norm(y * functional.silu(z), self.weight.shape, self.weight, self.epsilon)


class Mamba2(nn.Module):
    """One block, without the residual path around it; sizes from a DecoderSpec, of which only the layer's are read."""

    def __init__(self, spec: DecoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.in_proj = nn.Linear(spec.d_model, spec.d_in_proj, bias=False)
        self.conv1d = nn.Conv1d(spec.conv_dim, spec.conv_dim, spec.d_conv, groups=spec.conv_dim)
        self.dt_bias = nn.Parameter(torch.zeros(spec.n_heads))
        self.A_log = nn.Parameter(torch.zeros(spec.n_heads))
        self.D = nn.Parameter(torch.ones(spec.n_heads))
        self.norm = GatedRMSNorm(spec.d_inner, spec.norm_epsilon)
        self.out_proj = nn.Linear(spec.d_inner, spec.d_model, bias=False)

    def set_time_constants(self, shortest_frames: float, longest_frames: float) -> None:
        """Spread the heads' time constants 1 / (dt |A|) geometrically over a range, in frames.

        A is -1, so a head starts as an exponential average of unit gain. `mamba_ssm` starts from random dt and A.
        """
        time_constants = torch.logspace(
            math.log10(shortest_frames), math.log10(longest_frames), self.spec.n_heads, dtype=torch.float64
        )
        with torch.no_grad():
            self.A_log.zero_()
            self.dt_bias.copy_(torch.expm1(1 / time_constants).log())  # the inverse of softplus

    def initial_state(self, batch: int) -> BlockState:
        """The state of a stream that has not begun: zeros."""
        spec, weight = self.spec, self.out_proj.weight
        return BlockState(
            conv=weight.new_zeros(batch, spec.conv_dim, spec.d_conv - 1),
            ssm=weight.new_zeros(batch, spec.n_heads, spec.headdim, spec.d_state),
        )

    def scan(self, u: Tensor, state: BlockState | None = None) -> tuple[Tensor, BlockState]:
        """A stretch of a stream (b, T, d_model) and the state before it, to outputs (b, T, d_model) and state after."""
        state = state or self.initial_state(u.shape[0])
        z, xBC, dt = self._split(self.in_proj(u))
        window = torch.cat([state.conv, xBC.transpose(1, 2)], dim=-1)
        x, B, C = self._convolved(self.conv1d(window).transpose(1, 2))
        y, ssm = selective_scan(x, functional.softplus(dt + self.dt_bias), -self.A_log.exp(), B, C, state.ssm)
        y = (y + self.D.unsqueeze(-1) * x).flatten(-2)
        return self.out_proj(self.norm(y, z)), BlockState(window[..., 1 - self.spec.d_conv :], ssm)

    def step(self, u: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """One frame (b, d_model) and the state before it, to the output (b, d_model) and the state after it."""
        z, xBC, dt = self._split(self.in_proj(u))
        window = torch.cat([state.conv, xBC.unsqueeze(-1)], dim=-1)
        x, B, C = self._convolved(self.conv1d(window).squeeze(-1))
        dt = functional.softplus(dt + self.dt_bias)
        decay = (dt * -self.A_log.exp())[..., None, None].exp()
        h = decay * state.ssm + (dt.unsqueeze(-1) * x).unsqueeze(-1) * B[:, None, None]
        y = ((h * C[:, None, None]).sum(-1) + self.D.unsqueeze(-1) * x).flatten(-2)
        return self.out_proj(self.norm(y, z)), BlockState(window[..., 1:], h)

    def forward(self, u: Tensor) -> Tensor:
        """A whole stream from its beginning, (b, T, d_model) to (b, T, d_model)."""
        return self.scan(u)[0]

    def _split(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spec = self.spec
        z, xBC, dt = torch.split(projected, [spec.d_inner, spec.conv_dim, spec.n_heads], dim=-1)
        return z, xBC, dt

    def _convolved(self, xBC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spec = self.spec
        x, B, C = torch.split(functional.silu(xBC), [spec.d_inner, spec.d_state, spec.d_state], dim=-1)
        return x.reshape(*x.shape[:-1], spec.n_heads, spec.headdim), B, C


def spread_time_constants(model: nn.Module, time_constants_s: tuple[float, float], frame_rate_hz: float) -> None:
    """Set the time constants of every block in `model`, from shortest to longest, in seconds."""
    for block in model.modules():
        if isinstance(block, Mamba2):
            block.set_time_constants(*(length_s * frame_rate_hz for length_s in time_constants_s))
