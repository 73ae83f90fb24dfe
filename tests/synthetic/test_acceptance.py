"""Judging is itself right: each figure is what its name says, and a recording fails when it should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy.signal import lfilter

from edgebci.errors import InputError
from edgebci.recordings import Recording, open_recording
from edgebci.recordings.conversion import convert
from edgebci.synthetic import SyntheticSpec, decoding, spectra, synthesize
from edgebci.synthetic.acceptance import Acceptance, Judged, judge, read_truth, signal_figures, unit_figures
from edgebci.synthetic.figure import spectrum_figure
from edgebci.synthetic.signals import F32

RATE_HZ = 1000.0


def test_a_small_recording_passes_what_its_size_allows(recording_path: Path) -> None:
    accepted = Acceptance((*signal_figures(recording_path, read_truth(recording_path)), *unit_figures(recording_path)))
    assert len(accepted.figures) >= 12
    assert accepted.failures == ()
    assert accepted["density at 100 Hz"].passed


def test_velocity_is_decoded_from_spikes_and_lfp_but_not_with_shuffled_labels(tmp_path: Path) -> None:
    synthesize(SyntheticSpec(seed=32, duration_s=100.0, n_channels=36), tmp_path / "a.h5")
    accepted = judge(tmp_path / "a.h5")
    # The bands are for 600 s and 96 channels; a sixth of the time and fewer channels decode less of it.
    assert accepted["Wiener filter on spikes"].value > 0.3
    assert accepted["ridge on LFP"].value > 0.1
    assert accepted["ridge on 70-400 Hz"].value > 0.05
    assert abs(accepted["ridge on LFP, labels shuffled"].value) < 0.05
    assert accepted["LFP variance from unrecorded neurons"].passed
    assert len({figure.name for figure in accepted.figures}) == len(accepted.figures) >= 20


def test_the_bands_of_the_specification_are_the_bands_that_judge() -> None:
    figure = Judged("density at 10 Hz", 30.0, "uV2/Hz", 30, 100)
    assert figure.passed
    assert not Judged("density at 10 Hz", 29.9, "uV2/Hz", 30, 100).passed
    assert not Judged("density at 10 Hz", float("nan"), "uV2/Hz", 30, 100).passed
    assert not Acceptance((figure, Judged("slope", 4.0, "1", 2, 3))).passed


def test_a_recording_with_a_wrong_level_fails(tmp_path: Path) -> None:
    spec = SyntheticSpec(seed=31, duration_s=10.0, n_channels=36)
    silent = spec.model_copy(update={"background": spec.background.model_copy(update={"density_10hz_uv2_per_hz": 0.0})})
    synthesize(silent, tmp_path / "a.h5")
    path = tmp_path / "a.h5"
    failed = {figure.name for figure in Acceptance(signal_figures(path, read_truth(path))).failures}
    assert {"coherence below 10 Hz at 0.4 mm", "level 0.5-300 Hz"} <= failed


def test_a_recording_too_small_to_judge_is_one_sentence(tmp_path: Path) -> None:
    synthesize(SyntheticSpec(duration_s=4.0, n_channels=4), tmp_path / "a.h5")
    with pytest.raises(InputError, match="at least"):
        judge(tmp_path / "a.h5")


def test_level_density_and_slope_of_known_noise() -> None:
    rng = np.random.default_rng(0)
    white = rng.standard_normal((100_000, 4)).astype(np.float32)
    spectrum = spectra.spectrum(white, RATE_HZ)
    # White noise of variance 1 has density 2 / rate; 200 windows of 4 channels leave some percent.
    assert spectrum.density_near(100, 50.0) == pytest.approx(2 / RATE_HZ, rel=0.05)
    assert spectrum.slope(30, 300, 50.0) == pytest.approx(0.0, abs=0.1)
    assert spectra.level_uv(white, RATE_HZ) == pytest.approx(np.sqrt(0.6), rel=0.03)
    brown = np.cumsum(white, axis=0)
    assert spectra.spectrum(brown, RATE_HZ).slope(10, 100, 50.0) == pytest.approx(2.0, abs=0.15)


def test_mains_does_not_count_as_density_or_coherence() -> None:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((60_000, 2)).astype(np.float32)
    mains = 20 * np.sin(2 * np.pi * 100 * np.arange(60_000) / RATE_HZ)[:, None].astype(np.float32)
    place_mm = np.array([[0.0, 0.0], [0.4, 0.0]])
    clean, dirty = (spectra.spectrum(x, RATE_HZ).density_near(100, 50.0) for x in (noise, noise + mains))
    assert dirty == pytest.approx(clean, rel=0.02)
    assert spectra.coherence(noise + mains, RATE_HZ, place_mm, 0.4, (80, 120), 50.0) < 0.05


def test_coherence_of_shared_noise_is_the_square_of_its_share() -> None:
    rng = np.random.default_rng(2)
    shared, own = rng.standard_normal((100_000, 1)), rng.standard_normal((100_000, 2))
    mixed = (np.sqrt(0.7) * shared + np.sqrt(0.3) * own).astype(np.float32)
    place_mm = np.array([[0.0, 0.0], [0.4, 0.0]])
    # Some 200 windows: the standard error over a band is below 0.01.
    assert spectra.coherence(mixed, RATE_HZ, place_mm, 0.4, (80, 120), 50.0) == pytest.approx(0.49, abs=0.03)


def test_correlation_time_of_a_first_order_process_is_its_time_constant() -> None:
    rng = np.random.default_rng(3)
    signal = lfilter([1.0], [1.0, -np.exp(-1 / 40)], rng.standard_normal((200_000, 2)), axis=0)
    assert spectra.correlation_time_s(signal, RATE_HZ) == pytest.approx(0.040, rel=0.1)


def test_ridge_finds_a_linear_code_and_nothing_in_shuffled_labels() -> None:
    rng = np.random.default_rng(4)
    features = rng.standard_normal((6000, 10)).astype(np.float32)
    lag = decoding.LAGS[1]
    targets = np.roll(features[:, :2], lag, axis=0) + 0.5 * rng.standard_normal((6000, 2))
    both = np.concatenate([targets, np.roll(targets, 3000, axis=0)], axis=1)
    r2 = decoding.ridge_r2([features[:, :6], features[:, 6:]], both)
    # Noise of a quarter of the variance leaves 0.8.
    assert r2[:2] == pytest.approx([0.8, 0.8], abs=0.04)
    assert np.abs(r2[2:]).max() < 0.02


def noise_after(recording: Recording, sample: int, chunk_s: float) -> Iterator[tuple[int, F32]]:
    step, rng = round(chunk_s * RATE_HZ), np.random.default_rng(0)
    for start in range(0, recording.info.n_samples, step):
        lfp_uv = recording.lfp_uv(start, start + step)
        lfp_uv[max(sample - start, 0) :] = 50 * rng.standard_normal(lfp_uv[max(sample - start, 0) :].shape)
        yield start, lfp_uv


def test_features_for_judging_do_not_look_ahead(recording_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_recording(recording_path) as recording:
        whole = decoding.lfp_features(recording)
        monkeypatch.setattr(recording, "lfp_chunks", lambda chunk_s: noise_after(recording, 12_000, chunk_s))
        again = decoding.lfp_features(recording)
    before = whole.times_s < 12.0
    for first, second in zip((*whole.log_power, whole.lmp), (*again.log_power, again.lmp), strict=True):
        assert np.array_equal(first[before], second[before])
        assert not np.array_equal(first[~before], second[~before])
    assert before.sum() == 600


def test_spike_counts_use_each_spike_once_per_lag(recording_path: Path) -> None:
    times_s = (1 + np.arange(1197)) / 50
    with open_recording(recording_path) as recording:
        counts = decoding.spike_counts(recording, times_s)
        n_spikes = np.sum(recording.spikes().times_s < times_s[-1])
    spacing = decoding.LAGS[1]
    assert counts[spacing - 1 :: spacing].sum() == n_spikes


def test_the_picture_shows_both_recordings_and_is_reproducible(
    recording_path: Path, shared_data: Path, tmp_path: Path
) -> None:
    convert(shared_data / "rat_m851_open_field.nwb", tmp_path / "rat.h5")
    for name in ("a.svg", "b.svg"):
        spectrum_figure(recording_path, tmp_path / "rat.h5", tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    assert ET.fromstring(text).tag.endswith("svg")
    assert "synthetic, 64 channels" in text
    assert "real, 1 channel" in text
