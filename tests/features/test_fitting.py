"""Fitting: which channels are good, whose statistics are stored, and a front end's way to disk and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebci.errors import InputError
from edgebci.features.cases import base_counts, base_spec, front_end_case
from edgebci.features.fitting import Portion, fit_front_end, good_channels
from edgebci.features.front_end import FrontEnd
from edgebci.features.specification import Adc
from edgebci.features.stream import FeatureStream


def portions_of(counts: np.ndarray, missing: np.ndarray | None = None, size: int = 333) -> list[Portion]:
    absent = np.zeros(len(counts), dtype=bool) if missing is None else missing
    starts = range(0, len(counts), size)
    return [(counts[start : start + size], absent[start : start + size]) for start in starts]


def bad_counts() -> np.ndarray:
    """Channel 1 flat, 2 not a number, 3 mostly at a rail, 4 at a rail for a tenth of the time."""
    lfp_uv = base_counts() * Adc().uv_per_count
    lfp_uv[:, 1] = 40.0 + np.tile([0.0, 0.2], len(lfp_uv) // 2)
    lfp_uv[:, 2] = np.nan
    lfp_uv[: len(lfp_uv) * 6 // 10, 3] = 1e6
    lfp_uv[: len(lfp_uv) // 10, 4] = -1e6
    return Adc().counts(lfp_uv)


def test_flat_saturated_and_nan_channels_are_dead() -> None:
    good = good_channels(Adc(), portions_of(bad_counts()))
    assert np.flatnonzero(~good).tolist() == [1, 2, 3]


def test_missing_rows_do_not_count_for_or_against_a_channel() -> None:
    counts = Adc().counts(base_counts() * Adc().uv_per_count)
    missing = np.zeros(len(counts), dtype=bool)
    missing[:1200] = True
    counts[missing] = Adc().highest_count
    assert good_channels(Adc(), portions_of(counts, missing)).all()


def test_the_statistics_are_those_of_the_valid_training_frames() -> None:
    counts = bad_counts()
    front_end = fit_front_end(base_spec(), lambda: portions_of(counts))
    frames = FeatureStream(base_spec(), front_end.good_channels).push(counts)
    training = frames.features[frames.valid]
    assert 0 < len(training) < len(frames.features)
    good = np.tile(front_end.good_channels, len(base_spec().kinds))
    # Stored as float32: 24 bits, 6e-8.
    np.testing.assert_allclose(front_end.mean[good], training.mean(axis=0)[good], rtol=1e-6)
    np.testing.assert_allclose(front_end.sd[good], training.std(axis=0)[good], rtol=1e-6)
    assert (front_end.mean[~good] == 0.0).all()
    assert (front_end.sd[~good] == 1.0).all()


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        (np.zeros((0, 4), np.int16), "holds no samples; give a longer recording"),
        (
            np.full((2000, 4), 50, np.int16),
            "the largest standard deviation is 0 uV .flat is below 0.5 uV",
        ),
        (np.full((2000, 4), 32767, np.int16), "none of 4 channels carries a signal"),
        (base_counts()[:100].astype(np.int16), "no valid frame in the training part .start-up of 15 frames"),
    ],
)
def test_training_data_without_a_signal_are_refused(counts: np.ndarray, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        fit_front_end(base_spec(), lambda: portions_of(counts))


def test_a_front_end_survives_the_disk(tmp_path: Path) -> None:
    front_end = front_end_case("dead_channels").front_end
    front_end.save(tmp_path)
    loaded = FrontEnd.load(tmp_path)
    assert loaded.spec == front_end.spec
    for name in ("good_channels", "mean", "sd"):
        saved, read = getattr(front_end, name), getattr(loaded, name)
        assert (saved.dtype, saved.tobytes()) == (read.dtype, read.tobytes())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["front_end.json", "front_end.safetensors"]


def test_a_damaged_front_end_is_refused_in_words(tmp_path: Path) -> None:
    front_end_case("clean").front_end.save(tmp_path)
    tensors = tmp_path / "front_end.safetensors"
    content = tensors.read_bytes()
    for damage in (content[:100], b""):
        tensors.write_bytes(damage)
        with pytest.raises(InputError, match=r"cannot read the statistics in .*; export the front end again"):
            FrontEnd.load(tmp_path)
    tensors.unlink()
    with pytest.raises(InputError, match="cannot read the statistics in"):
        FrontEnd.load(tmp_path)


def test_statistics_of_another_front_end_are_refused(tmp_path: Path) -> None:
    front_end_case("clean").front_end.save(tmp_path)
    other = front_end_case("power_only").front_end
    other.save(tmp_path / "other")
    (tmp_path / "other" / "front_end.safetensors").replace(tmp_path / "front_end.safetensors")
    with pytest.raises(InputError, match=r"holds 10 channels and 30 features, but front_end.json .* 10 and 50"):
        FrontEnd.load(tmp_path)
