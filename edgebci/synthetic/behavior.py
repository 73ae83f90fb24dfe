"""Behaviour: minimum-jerk reaches of one hand to random targets, with pauses, corrections and rest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.synthetic.signals import F64, log_normal_drift
from edgebci.synthetic.specification import BehaviorSpec

MARGIN_S = 1.0
"""Behaviour exists this long before and after the recording, as latents lead it and preparation looks ahead."""


@dataclass(frozen=True)
class Submovement:
    """One minimum-jerk segment (Flash & Hogan 1985); segments add up."""

    start_s: float
    duration_s: float
    displacement_cm: tuple[float, float]
    is_correction: bool = False

    @property
    def end_s(self) -> float:
        """When the hand has arrived."""
        return self.start_s + self.duration_s


@dataclass(frozen=True)
class Movement:
    """The hand over time: times_s (N,), position_cm and velocity_cm_s (N, 2), preparation and engagement (N,)."""

    times_s: F64
    position_cm: F64
    velocity_cm_s: F64
    preparation: F64
    engagement: F64
    submovements: tuple[Submovement, ...]
    rest_s: F64

    @property
    def speed_cm_s(self) -> F64:
        """Length of the velocity, (N,)."""
        return np.asarray(np.hypot(self.velocity_cm_s[:, 0], self.velocity_cm_s[:, 1]))

    def inside(self, duration_s: float) -> NDArray[np.bool_]:
        """Which times fall into the recording, [0, duration_s)."""
        # Half a microsecond of tolerance, as the times are multiples of a decimal step.
        return np.asarray((self.times_s > -5e-7) & (self.times_s < duration_s - 5e-7))


def move(spec: BehaviorSpec, duration_s: float, rng: np.random.Generator) -> Movement:
    """Draw the behaviour of one session."""
    n = round((duration_s + 2 * MARGIN_S) * spec.rate_hz)
    times_s = np.arange(n) / spec.rate_hz - MARGIN_S
    engagement = log_normal_drift(rng, n, spec.rate_hz, spec.engagement_cv, spec.engagement_time_constant_s)
    submovements, rest = _Schedule(spec, times_s, engagement, rng).draw()
    position, velocity = trajectory(times_s, submovements)
    preparation = _preparation(times_s, submovements, spec.preparation_s)
    return Movement(times_s, position, velocity, preparation, engagement, submovements, rest)


def trajectory(times_s: F64, submovements: tuple[Submovement, ...]) -> tuple[F64, F64]:
    """Position in cm and velocity in cm/s, (N, 2) each, from the centre of the workspace."""
    position, velocity = np.zeros((2, len(times_s), 2))
    for movement in submovements:
        displacement = np.asarray(movement.displacement_cm)
        start, stop = np.searchsorted(times_s, [movement.start_s, movement.end_s])
        phase = (times_s[start:stop] - movement.start_s) / movement.duration_s
        position[start:stop] += np.outer(phase**3 * (10 - 15 * phase + 6 * phase**2), displacement)
        position[stop:] += displacement
        velocity[start:stop] += np.outer(30 * phase**2 * (1 - phase) ** 2, displacement / movement.duration_s)
    return position, velocity


def _preparation(times_s: F64, submovements: tuple[Submovement, ...], rise_s: float) -> F64:
    """Rises from 0 to 1 before each reach and falls back in its first half."""
    signal = np.zeros(len(times_s))
    for movement in submovements:
        if not movement.is_correction:
            knots = [movement.start_s - rise_s, movement.start_s, movement.start_s + movement.duration_s / 2]
            np.maximum(signal, np.interp(times_s, knots, [0.0, 1.0, 0.0]), out=signal)
    return signal


class _Schedule:
    """Which submovement begins when."""

    def __init__(self, spec: BehaviorSpec, times_s: F64, engagement: F64, rng: np.random.Generator) -> None:
        self.spec, self.times_s, self.engagement, self.rng = spec, times_s, engagement, rng
        self.hand_cm = np.zeros(2)

    def draw(self) -> tuple[tuple[Submovement, ...], F64]:
        """Submovements in order, and rest epochs (K, 2) in seconds."""
        movements: list[Submovement] = []
        rests: list[tuple[float, float]] = []
        now_s, stop_s = float(self.times_s[0]), float(self.times_s[-1])
        next_rest_s = now_s + self.rng.uniform(*self.spec.work_s)
        while now_s < stop_s:
            if now_s >= next_rest_s:
                rests.append((now_s, now_s + self.rng.uniform(*self.spec.rest_s)))
                now_s = rests[-1][1]
                next_rest_s = now_s + self.rng.uniform(*self.spec.work_s)
            engagement = float(np.interp(now_s, self.times_s, self.engagement))
            now_s += self.rng.exponential(self.spec.pause_mean_s) / engagement
            movements += self._reach(now_s, vigor=math.sqrt(engagement))
            now_s = movements[-1].end_s
        return tuple(movements), np.array(rests, dtype=np.float64).reshape(-1, 2)

    def _reach(self, start_s: float, vigor: float) -> list[Submovement]:
        duration_s = float(np.clip(self.rng.uniform(*self.spec.reach_s) / vigor, *self.spec.reach_s))
        half = self.spec.workspace_half_width_cm
        wanted = self.rng.uniform(-half, half, 2) - self.hand_cm
        self.hand_cm = self.hand_cm + wanted
        if self.rng.random() >= self.spec.corrective_fraction:
            return [Submovement(start_s, duration_s, _pair(wanted))]
        error = self.spec.corrective_error_fraction * np.linalg.norm(wanted) * _direction(self.rng)
        # The correction starts before the reach has ended, as overlapping submovements do.
        later_s = start_s + 0.85 * duration_s
        correction = Submovement(later_s, float(self.rng.uniform(*self.spec.corrective_s)), _pair(-error), True)
        return [Submovement(start_s, duration_s, _pair(wanted + error)), correction]


def _direction(rng: np.random.Generator) -> F64:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def _pair(vector: F64) -> tuple[float, float]:
    return float(vector[0]), float(vector[1])
