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

REALM's block (arXiv 2605.14867) is this one with four options, see BlockSpec:

    z, x = in_proj(u)     x = silu(conv1d(x))     B, C = bc_proj(x), turned with time     dt = softplus(dt_proj(x))
    h_t = exp(dt_t A) h_{t-1} + x_t B_t'          out = out_proj(y * silu(z))
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebci.block_spec import BlockSpec
from edgebci.training.depthwise import causal_convolution
from edgebci.training.rotary import TURN, increments, phases, rotate
from edgebci.training.scan_kernel import fastest_scan


class BlockState(NamedTuple):
    """What one block remembers of a stream."""

    conv: Tensor
    """Last inputs of the convolution, oldest first (b, conv_dim, d_conv - 1)."""
    ssm: Tensor
    """h (b, H, P, N)."""
    phase: Tensor
    """Phase of the next frame's rotations in parts of a turn (b, n_rotations) int64; never grows."""


class Scan(Protocol):
    """A way to compute the recurrence over a stretch; see `selective_scan`."""

    def __call__(
        self,
        x: Tensor,
        dt: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        h: Tensor,
        D: Tensor | None = None,
        *,
        input_scaled_by_dt: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """y (b, T, H, P) and the state after it."""
        ...


class Projected(NamedTuple):
    """What drives the recurrence in one frame or in many (...)."""

    x: Tensor
    """(..., H, P)."""
    B: Tensor
    """(..., N)."""
    C: Tensor
    """(..., N)."""
    dt: Tensor
    """(..., H), positive."""


class GatedRMSNorm(nn.Module):
    """rms_norm(y * silu(z)) * weight, over the last axis."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        """(..., width) and its gate to (..., width)."""
        return functional.rms_norm(y * functional.silu(z), self.weight.shape, self.weight, self.epsilon)


class Gate(nn.Module):
    """y * silu(z): a gate without the norm."""

    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        """(..., width) and its gate to (..., width)."""
        return y * functional.silu(z)


class Mamba2(nn.Module):
    """One block, without the residual path around it."""

    turn: Tensor

    def __init__(self, spec: BlockSpec, recurrence: Scan = fastest_scan) -> None:
        super().__init__()
        self.spec = spec
        self.recurrence = recurrence
        self.in_proj = nn.Linear(spec.d_model, spec.d_in_proj, bias=False)
        self.conv1d = nn.Conv1d(spec.conv_dim, spec.conv_dim, spec.d_conv, groups=spec.conv_dim)
        if spec.late_projections:
            self.bc_proj = nn.Linear(spec.d_inner, 2 * spec.d_state, bias=False)
            self.dt_proj = nn.Linear(spec.d_inner, spec.n_heads)
        else:
            self.dt_bias = nn.Parameter(torch.zeros(spec.n_heads))
        # REALM's heads decay at rates 1 to H; ours start alike and are spread by `set_time_constants`.
        rates = torch.arange(1.0, spec.n_heads + 1) if spec.late_projections else torch.ones(spec.n_heads)
        self.A_log = nn.Parameter(rates.log())
        self.D = nn.Parameter(torch.ones(spec.n_heads))
        self.norm = GatedRMSNorm(spec.d_inner, spec.norm_epsilon) if spec.gated_norm else Gate()
        self.out_proj = nn.Linear(spec.d_inner, spec.d_model, bias=False)
        self.register_buffer("turn", increments(spec.n_rotations, spec.rotary_base), persistent=False)

    def set_time_constants(self, shortest_frames: float, longest_frames: float) -> None:
        """Spread the heads' time constants 1 / (dt |A|) geometrically over a range, in frames.

        A is -1, so a head starts as an exponential average of unit gain. `mamba_ssm` starts from random dt and A.
        """
        time_constants = torch.logspace(
            math.log10(shortest_frames), math.log10(longest_frames), self.spec.n_heads, dtype=torch.float64
        )
        bias = self.dt_proj.bias if self.spec.late_projections else self.dt_bias
        with torch.no_grad():
            self.A_log.zero_()
            bias.copy_(torch.expm1(1 / time_constants).log())  # the inverse of softplus

    def initial_state(self, batch: int) -> BlockState:
        """The state of a stream that has not begun: zeros."""
        spec, weight = self.spec, self.out_proj.weight
        return BlockState(
            conv=weight.new_zeros(batch, spec.conv_dim, spec.d_conv - 1),
            ssm=weight.new_zeros(batch, spec.n_heads, spec.headdim, spec.d_state),
            phase=weight.new_zeros(batch, spec.n_rotations, dtype=torch.int64),
        )

    def scan(self, u: Tensor, state: BlockState | None = None) -> tuple[Tensor, BlockState]:
        """A stretch of a stream (b, T, d_model) and the state before it, to outputs (b, T, d_model) and state after."""
        spec, state = self.spec, state or self.initial_state(u.shape[0])
        if not u.shape[1]:
            return u, state
        z, convolved, dt = self._split(self.in_proj(u))
        window = torch.cat([state.conv.transpose(1, 2), convolved], dim=1)
        filtered = causal_convolution(window, self.conv1d.weight, cast(Tensor, self.conv1d.bias))
        phase, next_phase = phases(state.phase, self.turn, u.shape[1])
        x, B, C, dt = self._driven(filtered, dt, phase)
        A = -self.A_log.exp()
        y, ssm = self.recurrence(x, dt, A, B, C, state.ssm, self.D, input_scaled_by_dt=spec.input_scaled_by_dt)
        after = BlockState(window[:, 1 - spec.d_conv :].transpose(1, 2), ssm, next_phase)
        return self.out_proj(self.norm(y.flatten(-2), z)), after

    def step(self, u: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """One frame (b, d_model) and the state before it, to the output (b, d_model) and the state after it."""
        z, convolved, dt = self._split(self.in_proj(u))
        window = torch.cat([state.conv, convolved.unsqueeze(-1)], dim=-1)
        x, B, C, dt = self._driven(self.conv1d(window).squeeze(-1), dt, state.phase)
        decay = (dt * -self.A_log.exp())[..., None, None].exp()
        written = dt.unsqueeze(-1) * x if self.spec.input_scaled_by_dt else x
        h = decay * state.ssm + written.unsqueeze(-1) * B[:, None, None]
        y = ((h * C[:, None, None]).sum(-1) + self.D.unsqueeze(-1) * x).flatten(-2)
        next_phase = (state.phase + self.turn) % TURN
        return self.out_proj(self.norm(y, z)), BlockState(window[..., 1:], h, next_phase)

    def forward(self, u: Tensor) -> Tensor:
        """A whole stream from its beginning, (b, T, d_model) to (b, T, d_model)."""
        return self.scan(u)[0]

    def _split(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What in_proj gives, to z, the input of the convolution, and dt (no column where it is projected later)."""
        spec = self.spec
        sizes = [spec.d_inner, spec.conv_dim, spec.d_in_proj - spec.d_inner - spec.conv_dim]
        z, convolved, dt = torch.split(projected, sizes, dim=-1)
        return z, convolved, dt

    def _driven(self, convolved: Tensor, dt: Tensor, phase: Tensor) -> Projected:
        """What the convolution gave (..., conv_dim), dt of in_proj and the phase (..., R), to what drives h."""
        spec, active = self.spec, functional.silu(convolved)
        if spec.late_projections:
            x, (B, C) = active, self.bc_proj(active).chunk(2, dim=-1)
            steps = self.dt_proj(active)
        else:
            x, B, C = torch.split(active, [spec.d_inner, spec.d_state, spec.d_state], dim=-1)
            steps = dt + self.dt_bias
        if spec.rotary:
            B, C = rotate(B, phase), rotate(C, phase)
        return Projected(x.reshape(*x.shape[:-1], spec.n_heads, spec.headdim), B, C, functional.softplus(steps))


def spread_time_constants(model: nn.Module, time_constants_s: tuple[float, float], frame_rate_hz: float) -> None:
    """Set the time constants of every block in `model`, from shortest to longest, in seconds."""
    for block in model.modules():
        if isinstance(block, Mamba2):
            block.set_time_constants(*(length_s * frame_rate_hz for length_s in time_constants_s))
