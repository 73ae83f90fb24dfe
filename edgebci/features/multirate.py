"""The band-passes at the few moments at which their output is needed, in integers: the design.

A band-pass of poles p has the output y = sum over poles of s, s[t] = p s[t-1] + r d[t]. Seen only at every M-th sample,
it is the same filter with poles p^M, whose input is a weighted sum of the M newest samples (scattered look-ahead:
Parhi and Messerschmitt, IEEE Trans. ASSP 37, 1989). Nothing is decimated, so nothing aliases and nothing is delayed:
the slow band of 4 to 12 Hz is computed 250 times a second, and equals the fast one there.

Three things make that exact in 16 x 16 and 32 x 32 bit products:
  * the input d is the difference of two counts: an integer, free of the electrode's offset. The filter has a zero at
    0 Hz for it, which is left out of the poles' sum. A step of more than 16 bits is taken in two samples;
  * the common reference is subtracted from the filters' outputs, where there are few, instead of from every sample.
    Filters are linear, so that is the same; the reference passes them with all its bits;
  * every scale is chosen from the sum of the magnitudes of an impulse response, so that no input can overflow.

The mean square over a frame of D samples wants all of them. y^2 of a band up to f is itself a signal up to 2 f, so its
sum over every sample and its sum over every M-th differ only at the frame's ends (the Euler-Maclaurin formula);
`end_weights` are the correction, fitted to the signals that can occur.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from edgebci.arithmetic import F32, I16
from edgebci.errors import InputError
from edgebci.features.specification import Band, FeatureSpec

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

LARGEST_STEP = 32767
"""From one sample to the next, in counts: what is further away is reached with the sample after."""
FARTHEST = 65536
"""From where a channel began, in counts of 16 bits."""
OVERSAMPLING = 7.0
"""Outputs per second over a band's upper corner; fewer would be too few for the mean of the squares."""
FEWEST_OUTPUTS = 4
"""In a frame, where a band is not computed at every sample."""
ENDS = 4
"""Squares at the end of a frame that correct its sum."""
QUIET_UV, LOUDEST_UV = 0.001, 0.02
"""Of the rounding in one filter, rms: what is quiet enough, and the most; an electrode has a hundred times that."""
MISPLACED = 2e-3
"""Of its distance from the unit circle, which is a filter's width: as far as rounding may move a pole."""


@dataclass(frozen=True)
class PolePair:
    """Two poles, seen every M samples, in one of two forms.

    Direct:  v = F0 + q1;  q1 = F1 + 4 (q2 + a v);  q2 = b v;  output v.
    Turned:  u, w = F0 + 2 (a u + b w), F1 + 2 (c u + a w);  output u. The state is a complex number that each output
             turns and shrinks: more products, but rounding is not amplified, however low the band.

    Fields:
        turned: the form.
        taps: (2, M) int16 of F0 and F1, for the M samples since the last output, oldest first.
        recursion: a, b, c: int16 with 2^14 for 1 if direct (c = 0), int32 with 2^31 for 1 if turned.
    """

    turned: bool
    taps: I16
    recursion: tuple[int, int, int]


@dataclass(frozen=True)
class BandFilter:
    """One band.

    Fields:
        every: M, samples from one output to the next.
        pairs: of which the outputs add up; all of one form.
        fraction_bits: an output of 2^fraction_bits is one count.
        sum_scale, end_scales: from the frame's sum of squares, and from its last ones, newest first, to uV^2; none of
            the latter if M = 1.
        noise_uv: rms of what rounding adds to the output.
    """

    every: int
    pairs: tuple[PolePair, ...]
    fraction_bits: int
    sum_scale: np.float32
    end_scales: F32
    noise_uv: float


def band_filters(spec: FeatureSpec) -> tuple[BandFilter, ...]:
    """Design the filter of every band.

    Raises:
        InputError: what this form cannot compute: low-passes, converters over 16 bits, a band too low for its noise.
    """
    if spec.lmp or spec.raw or spec.adc.bits > 16:
        raise InputError(
            "the fixed-point front end has band powers alone, from converters of at most 16 bits; "
            "leave out lmp and raw, or use the float32 front end"
        )
    return tuple(_band_filter(spec, band) for band in spec.bands)


