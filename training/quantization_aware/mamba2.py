"""The twin of `edgebci.operators.mamba2.QuantizedMamba2`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edgebci.block_spec import BlockSpec
from edgebci.training.quantization_aware.cell import Tap
from edgebci.training.quantization_aware.counting import Tensors, Values
from edgebci.training.quantization_aware.dense import Arrays, Dense, rms_norm

_IN, _OUT = Dense("in_proj", "in_proj.weight"), Dense("out_proj", "out_proj.weight")
_LARGEST_TAP = 127
_STEPS = ("conv1d.weight_scale", "conv1d.scale", "ssm_scale")


@dataclass(frozen=True)
class Mamba2Twin:
    """q -> in_proj -> convolution -> recurrence -> q(rms_norm) -> out_proj."""

    block: BlockSpec
    dense: tuple[Dense, ...] = (_IN, _OUT)
    input_step: str = "in_proj.act_scale"
    fixed: tuple[str, ...] = ()

    def starts(self, tensors: Arrays) -> Arrays:
        """Taps, the convolution's input, h."""
        return {name: tensors[name] for name in _STEPS}

    def state_steps(self, values: Values) -> dict[str, Tensor]:
        """One for each channel, and for each head."""
        return {"conv": values.steps["conv1d.scale"][:, None], "ssm": values.steps["ssm_scale"][:, None, None]}

    def run(self, values: Values, q: Tensor, states: Tensors, tap: Tap) -> tuple[Tensor, dict[str, Tensor]]:
        """See `TwinCell.run`."""
        block, weights = self.block, values.weights
        z, xbc, dt = torch.split(_IN(values, q), [block.d_inner, block.conv_dim, block.n_heads], dim=-1)
        u, conv = self._convolution(values, xbc, states["conv"])
        tap("conv.next", conv)
        x, B, C = torch.split(u, [block.d_inner, block.d_state, block.d_state], dim=-1)
        x = x.reshape(*x.shape[:2], block.n_heads, block.headdim)
        h = self._scan(values, x, B, functional.softplus(dt + weights["dt_bias"]), states["ssm"])
        tap("ssm.next", h)
        y = (C[:, :, None, None] * h).sum(-1) * values.steps["ssm_scale"][:, None] + weights["D"][:, None] * x
        gated = rms_norm(y.flatten(2) * functional.silu(z), weights["norm.weight"], block.norm_epsilon)
        gated_q = _OUT.quantize(values, gated)
        tap("gated_q", gated_q)
        return _OUT(values, gated_q), {"conv": conv[:, -1], "ssm": h[:, -1]}

    def _convolution(self, values: Values, xbc: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Active channels (b, T, conv_dim), and the last inputs after each step (b, T, conv_dim, taps - 1)."""
        xq = values.quantized(xbc, "conv1d.scale", values.states["conv"])
        step, taps = values.steps["conv1d.weight_scale"], _taps(values)
        windows = torch.cat([before, xq.transpose(1, 2)], dim=-1).unfold(-1, self.block.d_conv, 1).transpose(1, 2)
        sums = (windows * taps).sum(-1) * (values.steps["conv1d.scale"] * step)
        return functional.silu(sums + values.weights["conv1d.bias"]), windows[..., 1:]

    def _scan(self, values: Values, x: Tensor, B: Tensor, dt: Tensor, h: Tensor) -> Tensor:
        """Counts of h after each step (b, T, H, P, N): a step needs the rounded state of the one before."""
        decay = (dt * _rates(values))[..., None, None]
        injected = ((dt[..., None] * x) * (1.0 / values.steps["ssm_scale"])[:, None])[..., None] * B[:, :, None, None]
        limits, after = values.states["ssm"], []
        for a, u in zip(decay.exp().unbind(1), injected.unbind(1), strict=True):
            h = values.count(h * a + u, "ssm_scale", limits)
            after.append(h)
        return torch.stack(after, dim=1)

    def tensors(self, values: Values) -> dict[str, Tensor]:
        """See `TwinCell.tensors`."""
        weights, steps = values.weights, values.steps
        same = {name: weights[name] for name in ("conv1d.bias", "dt_bias", "D", "norm.weight")}
        own = {"conv1d.weight": _taps(values).to(torch.int8), "A": _rates(values)} | {
            name: steps[name] for name in _STEPS
        }
        return _IN.tensors(values) | _OUT.tensors(values) | own | same


def _taps(values: Values) -> Tensor:
    """Counts of the convolution's weights (conv_dim, d_conv)."""
    return values.weight(values.weights["conv1d.weight"][:, 0], "conv1d.weight_scale", _LARGEST_TAP)


def _rates(values: Values) -> Tensor:
    """A (n_heads,), rounded once to float32 as in export."""
    return (-values.weights["A_log"].double().exp()).float()
