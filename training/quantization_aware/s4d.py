"""The twin of `edgebci.operators.s4d.QuantizedS4D`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edgebci.block_spec import BlockSpec
from edgebci.training.quantization_aware.cell import Tap
from edgebci.training.quantization_aware.counting import Tensors, Values
from edgebci.training.quantization_aware.dense import Arrays, Dense

_OUT = Dense("out_proj", "out_proj.weight", "out_proj.bias")
_MODES = "modes"
"""Step of each mode; the quantized form keeps it inside `inject` and `read`."""


@dataclass(frozen=True)
class S4DTwin:
    """q -> modes -> q -> out_proj -> glu."""

    block: BlockSpec
    dense: tuple[Dense, ...] = (_OUT,)
    input_step: str = "act_scale"
    fixed: tuple[str, ...] = ()

    def starts(self, tensors: Arrays) -> Arrays:
        """The input, the modes."""
        return {"act_scale": tensors["act_scale"], _MODES: tensors["act_scale"] / tensors["inject"]}

    def state_steps(self, values: Values) -> dict[str, Tensor]:
        """The same for a mode's real and imaginary part."""
        return {"modes": torch.cat([values.steps[_MODES]] * 2, dim=-1)}

    def run(self, values: Values, q: Tensor, states: Tensors, tap: Tap) -> tuple[Tensor, dict[str, Tensor]]:
        """See `TwinCell.run`."""
        arrays = _arrays(values)
        after = _scan(arrays, q, states["modes"], values)
        tap("modes.next", after)
        y = (arrays["read"] * after).sum(-1) + arrays["skip"] * q
        gated_q = _OUT.quantize(values, functional.gelu(y))
        tap("gated_q", gated_q)
        return functional.glu(_OUT(values, gated_q), dim=-1), {"modes": after[:, -1]}

    def tensors(self, values: Values) -> dict[str, Tensor]:
        """See `TwinCell.tensors`."""
        return _arrays(values) | {"act_scale": values.steps["act_scale"]} | _OUT.tensors(values)


def _scan(arrays: Tensors, q: Tensor, modes: Tensor, values: Values) -> Tensor:
    """Counts of the modes after each step (b, T, d_model, 2 modes)."""
    a, b, limits, after = arrays["decay_real"], arrays["decay_imag"], values.states["modes"], []
    for u in q.unbind(1):
        real, imag = modes.chunk(2, dim=-1)
        turned = torch.cat([(a * real - b * imag) + arrays["inject"] * u[..., None], b * real + a * imag], dim=-1)
        modes = values.count(turned, _MODES, limits)
        after.append(modes)
    return torch.stack(after, dim=1)


def _arrays(values: Values) -> dict[str, Tensor]:
    """The arrays of the quantized form, computed in float64 and rounded once, as in export."""
    weights = {name: values.weights[name].double() for name in ("dt_log", "A_log", "A_imag", "C", "D")}
    rates = torch.complex(-weights["A_log"].exp(), weights["A_imag"])
    decay = torch.exp(weights["dt_log"].exp()[:, None] * rates)
    read = 2 * torch.view_as_complex(weights["C"].contiguous()) * (decay - 1) / rates
    modes, act = values.steps[_MODES].double(), values.steps["act_scale"].double()
    exact = {
        "decay_real": decay.real,
        "decay_imag": decay.imag,
        "inject": act / modes,
        "read": torch.cat([read.real * modes, -read.imag * modes], dim=1),
        "skip": weights["D"] * act,
    }
    return {name: array.float() for name, array in exact.items()}
