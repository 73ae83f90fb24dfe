"""The zero-phase preprocessing of REALM and cross-modal distillation, for reproduction only.

    decimate (zero phase) -> mean removed -> notch 60 Hz and harmonics, Q 30 -> high-pass 0.05 Hz, low-pass 50 Hz
    (Butterworth, two poles) -> common average -> FFT resampling to 100 Hz -> linear onto the clock of the behaviour
    -> z-score of each channel, and of each axis of velocity, over the whole session

Each filter runs forwards and backwards (filtfilt), the resampling is a Fourier transform of the whole session, and the
z-score knows all of it: every frame depends on the future. Nothing that was trained on these frames may be exported:
`PaperFrames.causal` is False, `EncoderSpec.preprocessing` must say "paper", and the exporter refuses that.
The clock is theirs too: resampled frames, which stand at 0, 1, ... K-1 of K steps, are labelled as if they reached from
the first moment to the last, so that by the session's end a frame is one step (10 ms) old.
Order of operations and constants: published code of REALM, second version (arXiv 2605.14867).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import scipy
from numpy.typing import NDArray

from edgebci.errors import InputError

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]

NOT_CAUSAL = (
    "NOT CAUSAL: these frames were filtered with zero phase and standardised over the whole session, so every one "
    "knows the future; no implant can do that, and no decoder of them can be exported"
)
"""What every report says of them."""
FRAME_RATE_HZ = 100.0
LINE_HZ, NOTCH_Q = 60.0, 30.0
HIGH_PASS_HZ, LOW_PASS_HZ, POLES = 0.05, 50.0, 2
BROADBAND_DECIMATION = (4, 4, 2)
"""24.4 kHz to 763 Hz."""
BLOCK_CHANNELS = 8
LEAST_S = 30.0
"""A shorter recording is not filtered: 0.05 Hz has a period of 20 s."""


class ArrayOnDisk(Protocol):
    """What of an HDF5 data set is used."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, C)."""

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.generic]:
        """Some of the samples."""


@dataclass(frozen=True)
class PaperFrames:
    """Frames as the papers make them, on the clock of the behaviour."""

    times_s: F64
    """(K,), 100 Hz or as near as K samples over the session come to it."""
    frames: F32
    """(K, C), z-scored over the session."""
    velocity: F32
    """(K, D), z-scored over the session."""
    causal: Literal[False] = False
    """Every frame knows the future."""


def paper_frames(
    lfp: NDArray[np.generic] | ArrayOnDisk,
    lfp_s: tuple[float, float],
    velocity: F64,
    velocity_s: F64,
    decimation: tuple[int, ...] = (),
    velocity_by: Literal["fourier", "lines"] = "fourier",
) -> PaperFrames:
    """Preprocess a whole session at once.

    Args:
        lfp: (T, C) in any unit, read a few channels at a time; missing samples (NaN) are joined by a straight line.
        lfp_s: times of its first and last sample, all being evenly spaced.
        velocity: (N, D).
        velocity_s: (N,).
        decimation: factors by which the rate is lowered first; `BROADBAND_DECIMATION` for 24.4 kHz.
        velocity_by: how velocity comes to 100 Hz: a Fourier transform of the session (Makin, evenly spaced), or
            straight lines (Flint).

    Raises:
        InputError: under 30 s, or a rate that can't carry 50 Hz.
    """
    seconds = lfp_s[1] - lfp_s[0]
    _check(lfp.shape[0], seconds)
    n_frames = int(seconds * FRAME_RATE_HZ)
    resampled: list[F64] = []
    # A few channels at a time: broadband is large. The average is taken last; all before it is linear and the same for
    # every channel, so it comes to the same.
    for first in range(0, lfp.shape[1], BLOCK_CHANNELS):
        block = lfp[:, first : first + BLOCK_CHANNELS]
        slow = np.stack([_decimated(channel.astype(np.float64), decimation) for channel in block.T], axis=1)
        filtered = _filtered(slow, len(slow) / seconds)
        resampled.append(np.asarray(scipy.signal.resample(filtered, n_frames, axis=0)))
    referenced = _referenced(np.concatenate(resampled, axis=1))
    resampled_s = np.linspace(*lfp_s, n_frames)
    times_s, resampled_velocity = _velocity(velocity, velocity_s, velocity_by)
    inside = (times_s >= resampled_s[0]) & (times_s <= resampled_s[-1])
    aligned = [np.interp(times_s[inside], resampled_s, channel) for channel in referenced.T]
    return PaperFrames(times_s[inside], _z(np.stack(aligned, axis=1)), _z(resampled_velocity[inside]))


