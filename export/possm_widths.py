"""Which tensors of a decoder of spikes have a width that may be chosen: the weights of its dense layers.

Tables of tokens stay in int8, the backbone's states in int16 and what is remembered in int8.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgebci.documents import nearest
from edgebci.errors import InputError
from edgebci.export.calibration import Width
from edgebci.export.widths import CELL_DENSE
from edgebci.possm_spec import PossmStepSpec


def possm_dense_names(spec: PossmStepSpec) -> dict[str, tuple[int, int]]:
    """(rows, columns) of each dense layer by its name, in the order of computation."""
    gru = spec.backbone == "gru"
    before = ["encoder.up", "encoder.down", *([] if gru else ["input"])]
    layers = [(i, name) for i in range(spec.n_layers) for name in CELL_DENSE[spec.backbone]]
    tensors = {name: f"{name}.weight" for name in before}
    tensors |= {
        f"layers.{i}.mixer.{name}": f"layers.{i}.weight_{name}" if gru else f"layers.{i}.mixer.{name}.weight"
        for i, name in layers
    }
    tensors |= {name: f"{name}.weight" for name in ("context", "decoder.up", "decoder.down", "readout")}
    shapes = spec.parameter_shapes()
    return {name: (shapes[tensor][0], shapes[tensor][1]) for name, tensor in tensors.items()}


def require_possm_widths(spec: PossmStepSpec, widths: Mapping[str, Width]) -> None:
    """Raise InputError where `widths` names a tensor that has no width to choose."""
    allowed = possm_dense_names(spec)
    for name in widths:
        if name not in allowed:
            raise InputError(f"no weights {name!r} whose width can be chosen, {nearest(name, [*allowed])}")
