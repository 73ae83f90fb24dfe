"""Drawing the inputs of a result at random, those of one source together.

Each input follows a triangle from low over typical to high. Inputs that cite the same source are at the same place of
their ranges: what is wrong with a source is wrong with all that was taken from it. With a fixed seed the same result
comes every time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgebci.documents import Document
from edgebci.firmware_sim.uncertainty import Formula, Pick, inputs_of
from edgebci.quantity import Quantity

DRAWS, SEED = 1000, 1
_PERCENT = (2.5, 50.0, 97.5)


class Spread(Document):
    """Percentiles and mean of a result over `draws` draws; `sources` of them were drawn independently."""

    p2_5: float
    p50: float
    p97_5: float
    mean: float
    unit: str
    draws: int
    seed: int
    sources: int


def spread(formula: Formula, unit: str, draws: int = DRAWS, seed: int = SEED) -> Spread:
    """Evaluate `formula` over random inputs."""
    inputs = inputs_of(formula)
    sources = sorted({quantity.source for quantity in inputs if quantity.low < quantity.high})
    places = np.random.default_rng(seed).random((draws, len(sources)))
    column = {source: k for k, source in enumerate(sources)}
    drawn = {id(q): triangular(q, places[:, column[q.source]]) for q in inputs if q.source in column}
    results = np.array([formula(_pick(drawn, k)) for k in range(draws)])
    p2_5, p50, p97_5 = np.percentile(results, _PERCENT)
    return Spread(
        p2_5=float(p2_5),
        p50=float(p50),
        p97_5=float(p97_5),
        mean=float(results.mean()),
        unit=unit,
        draws=draws,
        seed=seed,
        sources=len(sources),
    )


def triangular(quantity: Quantity, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values of a triangular distribution at cumulative probabilities `places`, in [0, 1]."""
    low, mode, high = quantity.low, quantity.typical, quantity.high
    if low == high:
        return np.full_like(places, mode)
    width, below = high - low, (mode - low) / (high - low)
    rising = low + np.sqrt(places * width * (mode - low))
    falling = high - np.sqrt((1.0 - places) * width * (high - mode))
    return np.where(places < below, rising, falling)


def _pick(drawn: dict[int, NDArray[np.float64]], k: int) -> Pick:
    return lambda q: float(drawn[id(q)][k]) if id(q) in drawn else q.typical
