"""The twin of `edgebci.operators.gru.QuantizedGru`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edgebci.block_spec import BlockSpec
from edgebci.training.quantization_aware.cell import Tap
from edgebci.training.quantization_aware.counting import INT8, Tensors, Values
from edgebci.training.quantization_aware.dense import Arrays, Dense

_IH = Dense("ih", "gru.weight_ih_l0", "gru.bias_ih_l0")
_HH = Dense("hh", "gru.weight_hh_l0", "gru.bias_hh_l0")
_HIDDEN = "hidden_scale"


@dataclass(frozen=True)
class GruTwin:
    """q -> ih, h -> q -> hh, both -> step; the step of h is fixed, since h cannot leave [-1, 1]."""

    block: BlockSpec
    dense: tuple[Dense, ...] = (_IH, _HH)
    input_step: str = "ih.act_scale"
    fixed: tuple[str, ...] = (_HIDDEN,)

    def starts(self, _: Arrays) -> Arrays:
        """Nothing beside its dense layers."""
        return {}

    def state_steps(self, values: Values) -> dict[str, Tensor]:
        """One for all units."""
        return {"hidden": values.steps[_HIDDEN]}

    def run(self, values: Values, q: Tensor, states: Tensors, tap: Tap) -> tuple[Tensor, dict[str, Tensor]]:
        """See `TwinCell.run`."""
        step, h = values.steps[_HIDDEN], states["hidden"]
        ratio, hh, before, after = step / values.steps["hh.act_scale"], _HH.function(values), [], []
        for p in _IH(values, q).unbind(1):
            seen = values.count(h * ratio, "hh.act_scale", INT8)
            h = values.count(_moved(p, hh(seen), h * step) * (1.0 / step), _HIDDEN, values.states["hidden"])
            before.append(seen)
            after.append(h)
        hidden = torch.stack(after, dim=1)
        tap("hidden_q", torch.stack(before, dim=1))
        tap("hidden.next", hidden)
        return hidden * step, {"hidden": hidden[:, -1]}

    def tensors(self, values: Values) -> dict[str, Tensor]:
        """See `TwinCell.tensors`."""
        return _IH.tensors(values) | _HH.tensors(values) | {_HIDDEN: values.steps[_HIDDEN]}


def _moved(p: Tensor, s: Tensor, h: Tensor) -> Tensor:
    """n + z (h - n) for p and s (b, 3 H) and h (b, H)."""
    p_reset, p_update, p_new = p.chunk(3, dim=-1)
    s_reset, s_update, s_new = s.chunk(3, dim=-1)
    new = torch.tanh(p_new + torch.sigmoid(p_reset + s_reset) * s_new)
    return new + torch.sigmoid(p_update + s_update) * (h - new)