def within(frames: PaperFrames, start_s: float, stop_s: float) -> PaperFrames:
    """The frames in [start_s, stop_s), z-scored once more over these alone, as the papers do after trimming."""
    kept = (frames.times_s >= start_s) & (frames.times_s < stop_s)
    lfp, velocity = (values[kept].astype(np.float64) for values in (frames.frames, frames.velocity))
    return PaperFrames(frames.times_s[kept], _z(lfp), _z(velocity))


def _decimated(channel: F64, factors: tuple[int, ...]) -> F64:
    """One channel (T,) without holes and slower by all factors."""
    missing = np.isnan(channel)
    if missing.any():
        known = np.flatnonzero(~missing)
        channel[missing] = np.interp(np.flatnonzero(missing), known, channel[known]) if len(known) else 0.0
    for factor in factors:
        channel = scipy.signal.decimate(
            channel[: len(channel) // factor * factor], factor, ftype="iir", zero_phase=True
        )
    return channel


def _check(n_samples: int, seconds: float) -> None:
    if seconds < LEAST_S:
        raise InputError(
            f"the recording has {seconds:.1f} s, too short for a high-pass at {HIGH_PASS_HZ:g} Hz; give at least "
            f"{LEAST_S:g} s"
        )
    rate_hz = (n_samples - 1) / seconds
    if rate_hz < 2.2 * LOW_PASS_HZ:
        raise InputError(f"the recording has {rate_hz:g} Hz, too slow for a low-pass at {LOW_PASS_HZ:g} Hz")


def _filtered(lfp: F64, rate_hz: float) -> F64:
    filtered: F64 = lfp - lfp.mean(axis=0)
    notches = [scipy.signal.iirnotch(hz, NOTCH_Q, rate_hz) for hz in np.arange(LINE_HZ, rate_hz / 2, LINE_HZ)]
    high_pass = scipy.signal.butter(POLES, HIGH_PASS_HZ, "highpass", fs=rate_hz)
    low_pass = scipy.signal.butter(POLES, LOW_PASS_HZ, "lowpass", fs=rate_hz)
    for numerator, denominator in (*notches, high_pass, low_pass):
        filtered = np.asarray(scipy.signal.filtfilt(np.asarray(numerator), np.asarray(denominator), filtered, axis=0))
    return filtered


def _referenced(lfp: F64) -> F64:
    referenced: F64 = lfp - lfp.mean(axis=1, keepdims=True)
    return referenced


def _velocity(velocity: F64, velocity_s: F64, by: Literal["fourier", "lines"]) -> tuple[F64, F64]:
    """Times (K,) and values (K, D) at 100 Hz."""
    n_frames = int((velocity_s[-1] - velocity_s[0]) * FRAME_RATE_HZ)
    if by == "lines":
        even_s: F64 = np.linspace(velocity_s[0], velocity_s[-1], n_frames)
        return even_s, np.stack([np.interp(even_s, velocity_s, axis) for axis in velocity.T], axis=1)
    values, times_s = scipy.signal.resample(velocity, n_frames, t=velocity_s, axis=0)
    return np.asarray(times_s), np.asarray(values)


def _z(values: F64) -> F32:
    """Mean 0 and spread 1 of each column; a constant one is centred only."""
    sd = values.std(axis=0)
    z: F32 = ((values - values.mean(axis=0)) / np.where(sd > 0, sd, 1.0)).astype(np.float32)
    return z