def outputs_every(spec: FeatureSpec, band: Band) -> int:
    """M: the largest even divisor of a frame that leaves enough outputs for the band, or 1."""
    d = spec.samples_per_frame
    most = min(spec.rate_hz / (OVERSAMPLING * band.high_hz), d / FEWEST_OUTPUTS)
    return max((m for m in range(2, d + 1, 2) if d % m == 0 and m <= most), default=1)


def end_weights(every: int, low: float, high: float) -> F64:
    """Weights of the newest squares of a frame, (ENDS,), for corners over the sampling rate.

    With E = sum of weights * squares, sum over all samples = M * (sum over every M-th) + E(now) - E(a frame ago). For a
    square of angular frequency w that asks for E = 1 / (1 - e^-iw) - M / (1 - e^-iMw), which is smooth: least squares
    over the frequencies that the square of a band has, the differences and the sums of those inside it.
    """
    width = high - low
    f = np.concatenate([np.linspace(0.01 * width, width, 200), np.linspace(2.0 * low, 2.0 * high, 200)])
    # What a flat band's square has at f; the difference frequencies, which are in phase, twice.
    power = np.where(f <= width, 2.0 * (1.0 - f / width), 1.0 - np.abs(f - low - high) / width)
    w, weight = 2.0 * np.pi * f, np.sqrt(np.maximum(power, 0.01))
    wanted = 1.0 / (1.0 - np.exp(-1j * w)) - every / (1.0 - np.exp(-1j * w * every))
    delays = np.exp(-1j * every * np.outer(w, np.arange(ENDS)))
    rows = np.concatenate([delays.real, delays.imag]) * np.tile(weight, 2)[:, None]
    right = np.concatenate([wanted.real, wanted.imag]) * np.tile(weight, 2)
    return np.asarray(np.linalg.lstsq(rows, right, rcond=None)[0])


