"""What a gate allows: limits of exact counters, of times, and of what a simulator says; and the rules that apply them.

Counters have no noise, so their limits are exact. Times have, so one is refused only if it grew by more than a share
AND by more than an absolute amount, where the share is at least as wide as the noise that was measured beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
import scipy
from pydantic import Field

from edgebci.documents import Document
from edgebci.metrics import F64

FALSE_ALARM_LEVEL = 0.01
"""Of the whole gate, over everything that has noise; `edgebci gate --self-test` measures what it keeps of it."""


class Outcome(StrEnum):
    """Of one check, and of the gate."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"
    NOT_GATED = "not gated"


class Counters(Document):
    """What is counted without noise, of one decoder step and its program."""

    instructions_per_step: float = Field(ge=0)
    """Counted by the emulator over the test part."""
    macs_per_step: int = Field(ge=0)
    flash_bytes: int = Field(ge=0)
    ram_bytes: int = Field(ge=0)
    state_bytes: int = Field(ge=0)
    stack_bytes: int = Field(ge=0)
    radio_bits_per_step: int = Field(ge=0)
    """Payload of what is decoded."""


class CounterLimits(Document):
    """The share by which each counter may grow."""

    instructions_per_step: float = Field(default=0.005, ge=0)
    """They depend a little on the data: another calibration clips elsewhere."""
    macs_per_step: float = Field(default=0.0, ge=0)
    flash_bytes: float = Field(default=0.005, ge=0)
    ram_bytes: float = Field(default=0.0, ge=0)
    state_bytes: float = Field(default=0.0, ge=0)
    stack_bytes: float = Field(default=0.0, ge=0)
    radio_bits_per_step: float = Field(default=0.0, ge=0)

    def limit(self, name: str, baseline: float) -> float:
        """The largest count that passes."""
        share = float(getattr(self, name))
        return baseline if share == 0 else baseline * (1 + share)


class TimeLimits(Document):
    """How much longer a step may take on the same runner."""

    relative: float = Field(default=0.05, ge=0)
    sigmas: float = Field(default=3.0, ge=0)
    """The share that is allowed is at least this many standard errors of the growth."""
    absolute_us: float = Field(default=1.0, ge=0)
    rounds: int = Field(default=40, ge=10, le=10_000)
    """Of 50 steps of either bundle, taking turns."""


class ModelLimits(Document):
    """What the simulated implant may become."""

    corner: Literal["worst", "typical"] = "worst"
    """Worst: every input of the model at the end of its range that is worse for the figure."""
    relative: float = Field(default=0.05, ge=0)
    """Growth of power and of energy per step."""
    absolute_uw: float = Field(default=10.0, ge=0)
    """Power that may be added in any case; energy: this power over one step."""


class GateConfig(Document):
    """The table [gate] of a pipeline; margins of accuracy stand in [comparison]."""

    artefacts: tuple[str, ...] = Field(default=("ONNX float", "ONNX int8", "device (host twin)"), min_length=1)
    """Forms of the decoder whose predictions are compared, each with its own of the baseline."""
    gain: float = Field(default=0.05, gt=0, lt=1)
    """Share by which a decoded trace may be larger or smaller than the baseline's where the weights are the same and R²
    did not rise. Rounding moves it by less than a hundredth of that."""
    level: float = Field(default=FALSE_ALARM_LEVEL, gt=0, lt=0.05)
    """Chance that the gate refuses what is no worse, over everything that has noise."""
    counters: CounterLimits = CounterLimits()
    times: TimeLimits = TimeLimits()
    model: ModelLimits = ModelLimits()


@dataclass(frozen=True, eq=False)
class Growth:
    """How much longer steps take than before, of R comparisons; shape (R,) each."""

    relative: F64
    standard_error: F64
    """Of the relative growth."""
    rounds: int

    @classmethod
    def of(cls, before_us: F64, after_us: F64) -> Growth:
        """From a median of each round, (R, K); the rounds of both took turns, so what slows one slows the other."""
        ratio = np.log(after_us / before_us)
        relative = np.expm1(np.median(ratio, axis=1))
        # Of a median, 1.2533 times that of the mean where noise is normal; the larger of it and of a mean is taken.
        spread = math.sqrt(math.pi / 2) * ratio.std(axis=1, ddof=1) / math.sqrt(ratio.shape[1])
        return cls(relative, spread, ratio.shape[1])

    def tolerance(self, limits: TimeLimits) -> F64:
        """(R,) the share that is allowed: max(5 %, 3 sigma)."""
        return np.asarray(np.maximum(limits.relative, limits.sigmas * self.standard_error))

    def p_longer(self) -> F64:
        """(R,) chance of such a growth, or a larger one, if nothing had grown."""
        statistic = self.relative / np.where(self.standard_error > 0, self.standard_error, 1.0)
        certain = np.where(self.relative > 0, 0.0, 1.0)
        return np.asarray(np.where(self.standard_error > 0, scipy.stats.t.sf(statistic, self.rounds - 1), certain))


def grew(before: float, after: float, relative: float, absolute: float) -> bool:
    """Whether a figure grew by more than a share of itself AND by more than an absolute amount."""
    return after - before > absolute and after > before * (1 + relative)
