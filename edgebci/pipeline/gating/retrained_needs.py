"""How many seeds and minutes of test data would find a loss of retrained decoders, from what a simulated test showed.

The variance of a loss over retrained decoders has two parts. That of the blocks falls with test time and, as far as
seeds err apart from each other, with their number. That of the seeds, of how well a recipe happens to train, falls with
their number only: so for few seeds no amount of test data is enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import norm, t

from edgebci.gating_statistics import FEWEST_SEEDS, POWER

SEEDS = (5, 10, 20)
LONGEST_MINUTES = 1440
BLOCK_S = 20.0
"""The longest of the three block lengths, of which the degrees of freedom are the fewest."""


@dataclass(frozen=True)
class Spread:
    """What made up the variance of a loss with five seeds a side.

    Fields:
        blocks: variance in R² squared that the blocks gave in `minutes` of test data.
        seeds: standard deviation of R² from seed to seed.
        level: that one test is held against.
    """

    blocks: float
    minutes: float
    seeds: float
    level: float

    def findable(self, n_seeds: int, minutes: float) -> float:
        """The loss that is found with 95 % power by so many seeds a side in so many minutes."""
        blocks = self.blocks * self.minutes / minutes * FEWEST_SEEDS / n_seeds
        seeds = 2 * self.seeds**2 / n_seeds
        degrees = max(1.5 * 60 * minutes / BLOCK_S - 1, 1.0), 2.0 * (n_seeds - 1)
        freedom = (blocks + seeds) ** 2 / (blocks**2 / degrees[0] + seeds**2 / degrees[1])
        return float((t.isf(self.level, freedom) + norm.ppf(POWER)) * math.sqrt(blocks + seeds))

    def minutes_needed(self, n_seeds: int, loss: float) -> int | None:
        """The fewest whole minutes in which the loss is found; None: not in a day."""
        if self.findable(n_seeds, LONGEST_MINUTES) > loss:
            return None
        return next(one for one in range(1, LONGEST_MINUTES + 1) if self.findable(n_seeds, one) <= loss)

    def sentence(self, loss: float, seeds: Sequence[int] = SEEDS) -> str:
        """Why retrained losses are found so seldom, and what would do."""
        own = 2 * self.seeds**2 / FEWEST_SEEDS
        needs = "; ".join(f"{n} seeds a side: {_said(self.minutes_needed(n, loss))}" for n in seeds)
        return (
            f"retrained, {FEWEST_SEEDS} seeds a side in {self.minutes:g} minutes: a loss is known to "
            f"{math.sqrt(self.blocks + own):.4f} R² (blocks {math.sqrt(self.blocks):.4f}, seeds {math.sqrt(own):.4f}), "
            f"so one of {self.findable(FEWEST_SEEDS, self.minutes):.3f} would be found with {POWER:.0%} power; for "
            f"one of {loss:g}, by calculation, {needs}"
        )


def _said(minutes: int | None) -> str:
    return "no test of a day" if minutes is None else f"about {minutes:,} minutes"