def _band_filter(spec: FeatureSpec, band: Band) -> BandFilter:
    every, d, uv = outputs_every(spec, band), spec.samples_per_frame, spec.adc.uv_per_count
    poles, residues = _poles_and_residues(spec, band)
    for turned in (False, True):
        bits = _fraction_bits(poles, residues, d // every, turned)
        pairs = tuple(_pair(p, r, every, bits, turned) for p, r in zip(poles, residues, strict=True))
        noise_uv = math.sqrt(sum(_noise_power(pair) for pair in pairs)) * uv / 2.0**bits
        if noise_uv <= QUIET_UV and _misplaced(poles**every) <= MISPLACED:
            break
    if noise_uv > LOUDEST_UV:
        raise InputError(
            f"{band.name}: rounding in fixed point would add {noise_uv:.3g} uV, at most {LOUDEST_UV:g} is allowed; "
            "raise the band's lower corner or use the float32 front end"
        )
    square = (uv / 2.0**bits) ** 2 / d
    ends = end_weights(every, band.low_hz / spec.rate_hz, band.high_hz / spec.rate_hz) if every > 1 else np.zeros(0)
    return BandFilter(
        every, pairs, bits, np.float32(every * square), (ends * square).astype(np.float32), noise_uv=noise_uv
    )


def _poles_and_residues(spec: FeatureSpec, band: Band) -> tuple[C128, C128]:
    """Pole pairs (n, 2) of the Butterworth band-pass and the residues of its response to differences of samples."""
    corners = (band.low_hz, band.high_hz)
    zeros, poles, gain = scipy.signal.butter(band.order, corners, "bandpass", fs=spec.rate_hz, output="zpk")
    left = np.delete(zeros, int(np.argmin(np.abs(zeros - 1.0))))
    real = np.sort(poles[poles.imag == 0.0].real).astype(np.complex128)
    upper = poles[poles.imag > 0.0]
    pairs = np.concatenate([np.stack([upper, upper.conj()], axis=1), real.reshape(-1, 2)])
    flat = pairs.ravel()
    numerator = np.prod(1.0 - left[None, :] / flat[:, None], axis=1)
    apart = 1.0 - flat[None, :] / flat[:, None]
    np.fill_diagonal(apart, 1.0)
    return pairs, (gain * numerator / np.prod(apart, axis=1)).reshape(pairs.shape)


def _state_weights(poles: C128, residues: C128, length: int) -> F64:
    """(..., 2, length): what a unit at the input adds to u and w, 0, 1, ... samples later, for pairs (..., 2).

    A complex pair gives real and imaginary part of twice its first pole's share, two real poles sum and difference.
    """
    first, second = np.moveaxis(residues[..., None] * poles[..., None] ** np.arange(length), -2, 0)
    real = (poles.imag[..., :1] == 0.0) & np.ones(length, dtype=bool)
    w = np.where(real, (first - second).real, (first - second).imag)
    return np.stack([(first + second).real, w], axis=-2)


def _fraction_bits(poles: C128, residues: C128, outputs: int, turned: bool) -> int:
    """The most that no input can make overflow.

    Channels and reference stay within FARTHEST of where they began, so their difference within twice that; the squares
    of a frame add up in 64 bits, signed. A state of the direct form is at most two outputs of its pair.
    """
    length = math.ceil(math.log(1e-7) / math.log(float(np.abs(poles).max())))
    of_samples = np.diff(_state_weights(poles, residues, length), axis=-1, prepend=0.0)
    largest = np.abs(of_samples).sum(axis=-1)
    of_state = FARTHEST * (largest.max() if turned else 2 * largest[:, 0].max())
    of_output = 2 * FARTHEST * np.abs(of_samples[:, 0].sum(axis=0)).sum()
    room = min(2.0**31 / of_state, math.sqrt(2.0**63 / outputs) / of_output, 2.0**31 / of_output)
    return math.floor(math.log2(0.99 * room))


def _pair(poles: C128, residues: C128, every: int, bits: int, turned: bool) -> PolePair:
    """Round one pair."""
    halves = _state_weights(poles, residues, every) if turned else _direct_taps(poles, residues, every)
    return PolePair(turned, np.rint(halves[:, ::-1] * 2.0**bits).astype(np.int16), _recursion(poles**every, turned))


def _direct_taps(poles: C128, residues: C128, every: int) -> F64:
    """(2, M): the numerator of the pair, times the polynomials that raise its poles to M."""
    taps = np.array([residues.sum(), -(residues * poles[::-1]).sum()])
    for pole in poles:
        taps = np.convolve(taps, pole ** np.arange(every))
    return np.asarray(taps.real.reshape(2, every))


def _recursion(poles: C128, turned: bool) -> tuple[int, int, int]:
    total, apart = float(poles.sum().real), poles[0] - poles[1]
    if not turned:
        return round(total * 2**14), round(-float(np.prod(poles).real) * 2**14), 0
    # A complex pair turns by half its difference, 2i sin; two real ones exchange sum and difference.
    across, back = (-apart.imag, apart.imag) if apart.imag else (apart.real, apart.real)
    one = 2.0**30  # half of 2^31, as total and apart are twice what is wanted
    return round(total * one), round(float(across) * one), round(float(back) * one)


def _misplaced(poles: C128) -> float:
    """How far the rounding of a direct recursion moves a pole, in its distances from the unit circle, at most."""
    first, second = poles[:, 0], poles[:, 1]
    moved = 2.0**-15 * (1.0 + np.abs(first)) / np.abs(first - second)
    return float((moved / (1.0 - np.abs(first))).max())


def _noise_power(pair: PolePair) -> float:
    """Of the output, in squares of its unit: how roundings to 4 (direct) or 2 units and of the sums come through."""
    one = 2**31 if pair.turned else 2**14
    a, b = (value / one for value in pair.recursion[:2])
    if pair.turned:
        radius2 = a * a + b * b
        return (2 * 4 + 1) / 12.0 / (1.0 - radius2)
    response = scipy.signal.lfilter([1.0], [1.0, -a, -b], scipy.signal.unit_impulse(20_000))
    return float((response**2).sum() * (2 * 16 + 2) / 12.0)
