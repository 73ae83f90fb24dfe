"""S4D: a linear state-space layer with fixed, diagonal dynamics (Gu et al. 2022, arXiv 2206.11893), as scan and step.

Every channel has d_state / 2 complex modes, computed as pairs of real numbers, so a stream keeps d_state numbers per
channel. With A = -exp(A_log) + i A_imag and the step dt of a channel (zero-order hold):

    h_t = exp(dt A) h_{t-1} + x_t        y_t = 2 Re(sum over modes of C (exp(dt A) - 1) / A h_t) + D x_t

and the layer is y -> glu(out_proj(gelu(y))). The scan cuts time into chunks, as that of Mamba-2 does: a Toeplitz
product inside a chunk, and one state per chunk carried on; there is no FFT, and a stream may be cut anywhere.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebci.block_spec import BlockSpec

CHUNK_FRAMES = 32
"""Frames of one Toeplitz product; changes the speed, not the result."""


class S4DState(NamedTuple):
    """What a layer remembers of a stream."""

    modes: Tensor
    """h: real parts, then imaginary parts (b, d_model, d_state)."""


class Kernels(NamedTuple):
    """What the parameters make of a chunk of Q frames."""

    inside: Tensor
    """What frame j adds to output i (d, Q, Q)."""
    read: Tensor
    """What the modes before the chunk add to each output (d, Q, d_state)."""
    real: Tensor
    """exp(dt A q) for q from 0 to Q (d, Q + 1, modes)."""
    imaginary: Tensor
    """Its imaginary part."""


class S4D(nn.Module):
    """One layer of width d_model; of the spec, only d_model and d_state (even) are read."""

    def __init__(self, spec: BlockSpec) -> None:
        super().__init__()
        width, modes = spec.d_model, spec.d_state // 2
        self.spec = spec
        # The start that the paper calls S4D-Lin, with time constants from 10 to 1000 frames over the channels.
        self.dt_log = nn.Parameter(torch.linspace(math.log(1e-3), math.log(1e-1), width))
        self.A_log = nn.Parameter(torch.full((width, modes), math.log(0.5)))
        self.A_imag = nn.Parameter(math.pi * torch.arange(modes, dtype=torch.float32).repeat(width, 1))
        self.C = nn.Parameter(torch.randn(width, modes, 2) * math.sqrt(0.5))
        self.D = nn.Parameter(torch.ones(width))
        self.out_proj = nn.Linear(width, 2 * width)

    def initial_state(self, batch: int) -> S4DState:
        """The state of a stream that has not begun: zeros."""
        return S4DState(self.D.new_zeros(batch, self.spec.d_model, 2 * self.A_log.shape[1]))

    def scan(self, u: Tensor, state: S4DState | None = None) -> tuple[Tensor, S4DState]:
        """A stretch of a stream (b, T, d_model) and the state before it, to the same width and the state after it."""
        state = state or self.initial_state(len(u))
        if not u.shape[1]:
            return u, state
        h, outputs = state.modes, []
        kernels = self._kernels(min(CHUNK_FRAMES, u.shape[1]))
        for piece in torch.split(u, CHUNK_FRAMES, dim=1):
            y, h = _chunk(piece, h, kernels)
            outputs.append(y)
        return self._mixed(torch.cat(outputs, dim=1) + self.D * u), S4DState(h)

    def step(self, u: Tensor, state: S4DState) -> tuple[Tensor, S4DState]:
        """One frame (b, d_model) and the state before it, to the same width and the state after it."""
        decay, turn = self._powers(torch.ones(1, dtype=u.dtype, device=u.device))
        h = _turned(state.modes, decay[:, 0], turn[:, 0])
        h = torch.cat([h[..., : decay.shape[-1]] + u.unsqueeze(-1), h[..., decay.shape[-1] :]], dim=-1)
        y = (h * self._readout()).sum(-1)
        return self._mixed(y + self.D * u), S4DState(h)

    def forward(self, u: Tensor) -> Tensor:
        """A whole stream from its beginning, (b, T, d_model) to the same."""
        return self.scan(u)[0]

    def _mixed(self, y: Tensor) -> Tensor:
        return functional.glu(self.out_proj(functional.gelu(y)), dim=-1)

    def _kernels(self, frames: int) -> Kernels:
        """What every chunk of up to `frames` frames needs."""
        ages = torch.arange(frames + 1, dtype=self.D.dtype, device=self.D.device)
        real, imaginary = self._powers(ages)
        weight_real, weight_imaginary = self._readout().unsqueeze(1).chunk(2, dim=-1)
        from_real = weight_real * real + weight_imaginary * imaginary
        from_imaginary = weight_imaginary * real - weight_real * imaginary
        inside = _toeplitz(from_real.sum(-1)[:, :frames])
        return Kernels(inside, torch.cat([from_real, from_imaginary], dim=-1)[:, 1:], real, imaginary)

    def _powers(self, exponents: Tensor) -> tuple[Tensor, Tensor]:
        """exp(dt A q) for q (Q,), as real and imaginary part (d, Q, modes)."""
        dt = self.dt_log.exp()[:, None, None] * exponents[:, None]
        size = (-self.A_log.exp().unsqueeze(1) * dt).exp()
        angle = self.A_imag.unsqueeze(1) * dt
        return size * angle.cos(), size * angle.sin()

    def _readout(self) -> Tensor:
        """What real and imaginary part of each mode add to y (d, d_state): of 2 C (exp(dt A) - 1) / A."""
        decay, turn = (part[:, 0] for part in self._powers(self.dt_log.new_ones(1)))
        a_real, a_imaginary = -self.A_log.exp(), self.A_imag
        size = a_real.square() + a_imaginary.square()
        held_real = ((decay - 1) * a_real + turn * a_imaginary) / size
        held_imaginary = (turn * a_real - (decay - 1) * a_imaginary) / size
        c_real, c_imaginary = self.C.unbind(-1)
        real = c_real * held_real - c_imaginary * held_imaginary
        imaginary = c_real * held_imaginary + c_imaginary * held_real
        return 2 * torch.cat([real, -imaginary], dim=-1)


def _chunk(x: Tensor, h: Tensor, kernels: Kernels) -> tuple[Tensor, Tensor]:
    """Outputs of one chunk (b, Q, d) without the direct path, and the modes after it, from those before (b, d, N)."""
    frames, channels_first = x.shape[1], x.permute(2, 0, 1)
    inside = channels_first @ kernels.inside[:, :frames, :frames]  # (d, b, Q)
    before = h.transpose(0, 1) @ kernels.read[:, :frames].transpose(1, 2)
    real, imaginary = kernels.real, kernels.imaginary
    ages = torch.cat([real, imaginary], dim=-1)[:, :frames].flip(1)
    written = (channels_first @ ages).transpose(0, 1)
    return (inside + before).permute(1, 2, 0), _turned(h, real[:, frames], imaginary[:, frames]) + written


def _turned(h: Tensor, real: Tensor, imaginary: Tensor) -> Tensor:
    first, second = h.chunk(2, dim=-1)
    return torch.cat([real * first - imaginary * second, imaginary * first + real * second], dim=-1)


def _toeplitz(kernel: Tensor) -> Tensor:
    """kernel (d, Q) to (d, Q, Q) with [j, i] = kernel[i - j] where i >= j, else 0."""
    frames = kernel.shape[-1]
    steps = torch.arange(frames, device=kernel.device)
    lag = steps - steps.unsqueeze(1)
    return kernel[:, lag.clamp(min=0)] * (lag >= 0)
