"""The recorded units: tuned to the latents of the spikes, doubly stochastic, refractory, replaced between sessions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgebci.synthetic import chance
from edgebci.synthetic.latents import Latents, latent_weights, rotated, session_rotation_deg
from edgebci.synthetic.signals import F64, log_normal_drift
from edgebci.synthetic.specification import SyntheticSpec


@dataclass(frozen=True)
class Units:
    """Mean rate (U,), weights of the latents (K, U), channel (U,), and the number that a unit keeps, (U,)."""

    rate_hz: F64
    weights: F64
    channel: NDArray[np.int64]
    identity: NDArray[np.int64]

    @property
    def names(self) -> tuple[str, ...]:
        """Equal in two sessions if and only if the unit is the same."""
        return tuple(f"unit{i:05d}" for i in self.identity)


@dataclass(frozen=True)
class SpikeTrain:
    """Spikes of all units in order of time: times_s (S,), unit_index (S,)."""

    times_s: F64
    unit_index: NDArray[np.int64]


def draw_units(spec: SyntheticSpec) -> Units:
    """The subject's units as they stand in this session: replaced in part and turned at every session before it."""
    units = _fresh(spec, chance.for_subject(spec, "units"), spec.units.n_units, first_identity=0)
    for step in range(1, spec.session):
        units = _turned_over(spec, units, chance.for_subject(spec, "turnover", step), step)
    return replace(units, weights=rotated(units.weights, session_rotation_deg(spec)))


def fire(spec: SyntheticSpec, units: Units, latents: Latents) -> SpikeTrain:
    """Draw the spikes of the session."""
    rng = chance.for_session(spec, "spikes")
    of_units = [
        _spikes(_rate(spec, unit_rate_hz, latents.spikes @ weights, rng), latents.times_s, rng)
        for unit_rate_hz, weights in zip(units.rate_hz, units.weights.T, strict=True)
    ]
    index = np.repeat(np.arange(len(of_units)), [len(times_s) for times_s in of_units])
    times_s = np.concatenate(of_units)
    inside = (times_s >= 0) & (times_s < spec.duration_s)
    train = _refractory(times_s[inside], index[inside], spec.units.refractory_ms / 1000)
    return _shifted(train, spec.duration_s, rng) if spec.spike_shuffle else train


def _fresh(spec: SyntheticSpec, rng: np.random.Generator, n: int, first_identity: int) -> Units:
    rate_hz = spec.units.rate_median_hz * np.exp(spec.units.rate_log_sd * rng.standard_normal(n))
    direction = rng.standard_normal((spec.latents.n_latents, n)) * latent_weights(spec.latents)[:, None]
    depth = rng.uniform(*spec.units.modulation_fraction, n)
    weights = depth * direction / np.linalg.norm(direction, axis=0)
    channel = rng.integers(0, spec.n_channels, n)
    return Units(rate_hz, weights, channel, first_identity + np.arange(n))


def _turned_over(spec: SyntheticSpec, units: Units, rng: np.random.Generator, step: int) -> Units:
    n = len(units.rate_hz)
    lost = rng.permutation(n)[: round(n * rng.uniform(*spec.units.turnover_fraction))]
    new = _fresh(spec, rng, len(lost), first_identity=step * 1000)
    rate_hz, weights = units.rate_hz.copy(), units.weights.copy()
    channel, identity = units.channel.copy(), units.identity.copy()
    rate_hz[lost], weights[:, lost] = new.rate_hz, new.weights
    channel[lost], identity[lost] = new.channel, new.identity
    return Units(rate_hz, weights, channel, identity)


def _rate(spec: SyntheticSpec, mean_hz: float, drive: F64, rng: np.random.Generator) -> F64:
    """The rate (N,) of one unit, raised so that the refractory time does not lower the mean."""
    relative = 1 + drive if spec.linear else np.maximum(1 + drive, 0.0)
    cv, time_constant_s = spec.units.private_gain_cv, spec.units.private_gain_time_constant_s
    private = log_normal_drift(rng, len(drive), spec.behavior.rate_hz, cv, time_constant_s)
    rate_hz = np.maximum(mean_hz * relative * private, 0.0)
    dead = np.minimum(rate_hz * spec.units.refractory_ms / 1000, 0.9)
    return np.asarray(rate_hz / (1 - dead))


def _spikes(rate_hz: F64, times_s: F64, rng: np.random.Generator) -> F64:
    """Times of a Poisson process, in order; a rate (N,) holds from its time to the next."""
    step_s = times_s[1] - times_s[0]
    # Counted in expected spikes instead of seconds, the process is uniform.
    expected = np.concatenate([[0.0], np.cumsum(rate_hz * step_s)])
    uniform = np.sort(rng.uniform(0, expected[-1], rng.poisson(expected[-1])))
    return np.asarray(np.interp(uniform, expected, np.append(times_s, times_s[-1] + step_s)))


def _refractory(times_s: F64, index: NDArray[np.int64], refractory_s: float) -> SpikeTrain:
    """Drop what follows a kept spike of the same unit too soon; then order by time."""
    keep = np.ones(len(times_s), dtype=bool)
    # Each pass drops the first offender after every kept spike; bursts of offenders need a few.
    while True:
        kept = np.flatnonzero(keep)
        too_soon = (np.diff(times_s[kept]) < refractory_s) & (np.diff(index[kept]) == 0)
        first = too_soon & ~np.concatenate([[False], too_soon[:-1]])
        if not first.any():
            break
        keep[kept[1:][first]] = False
    order = np.argsort(times_s[keep], kind="stable")
    return SpikeTrain(times_s[keep][order], index[keep][order])


def _shifted(train: SpikeTrain, duration_s: float, rng: np.random.Generator) -> SpikeTrain:
    """All spikes together, by a quarter to three quarters of the session, around its end."""
    times_s = (train.times_s + rng.uniform(0.25, 0.75) * duration_s) % duration_s
    order = np.argsort(times_s, kind="stable")
    return SpikeTrain(times_s[order], train.unit_index[order])
