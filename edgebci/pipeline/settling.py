"""Does every state of a decoder come to rest in a range, or is it still growing when calibration ends?

A scale is made for the range that calibration saw. A state that grows all the time (an integrator, or an unstable one)
has none, and would saturate on the device after a while that nobody tested.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.operators.cell import F64

QUARTERS = 4
GROWTH, GROWTH_IN_ALL = 1.25, 4.0
"""From each quarter of calibration to the next, and from the first to the last. What grows linearly has 2.1, 1.5 and
1.3, and 4.3 in all; what settles with the whole of calibration as its time constant 1.9, 1.4 and 1.2, and 3.1 in all,
which the headroom of a scale covers. Behaviour that sets in later raises a state once, not each time."""
QUANTILE = 0.9
"""Of a state's magnitudes within a quarter: artefacts are rarer than a tenth of the time."""
_KEPT = 400


@dataclass
class Settling:
    """The tap of a rollout over `n_steps`; afterwards `require_settled` judges."""

    n_steps: int
    rows: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)
    """Magnitudes of each state at evenly spaced steps."""
    _seen: dict[str, int] = field(default_factory=dict)

    def __call__(self, name: str, values: F64) -> None:
        """Take one chunk (T, ...)."""
        if not name.endswith(".next"):
            return
        seen, stride = self._seen.get(name, 0), max(1, self.n_steps // (QUARTERS * _KEPT))
        kept = values[-seen % stride :: stride]
        self.rows.setdefault(name, []).append(np.abs(kept).astype(np.float32).reshape(len(kept), -1))
        self._seen[name] = seen + len(values)

    def require_settled(self) -> None:
        """Judge every state.

        Raises:
            InputError: one is not finite, or still grows; names it.
        """
        for name, parts in self.rows.items():
            magnitudes, state = np.concatenate(parts), name.removesuffix(".next")
            if not np.isfinite(magnitudes).all():
                raise InputError(f"the state {state} is not finite after calibration's frames; train the decoder again")
            if len(magnitudes) >= QUARTERS and (factor := _growth(magnitudes)) is not None:
                raise InputError(
                    f"the state {state} never settles: it still grew {factor:.2f}-fold in the last quarter of "
                    "calibration; give a longer recording to calibrate with, or train with shorter memories"
                )


def _growth(magnitudes: NDArray[np.float32]) -> float | None:
    """How much the element that grows most grew in the last quarter, if it grew in all; None where none did."""
    quarters = np.stack([np.quantile(part, QUANTILE, axis=0) for part in np.array_split(magnitudes, QUARTERS)])
    large = quarters[-1] > 0.01 * quarters[-1].max()
    steps = quarters[1:, large] / np.maximum(quarters[:-1, large], np.finfo(np.float32).tiny)
    growing = (steps >= GROWTH).all(axis=0) & (steps.prod(axis=0) >= GROWTH_IN_ALL)
    return float(steps[-1, growing].max()) if growing.any() else None
