"""Data that a decoder cannot learn from are refused in one sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgebci.decoding_data import DecodingData, Part
from edgebci.errors import InputError


@pytest.fixture
def data() -> DecodingData:
    rng = np.random.default_rng(0)
    return DecodingData(
        frames=rng.standard_normal((100, 3), dtype=np.float32),
        targets=rng.standard_normal((100, 2), dtype=np.float32),
        valid=np.arange(100) >= 5,
        times_s=np.arange(100) / 50.0,
        train=((0, 40), (70, 90)),
        validation=((45, 60),),
        test=((92, 100),),
        target_names=("vx", "vy"),
        target_unit="cm/s",
    )


def test_rows_are_the_valid_frames_of_the_part(data: DecodingData) -> None:
    assert data.rows("train").tolist() == [*range(5, 40), *range(70, 90)]
    assert data.frame_rate_hz == pytest.approx(50.0)


def test_segments_are_cut_where_the_front_end_began_anew(data: DecodingData) -> None:
    resets = np.isin(np.arange(100), [0, 10, 30, 40])
    assert list(replace(data, reset_before=resets).segments(0, 40)) == [(0, 10), (10, 30), (30, 40)]
    assert list(data.segments(0, 40)) == [(0, 40)]


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_fingerprint_depends_on_its_own_part_only(data: DecodingData, part: Part) -> None:
    other = data.frames.copy()
    other[92:] += 1
    assert replace(data, frames=other).fingerprint(part) == data.fingerprint(part)
    other[0 if part == "train" else 50] += 1
    assert replace(data, frames=other).fingerprint(part) != data.fingerprint(part)


def test_nan_in_a_frame_is_refused_and_its_time_is_told(data: DecodingData) -> None:
    frames = data.frames.copy()
    frames[50, 1] = np.nan
    with pytest.raises(InputError, match=r"frame 50 at 1\.00 s holds NaN"):
        replace(data, frames=frames)


def test_nan_in_a_target_is_refused_only_where_it_would_be_used(data: DecodingData) -> None:
    targets = data.targets.copy()
    targets[[2, 42]] = np.nan  # during start-up, and in the gap between two parts
    assert replace(data, targets=targets).targets is targets
    targets[72, 0] = np.nan
    with pytest.raises(InputError, match=r"target at 1\.44 s holds NaN.*train"):
        replace(data, targets=targets)


@pytest.mark.parametrize("interval", [(30, 50), (60, 101), (62, 62)])
def test_intervals_that_overlap_or_leave_the_recording_are_refused(
    data: DecodingData, interval: tuple[int, int]
) -> None:
    with pytest.raises(InputError, match=r"empty, overlaps another or leaves"):
        replace(data, validation=(interval,))


def test_arrays_of_different_length_are_refused(data: DecodingData) -> None:
    with pytest.raises(InputError, match="targets has 99 entries where 100 belong"):
        replace(data, targets=data.targets[:99])
    with pytest.raises(InputError, match="2 target axes but 1 names"):
        replace(data, target_names=("speed",))
