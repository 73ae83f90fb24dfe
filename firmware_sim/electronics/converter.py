"""From the amplifier's output to codes: anti-alias filter, sampler with jitter, quantizer that counts what it clips."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.signal import butter

from edgebci.features.specification import Adc, Counts
from edgebci.firmware_sim.electronics.conditions import Converter, Filter
from edgebci.synthetic.signals import F32, F64

Codes = NDArray[np.int32]
HIGHEST_DIGITAL_CORNER = 0.45
"""Of a signal's rate: a filter with a higher corner changes nothing that the signal holds."""
MOST_BITS_IN_A_TABLE = 16
"""Codes of more bits are converted one by one."""


@dataclass(frozen=True)
class Converted:
    """Codes (T, C) of the converter, which of the rows are missing (T,), and how many samples it clipped, (C,)."""

    codes: Codes
    missing: NDArray[np.bool_]
    clipped: NDArray[np.int64]


class Sampler:
    """Every `factor`-th sample, taken a little early or late: by the slope of the signal, to first order."""

    def __init__(self, factor: int, jitter_us: float, rate_hz: float, seed: int) -> None:
        self._factor, self._next = factor, 0
        self._jitter_samples = 1e-6 * jitter_us * rate_hz
        self._rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(3,))))
        self._last: F32 | None = None

    def push(self, signal_uv: F32) -> tuple[slice, F32]:
        """Which rows of (T, C) are sampled, and the samples."""
        rows = slice((-self._next) % self._factor, len(signal_uv), self._factor)
        self._next += len(signal_uv)
        samples = signal_uv[rows]
        if self._jitter_samples:
            samples = samples + self._late(signal_uv, rows, len(samples))
        self._last = signal_uv[-1].copy()
        return rows, samples

    def _late(self, signal_uv: F32, rows: slice, n: int) -> F32:
        before = signal_uv[0] if self._last is None else self._last
        slope = np.empty_like(signal_uv)
        np.subtract(signal_uv[1:], signal_uv[:-1], out=slope[1:])
        np.subtract(signal_uv[0], before, out=slope[0])
        delay = self._jitter_samples * self._rng.standard_normal((n, 1), dtype=np.float32)
        return np.asarray(slope[rows] * delay, dtype=np.float32)


def quantize(converter: Converter, samples_uv: F32) -> tuple[Codes, NDArray[np.int64]]:
    """Codes (T, C), stopped at the rails, and how many samples of each channel lay beyond them, (C,)."""
    half = 1 << (converter.bits - 1)
    steps = samples_uv * np.float32(1 / converter.step_uv)
    np.rint(steps, out=steps)
    clipped = np.zeros(steps.shape[1], np.int64)
    # Two sweeps say that nothing is beyond, as is usual; finding what is takes more.
    if steps.size and (steps.max() > half - 1 or steps.min() < -half):
        clipped = ((steps > half - 1) | (steps < -half)).sum(axis=0)
        np.clip(steps, -half, half - 1, out=steps)
    return steps.astype(np.int32), clipped


def as_counts(codes: Codes, converter: Converter, adc: Adc) -> Counts:
    """The codes as counts of the converter that a decoder was trained with; a code at a rail stays at a rail.

    An implant whose converter has another step multiplies by their ratio before the decoder, as here.
    """
    if converter.bits > MOST_BITS_IN_A_TABLE:
        return _counts_of(codes, converter, adc)
    counts: Counts = _table(converter, adc)[codes]
    return counts


@lru_cache(maxsize=16)
def _table(converter: Converter, adc: Adc) -> Counts:
    """The count of every code: of 0 and above, then of the negative ones, as an index counts from the end."""
    half = 1 << (converter.bits - 1)
    return _counts_of(np.concatenate([np.arange(half), np.arange(-half, 0)]).astype(np.int32), converter, adc)


def _counts_of(codes: Codes, converter: Converter, adc: Adc) -> Counts:
    half = 1 << (converter.bits - 1)
    steps = np.rint(codes * np.float64(converter.step_uv / adc.uv_per_count))
    # What is not at the implant's rails must not read as saturated because the decoder's converter reaches less far.
    steps = np.clip(steps, adc.lowest_count, adc.highest_count)
    steps[codes == -half] = adc.lowest_count
    steps[codes == half - 1] = adc.highest_count
    return steps.astype(np.int16) if adc.bits <= 16 else steps.astype(np.int32)


def anti_alias_sections(low_pass: Filter | None, rate_hz: float) -> F64 | None:
    """Sections of the analogue filter at the rate of a signal; None where the signal ends below its corner."""
    if low_pass is None or low_pass.corner_hz > HIGHEST_DIGITAL_CORNER * rate_hz:
        return None
    return np.asarray(butter(low_pass.order, low_pass.corner_hz, fs=rate_hz, output="sos"))


def bandwidth_above_hz(low_pass: Filter | None, from_hz: float) -> float:
    """Noise bandwidth that a filter passes above a frequency: what a signal that ends there can't hold, and folds back.

    0 without a filter: then the band of the source is taken for all that there is.
    """
    if low_pass is None:
        return 0.0
    passed, _ = quad(lambda x: 1 / (1 + x ** (2 * low_pass.order)), from_hz / low_pass.corner_hz, np.inf)
    return float(passed) * low_pass.corner_hz
