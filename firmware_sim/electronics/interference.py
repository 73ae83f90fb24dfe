"""What does not come from the brain: mains, neighbouring channels, and an amplifier that is asked for too much."""

from __future__ import annotations

import numpy as np

from edgebci.firmware_sim.electronics.conditions import Amplifier, Mains
from edgebci.synthetic.signals import F32, F64


class MainsHum:
    """Mains and its harmonics in phase on all channels, by chunk."""

    def __init__(self, mains: Mains, rms_uv: F64, rate_hz: float, seed: int) -> None:
        number = 1 + np.arange(len(mains.harmonics))
        kept = number * mains.frequency_hz < rate_hz / 2
        relative = np.asarray(mains.harmonics)[kept]
        self._frequency_hz, self._rate_hz = number[kept] * mains.frequency_hz, rate_hz
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(5,)))
        self._phase = rng.uniform(0, 2 * np.pi, kept.sum())
        self._amplitude = np.sqrt(2) * relative / max(float(np.linalg.norm(relative)), 1e-12)
        self._rms_uv = rms_uv.astype(np.float32)

    def at(self, start: int, n: int) -> F32:
        """Samples [start, start + n), (n, C) in microvolt."""
        times_s = (start + np.arange(n)) / self._rate_hz
        wave = np.sin(2 * np.pi * np.outer(times_s, self._frequency_hz) + self._phase) @ self._amplitude
        return np.asarray(wave.astype(np.float32)[:, None] * self._rms_uv)


def crosstalk(signal_uv: F32, level_db: float) -> None:
    """Add to every channel of (T, C), in place, a share of both its neighbours."""
    share = np.float32(10 ** (level_db / 20))
    leaked = np.zeros_like(signal_uv)
    leaked[:, 1:] = signal_uv[:, :-1]
    leaked[:, :-1] += signal_uv[:, 1:]
    leaked *= share
    signal_uv += leaked


class Saturation:
    """An amplifier that stops at its input range and needs a while to come back.

    rest_uv, (C,): what each channel gives without a signal, its electrode's offset or the limit.
    """

    def __init__(self, amplifier: Amplifier, offset_uv: F64, rate_hz: float) -> None:
        self._limit_uv = None if amplifier.input_range_mv is None else np.float32(1000 * amplifier.input_range_mv)
        self._offset_uv = offset_uv.astype(np.float32)
        self.rest_uv = _at_rest(amplifier, offset_uv)
        self._recovery = round(amplifier.recovery_ms * rate_hz / 1000)
        self._since = np.full(len(offset_uv), self._recovery + 1, dtype=np.int64)
        self._side = np.zeros(len(offset_uv), np.float32)

    def push(self, signal_uv: F32) -> F32:
        """What leaves the amplifier beyond its output at rest, referred to its input, for (T, C)."""
        if self._limit_uv is None:
            return signal_uv
        total = signal_uv + self._offset_uv
        outside = np.abs(total) > self._limit_uv
        if outside.any() or (self._since <= self._recovery).any():
            total = self._held(total, outside)
        return np.asarray(total - self.rest_uv)

    def _held(self, total: F32, outside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> F32:
        """The limit while outside, and for the recovery after."""
        rows = np.arange(1, len(total) + 1)[:, None]
        last = np.maximum.accumulate(np.where(outside, rows, 0), axis=0)
        sides = np.concatenate([self._side[None], np.sign(total)])
        side = np.take_along_axis(sides, last, axis=0)
        since = np.where(last > 0, rows - last, rows + self._since)
        held = since <= self._recovery
        self._since, self._side = since[-1], side[-1]
        return np.where(held, side * self._limit_uv, total).astype(np.float32)


def _at_rest(amplifier: Amplifier, offset_uv: F64) -> F32:
    limit = np.inf if amplifier.input_range_mv is None else 1000 * amplifier.input_range_mv
    return np.clip(offset_uv, -limit, limit).astype(np.float32)
