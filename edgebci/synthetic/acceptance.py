"""Is a synthetic recording one from which conclusions may be drawn? Every figure, its band, and whether it lies inside.

All bands are of class "assumed". Decoding is of two-dimensional hand velocity, from causal features only, in contiguous
folds. Whoever tunes the defaults of `SyntheticSpec` looks at TUNING_SEEDS only, and no claim uses one of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.progress import Progress, part, silent
from edgebci.recordings import open_recording
from edgebci.synthetic import decoding, spectra
from edgebci.synthetic.signals import F64
from edgebci.synthetic.specification import SyntheticSpec

TUNING_SEEDS = range(9000, 9200)
FANO_WINDOW_S, N_SHUFFLES = 0.2, 5
MIN_CHANNELS, MIN_DURATION_S = 36, 60.0
STILL_CM_S, MOVING_CM_S = 1.0, 10.0


@dataclass(frozen=True)
class Judged:
    """One measured figure and the band [low, high] in which it must lie."""

    name: str
    value: float
    unit: str
    low: float
    high: float

    @property
    def passed(self) -> bool:
        """Whether the figure lies in its band."""
        return self.low <= self.value <= self.high


@dataclass(frozen=True)
class Acceptance:
    """All figures of one recording."""

    figures: tuple[Judged, ...]

    @property
    def passed(self) -> bool:
        """Whether every figure lies in its band."""
        return all(figure.passed for figure in self.figures)

    @property
    def failures(self) -> tuple[Judged, ...]:
        """The figures outside their bands."""
        return tuple(figure for figure in self.figures if not figure.passed)

    def __getitem__(self, name: str) -> Judged:
        return next(figure for figure in self.figures if figure.name == name)


def judge(path: Path, progress: Progress = silent) -> Acceptance:
    """Measure every figure of a synthetic recording of 96 channels and ten minutes, the size that the bands are for.

    Raises:
        InputError: the file is not a synthetic recording, or too small to be judged.
    """
    truth = read_truth(path)
    _must_be_large_enough(path)
    progress(0.0, "spectrum and coherence")
    of_signal = (*signal_figures(path, truth), beta_loss(path, truth))
    of_units = unit_figures(path)
    return Acceptance((*of_signal, *of_units, *decoding_figures(path, part(progress, 0.2, 1.0)), *truth_figures(truth)))


@dataclass(frozen=True)
class Truth:
    """What the generator wrote beside the recording: electrodes_mm (C, 2), live channels (C,), and three numbers."""

    electrodes_mm: F64
    is_live: NDArray[np.bool_]
    mains_hz: float
    free_variance_fraction: float
    unrecorded_variance_fraction: float


def read_truth(path: Path) -> Truth:
    """Read the ground truth that judging needs.

    Raises:
        InputError: the file is not a synthetic recording.
    """
    with open_recording(path), h5py.File(path, "r") as file:
        if "truth" not in file:
            raise InputError(f"{path} holds no ground truth; only what edgebci data synth made can be judged")
        truth = file["truth"]
        spec = SyntheticSpec.model_validate_json(truth.attrs["specification"])
        return Truth(
            np.asarray(truth["electrodes_mm"]),
            ~(np.asarray(truth["is_dead"]) | np.asarray(truth["is_noisy"])),
            spec.electrodes.mains_hz,
            float(truth.attrs["free_variance_fraction"]),
            float(truth.attrs["unrecorded_variance_fraction"]),
        )


def signal_figures(path: Path, truth: Truth) -> tuple[Judged, ...]:
    """Level, spectrum, coherence against distance and autocorrelation of two minutes from the middle."""
    with open_recording(path) as recording:
        info = recording.info
        half = round(min(info.duration_s / 2, 60.0) * info.lfp_rate_hz)
        lfp_uv = recording.lfp_uv(info.n_samples // 2 - half, info.n_samples // 2 + half)[:, truth.is_live]
    rate_hz, mains_hz = info.lfp_rate_hz, truth.mains_hz
    density = spectra.spectrum(lfp_uv, rate_hz)

    def coherence(distance_mm: float, low_hz: float, high_hz: float) -> float:
        place_mm = truth.electrodes_mm[truth.is_live]
        return spectra.coherence(lfp_uv, rate_hz, place_mm, distance_mm, (low_hz, high_hz), mains_hz)

    return (
        Judged("level 0.5-300 Hz", spectra.level_uv(lfp_uv, rate_hz), "uV", 40, 100),
        Judged("density at 10 Hz", density.density_near(10, mains_hz), "uV2/Hz", 30, 100),
        Judged("density at 100 Hz", density.density_near(100, mains_hz), "uV2/Hz", 0.3, 1),
        Judged("density at 300 Hz", density.density_near(300, mains_hz), "uV2/Hz", 0.01, 0.05),
        Judged("slope 30-300 Hz", density.slope(30, 300, mains_hz), "1", 2, 3),
        Judged("coherence below 10 Hz at 0.4 mm", coherence(0.4, 1, 10), "1", 0.7, 1),
        Judged("coherence at 100 Hz at 0.4 mm", coherence(0.4, 80, 120), "1", 0.1, 0.3),
        Judged("coherence below 10 Hz at 2 mm", coherence(2.0, 1, 10), "1", 0.4, 0.7),
        Judged("coherence at 100 Hz at 2 mm", coherence(2.0, 80, 120), "1", 0, 0.1),
        Judged("correlation time of LFP", 1000 * spectra.correlation_time_s(lfp_uv, rate_hz), "ms", 15, 80),
    )


def unit_figures(path: Path) -> tuple[Judged, ...]:
    """Rates and variability of the sorted units; counts are taken in windows of 0.2 s in which the hand is still."""
    with open_recording(path) as recording:
        duration_s = recording.info.duration_s
        spikes, speed = recording.spikes(), recording.behavior("speed")
    n_windows = int(duration_s / FANO_WINDOW_S)
    window = (spikes.times_s / FANO_WINDOW_S).astype(int)
    counts = np.zeros((n_windows + 1, spikes.n_units))
    np.add.at(counts, (window, spikes.unit_index), 1)
    centres_s = (np.arange(n_windows) + 0.5) * FANO_WINDOW_S
    still = counts[:n_windows][np.interp(centres_s, speed.timestamps_s, speed.values[:, 0]) < STILL_CM_S]
    fano = still.var(axis=0) / np.maximum(still.mean(axis=0), 1e-9)
    return (
        Judged("recorded units", spikes.n_units, "1", 80, 150),
        Judged("median rate of units", float(np.median(counts.sum(axis=0) / duration_s)), "Hz", 4.5, 8.5),
        Judged("median Fano factor of units", float(np.median(fano)), "1", 1, 1.5),
    )


def decoding_figures(path: Path, progress: Progress = silent) -> tuple[Judged, ...]:
    """How well hand velocity is decoded from spikes, from all of the LFP, and from parts of it."""
    with open_recording(path) as recording:
        lfp = decoding.lfp_features(recording, part(progress, 0.0, 0.4))
        counts = decoding.spike_counts(recording, lfp.times_s)
        velocity = decoding.velocity_at(recording, lfp.times_s)
    progress(0.4, "Wiener filter")
    of_spikes = decoding.ridge_r2([counts], velocity)
    progress(0.5, "ridge")
    # Shuffled labels are the same labels at another part of the recording, so the equations' left sides are the same.
    shifts = [len(velocity) * k // (N_SHUFFLES + 1) for k in range(N_SHUFFLES + 1)]
    targets = np.concatenate([np.roll(velocity, shift, axis=0) for shift in shifts], axis=1)
    of_lfp = decoding.ridge_r2([*lfp.log_power, lfp.lmp], targets)
    progress(0.8, "parts of the LFP")
    parts = (lfp.log_power[decoding.HIGH], lfp.log_power[decoding.BETA], lfp.lmp)
    of_high, of_beta, of_lmp = (decoding.ridge_r2([feature], velocity) for feature in parts)
    power_time_s = spectra.correlation_time_s(lfp.log_power[decoding.HIGH], decoding.FRAME_HZ)
    return (
        Judged("correlation time of power at 70-400 Hz", 1000 * power_time_s, "ms", 40, 300),
        Judged("Wiener filter on spikes", float(of_spikes.mean()), "R2", 0.55, 0.75),
        Judged("ridge on LFP", float(of_lfp[:2].mean()), "R2", 0.30, 0.50),
        Judged("ridge on 70-400 Hz", float(of_high.mean()), "R2", 0.2, 0.4),
        Judged("ridge on 15-30 Hz", float(of_beta.mean()), "R2", -0.1, 0.1),
        Judged("ridge on LMP", float(of_lmp.mean()), "R2", 0.1, 0.4),
        Judged("ridge on LFP, labels shuffled", float(of_lfp[2:].mean()), "R2", -0.02, 0.02),
    )


def _must_be_large_enough(path: Path) -> None:
    with open_recording(path) as recording:
        info = recording.info
    if info.n_channels < MIN_CHANNELS or info.duration_s < MIN_DURATION_S:
        raise InputError(
            f"{path} has {info.n_channels} channels and {info.duration_s:g} s; coherence and decoding are judged on at "
            f"least {MIN_CHANNELS} channels and {MIN_DURATION_S:g} s: synthesize a longer recording"
        )


def truth_figures(truth: Truth) -> tuple[Judged, ...]:
    """What only the generator knows."""
    return (
        Judged("LFP variance from unrecorded neurons", truth.unrecorded_variance_fraction, "1", 0.95, 1),
        Judged("population variance free of behaviour", truth.free_variance_fraction, "1", 0.6, 1),
    )


def beta_loss(path: Path, truth: Truth) -> Judged:
    """How much of the power at 15-30 Hz is lost in movement, over the whole recording and some of its channels."""
    with open_recording(path) as recording:
        speed, rate_hz = recording.behavior("speed"), recording.info.lfp_rate_hz
        some = np.flatnonzero(truth.is_live)[:: max(1, truth.is_live.sum() // 8)]
        power = np.zeros((2, 2))
        for start, lfp_uv in recording.lfp_chunks(60.0):
            of_chunk = spectra.band_power(lfp_uv[:, some], rate_hz, 15.0, 30.0).mean(axis=1)
            times_s = (start + np.arange(len(of_chunk))) / rate_hz
            now_cm_s = np.interp(times_s, speed.timestamps_s, speed.values[:, 0])
            for row, which in enumerate((now_cm_s > MOVING_CM_S, now_cm_s < STILL_CM_S)):
                power[row] += of_chunk[which].sum(), which.sum()
    moving, still = power[:, 0] / power[:, 1]
    return Judged("loss of beta power in movement", float(1 - moving / still), "1", 0.3, 0.6)
