"""How much larger or smaller a decoded trace became: the check of a gain that the test of losses can't replace.

A gain error s adds s * p to the error e of a decoder that decodes p, so what it loses in a frame is 2 s e p + s² p². Of
this only the small second term is sure: the first is a product of error and movement, correlated over as long as
either, and its mean in ten minutes is known no better than the baseline's own calibration is. No test of losses on
those frames can know more. But the two traces themselves differ in gain and in hardly anything else, so their ratio is
known almost exactly, and with the same weights it may differ from 1 by rounding only.

Compared are the standard deviations of both traces, not a slope of one on the other: that would shrink with any noise
that only one of the two has. The standard error is that of the circular block bootstrap, as of losses.

R is the number of comparisons that are made at once, T frames, N cells, D axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from edgebci.comparison import FEWEST_BLOCKS
from edgebci.gating_statistics import I64, PASS_LEVEL, block_length, cell_sums, widest_variance
from edgebci.metrics import F64

_ROUNDING = 1e-9
"""A standard error below it is that of sums in another order."""
_NOTHING = 1e-12
"""Of the larger variance: a trace that moves less than this stands still, and its logarithm is taken here."""


@dataclass(frozen=True, eq=False)
class Gains:
    """Change of gain on D axes in R comparisons.

    Fields:
        change: (R, D) natural logarithm of the candidate's standard deviation over the baseline's; 0.05 is 5 % more.
        standard_error: (R, D); 0 where both traces differ in nothing but gain and offset.
        freedom: (R, D) degrees of freedom of the standard error.
        n_blocks: (R,) blocks in the data.
    """

    change: F64
    standard_error: F64
    freedom: F64
    n_blocks: I64

    def p_beyond(self, limit: float) -> F64:
        """(R, D) chance of such a change, or a larger one, if it were at most the share `limit`; 1: too few blocks."""
        beyond = np.abs(self.change) - np.log1p(limit)
        sure = self.standard_error == 0
        chance = t.sf(beyond / np.where(sure, 1.0, self.standard_error), self.freedom)
        enough = (self.n_blocks >= FEWEST_BLOCKS)[:, None]
        return np.asarray(np.where(sure, np.where(beyond > 0, 0.0, 1.0), np.where(enough, chance, 1.0)))

    def interval(self) -> tuple[F64, F64]:
        """(R, D) each, the gain's two-sided 95 % interval; 1 is the baseline's."""
        reach = t.isf(PASS_LEVEL, self.freedom) * self.standard_error
        return np.exp(self.change - reach), np.exp(self.change + reach)


@dataclass(frozen=True, eq=False)
class TraceSums:
    """All that a change of gain needs of R comparisons, summed over cells of time.

    Fields:
        frames: (N,) frames in a cell.
        before, before_squared: (R, N, D) sums of the baseline's trace and of its square.
        after, after_squared: the same of the candidate's.
    """

    frames: F64
    before: F64
    before_squared: F64
    after: F64
    after_squared: F64

    @classmethod
    def of(cls, before: F64, after: F64, rate_hz: float) -> TraceSums:
        """Sum frames (T, D) of one comparison."""
        sides = [one - one.mean(axis=0) for one in (before, after)]
        first, second = ((cell_sums(one, rate_hz)[None], cell_sums(one**2, rate_hz)[None]) for one in sides)
        return cls(cell_sums(np.ones(len(before)), rate_hz), *first, *second)

    def gains(self) -> Gains:
        """Of each axis."""
        n_frames, cells = self.frames.sum(), self.frames[None, :, None]
        squares, variances = [], []
        for one, squared in ((self.before, self.before_squared), (self.after, self.after_squared)):
            mean = one.sum(axis=1, keepdims=True) / n_frames
            squares.append(squared - 2 * mean * one + mean**2 * cells)
            variances.append(squares[-1].sum(axis=1, keepdims=True) / n_frames)
        least = np.maximum(_NOTHING * np.maximum(*variances), np.finfo(float).tiny)
        first, second = (np.maximum(one, least) for one in variances)
        # To first order, what each cell adds to half the logarithm of the ratio of variances.
        each = (squares[1] / second - squares[0] / first) / (2 * n_frames)
        each -= each.mean(axis=1, keepdims=True)
        length = block_length(each.mean(axis=-1))
        variance, freedom = widest_variance(each, length)
        error = np.sqrt(variance)
        return Gains(
            change=np.asarray(np.log(second / first)[:, 0] / 2),
            standard_error=np.where(error < _ROUNDING, 0.0, error),
            freedom=freedom,
            n_blocks=(each.shape[1] // length).astype(np.int64),
        )


def gain_changes(before: F64, after: F64, rate_hz: float) -> Gains:
    """Change of gain from one trace to another, R = 1.

    Args:
        before, after: (T, D), decoded from the same frames.
        rate_hz: frames per second.
    """
    return TraceSums.of(before, after, rate_hz).gains()
