"""Carrying the ranges of the inputs to a result, and saying which input makes its range wide.

A formula is written once, over numbers: it asks `pick` for one value of each Quantity that it uses. Evaluating it with
different picks gives the typical result, both ends, and the effect of one input at a time. Nothing else has to know
which inputs a formula has, and an input that stands in it twice is varied once.

Each formula here rises or falls steadily with each input, so its extremes lie at ends of the inputs; tests show for
every formula that values drawn inside the ranges stay inside the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgebci.documents import Document
from edgebci.quantity import Quantity

Pick = Callable[[Quantity], float]
Formula = Callable[[Pick], float]


class Influence(Document):
    """An input of a result, and its share of the result's spread when inputs are varied one at a time.

    at_low, at_high: the result with this input at its ends and all others typical.
    """

    input: str
    share: float
    at_low: float
    at_high: float


class Estimate(Document):
    """A modelled result low <= typical <= high, with its inputs, the most influential first."""

    low: float
    typical: float
    high: float
    unit: str
    inputs: tuple[Influence, ...] = ()

    @property
    def dominated_by(self) -> Influence | None:
        """The input that spreads the result most; None if no input has a range."""
        return self.inputs[0] if self.inputs and self.inputs[0].share > 0 else None


def typical(quantity: Quantity) -> float:
    """Pick the typical value."""
    return quantity.typical


def estimate(formula: Formula, unit: str, names: Mapping[int, str]) -> Estimate:
    """Evaluate `formula` over the ranges of the quantities that it picks.

    Args:
        formula: monotone in each of its inputs.
        unit: of the result.
        names: the dotted path of each quantity by its `id` (see `edgebci.quantity.quantities`).
    """
    inputs = inputs_of(formula)
    ends = {id(quantity): _effect(formula, quantity) for quantity in inputs}
    total = sum(abs(at_high - at_low) for at_low, at_high in ends.values())
    influences = [
        Influence(
            input=names[key], share=abs(at_high - at_low) / total if total else 0.0, at_low=at_low, at_high=at_high
        )
        for key, (at_low, at_high) in ends.items()
    ]
    rising = {key: at_high >= at_low for key, (at_low, at_high) in ends.items()}
    return Estimate(
        low=formula(lambda q: q.low if rising[id(q)] else q.high),
        typical=formula(typical),
        high=formula(lambda q: q.high if rising[id(q)] else q.low),
        unit=unit,
        inputs=tuple(sorted(influences, key=lambda influence: -influence.share)),
    )


def inputs_of(formula: Formula) -> list[Quantity]:
    """The quantities that a formula picks, in their order."""
    seen: dict[int, Quantity] = {}

    def record(quantity: Quantity) -> float:
        seen[id(quantity)] = quantity
        return quantity.typical

    formula(record)
    return list(seen.values())


def _effect(formula: Formula, varied: Quantity) -> tuple[float, float]:
    """The result with one input at its low and at its high end, all others typical."""
    return (
        formula(lambda q: q.low if q is varied else q.typical),
        formula(lambda q: q.high if q is varied else q.typical),
    )
