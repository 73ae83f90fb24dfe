"""Which tensors of a decoder have a width that may be chosen, and which widths each may have."""

from __future__ import annotations

from collections.abc import Mapping

from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import nearest
from edgebci.errors import InputError
from edgebci.export.calibration import Width
from edgebci.operators.cells import CellKind

WEIGHT_WIDTHS: tuple[Width, ...] = (4, 8, 16)
STATE_WIDTHS: tuple[Width, ...] = (8, 16)
CELL_DENSE: dict[CellKind, tuple[str, ...]] = {
    "mamba2": ("in_proj", "out_proj"),
    "s4d": ("out_proj",),
    "gru": ("ih", "hh"),
}
"""Dense layers of a cell, in the order of computation."""
_STATES: dict[CellKind, str] = {"mamba2": "ssm", "s4d": "modes", "gru": "hidden"}
"""The state that remembers; the window of a convolution and the means of a tokenizer keep their types."""


def dense_names(spec: DecoderSpec) -> dict[str, tuple[int, int]]:
    """(rows, columns) of each dense layer by its name, in the order of computation."""
    entry = "tokenizer.mix" if spec.tokenizer else "input"
    names = [entry, *(f"layers.{i}.mixer.{name}" for i in range(spec.n_layers) for name in CELL_DENSE[spec.cell])]
    costs = spec.entry.costs().dense + spec.n_layers * spec.layer.costs().dense
    readout = (spec.n_outputs, (spec.readout_lags + 1) * spec.d_model)
    return dict(zip([*names, "readout"], [*costs, readout], strict=True))


def state_names(spec: DecoderSpec) -> tuple[str, ...]:
    """The states whose width may be chosen."""
    return tuple(f"{_STATES[spec.cell]}.{i}" for i in range(spec.n_layers))


def choices(spec: DecoderSpec) -> dict[str, tuple[Width, ...]]:
    """The widths that each tensor may have, by its name."""
    return dict.fromkeys(dense_names(spec), WEIGHT_WIDTHS) | dict.fromkeys(state_names(spec), STATE_WIDTHS)


def uniform(spec: DecoderSpec, weights: Width = 8, states: Width = 16) -> dict[str, Width]:
    """The same width for all weights, and for all states; what has the default is left out."""
    found: dict[str, Width] = {} if weights == 8 else dict.fromkeys(dense_names(spec), weights)
    return found | ({} if states == 16 else dict.fromkeys(state_names(spec), states))


def narrow_states(widths: Mapping[str, Width]) -> tuple[str, ...]:
    """The states in int8."""
    states = set(_STATES.values())
    return tuple(sorted(name for name, bits in widths.items() if bits == 8 and name.partition(".")[0] in states))


def require_widths(spec: DecoderSpec, widths: Mapping[str, Width]) -> None:
    """Raise InputError where `widths` names a tensor that has no width to choose, or a width that it cannot have."""
    allowed = choices(spec)
    for name, bits in widths.items():
        if name not in allowed:
            raise InputError(f"no weights or state {name!r} whose width can be chosen, {nearest(name, [*allowed])}")
        if bits not in allowed[name]:
            raise InputError(
                f"{name} cannot have {bits} bits, allowed: {', '.join(map(str, allowed[name]))}; change the recipe"
            )
