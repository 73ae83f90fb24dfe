"""NWB in, recording out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from edgebci.recordings import NwbOptions, TimeSplit, conversion, open_recording
from edgebci.recordings.conversion import convert, describe

NwbMaker = Callable[..., Path]
COUNTS = np.random.default_rng(0).normal(0, 100, (4000, 3)).astype(np.int16)


def lfp_of(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    with open_recording(path) as recording:
        return recording.lfp_uv(0, recording.info.n_samples)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_microvolt_is_counts_times_both_conversions_plus_offset(
    make_nwb: NwbMaker, tmp_path: Path, dtype: type
) -> None:
    gains = np.array([0.5, 1.0, 2.0])
    path = make_nwb(lfp=COUNTS.astype(dtype), conversion=2e-6, channel_conversion=gains, offset_v=3e-6)
    convert(path, tmp_path / "out.h5")
    # float32 keeps 24 bits of the sum; 400 uV to 1e-6 relative is far below any converter's step.
    np.testing.assert_allclose(lfp_of(tmp_path / "out.h5"), COUNTS * 2.0 * gains + 3.0, rtol=1e-6, atol=1e-4)


def test_the_result_does_not_depend_on_the_size_of_a_block(make_nwb: NwbMaker, tmp_path: Path) -> None:
    times = np.concatenate([np.arange(1500), 1600 + np.arange(2500)]) / 250.0
    path = make_nwb(lfp=COUNTS, timestamps_s=times)
    whole = convert(path, tmp_path / "whole.h5")
    for n_bytes in (600, 3001, 12345):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(conversion, "BLOCK_BYTES", n_bytes)
            assert convert(path, tmp_path / "cut.h5") == whole
        assert np.array_equal(lfp_of(tmp_path / "cut.h5"), lfp_of(tmp_path / "whole.h5"), equal_nan=True)


def test_raw_signal_serves_where_there_is_no_lfp_and_lfp_comes_first_where_both_are(
    make_nwb: NwbMaker, tmp_path: Path
) -> None:
    raw = make_nwb(lfp=COUNTS, place="acquisition")
    assert convert(raw, tmp_path / "raw.h5").n_samples == 4000
    both = make_nwb(lfp=COUNTS, place="both")
    assert describe(both).n_channels == 3
    assert describe(both, NwbOptions(lfp="raw")).n_channels == 3


def test_starting_time_moves_the_lfp_and_not_the_behaviour(make_nwb: NwbMaker, tmp_path: Path) -> None:
    info = convert(make_nwb(lfp=COUNTS, start_s=100.0, speed_start_s=98.0), tmp_path / "out.h5")
    assert (info.start_s, info.duration_s) == (100.0, 16.0)
    with open_recording(tmp_path / "out.h5") as recording:
        speed = recording.behavior("speed")
        assert speed.timestamps_s[[0, 1]].tolist() == pytest.approx([98.0, 98.02])
        assert speed.values[:3, 0].tolist() == [0.0, 1.0, 2.0]
        assert recording.overlap_s("speed") == (100.0, 114.0)


def test_a_pause_in_the_timestamps_becomes_a_gap_and_a_dropout(make_nwb: NwbMaker, tmp_path: Path) -> None:
    times = 7.0 + np.concatenate([np.arange(1500), 2500 + np.arange(2500)]) / 250.0
    info = convert(make_nwb(lfp=COUNTS, timestamps_s=times, speed=None), tmp_path / "out.h5")
    assert (info.lfp_rate_hz, info.start_s, info.n_samples) == (250.0, 7.0, 5000)
    lfp = lfp_of(tmp_path / "out.h5")
    assert np.array_equal(lfp[:1500], COUNTS[:1500])
    assert np.isnan(lfp[1500:2500]).all()
    assert np.array_equal(lfp[2500:], COUNTS[1500:])
    with open_recording(tmp_path / "out.h5") as recording:
        assert recording.intervals("dropout").tolist() == [[13.0, 17.0]]
    assert "LFP missing or flat for 4 s in 1 stretches" in info.notes


def test_behaviour_is_found_wherever_it_stands_and_keeps_its_unit_and_times(make_nwb: NwbMaker, tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.03, 800))
    hand = np.random.default_rng(2).normal(size=(800, 2))
    path = make_nwb(position=hand, speed_timestamps_s=times)
    info = convert(path, tmp_path / "out.h5")
    assert {b.name: (b.unit, b.rate_hz, b.n_dims) for b in info.behavior} == {
        "hand": ("metres", 50.0, 2),
        "speed": ("cm/s", None, 1),
    }
    with open_recording(tmp_path / "out.h5") as recording:
        assert np.array_equal(recording.behavior("speed").timestamps_s, times)
        assert np.array_equal(recording.behavior("hand").values, hand)
        assert recording.behavior("hand").axis_names == ("x", "y")
    only = convert(path, tmp_path / "only.h5", NwbOptions(behavior=("hand",)))
    assert only.behavior_names == ("hand",)


def test_units_become_spikes_in_order_of_time(make_nwb: NwbMaker, tmp_path: Path) -> None:
    trains = [np.array([0.5, 3.0, 15.0]), np.array([1.0, 2.0]), np.array([0.25, 20.0])]
    convert(make_nwb(spike_times_s=trains), tmp_path / "out.h5")
    with open_recording(tmp_path / "out.h5") as recording:
        spikes = recording.spikes()
    # The spike at 20 s lies after the LFP, which ends at 16 s.
    assert spikes.times_s.tolist() == [0.25, 0.5, 1.0, 2.0, 3.0, 15.0]
    assert spikes.unit_index.tolist() == [2, 0, 1, 1, 0, 0]
    assert spikes.n_units == 3


def test_quality_tells_stimulation_rail_and_dropout(make_nwb: NwbMaker, tmp_path: Path) -> None:
    lfp = np.clip(COUNTS, -128, 127)
    lfp[2000:2500] = 3
    path = make_nwb(lfp=lfp, pulses_s=np.array([1.0, 1.5, 2.0, 9.0]), invalid_s=[(12.0, 13.0)])
    info = convert(path, tmp_path / "out.h5")
    with open_recording(tmp_path / "out.h5") as recording:
        # Pulses up to 1 s apart are one train, and each counts for 0.1 s.
        np.testing.assert_allclose(recording.intervals("stimulation"), [[1.0, 2.1], [9.0, 9.1]])
        assert recording.intervals("dropout").tolist() == [[8.0, 10.0], [12.0, 13.0]]
        rail = recording.intervals("rail")
        clipped = np.flatnonzero((np.abs(lfp) >= 127).any(axis=1) & (lfp != -127).any(axis=1)) / 250.0
        assert len(clipped) > 100
        assert sum(np.any((rail[:, 0] <= t) & (t < rail[:, 1])) for t in clipped) > 0.9 * len(clipped)
    assert any("at the recorder's rail" in note for note in info.notes)


def test_a_dead_channel_is_named_and_masked(make_nwb: NwbMaker, tmp_path: Path) -> None:
    lfp = COUNTS.astype(np.float32)
    lfp[:, 1] = np.nan
    info = convert(make_nwb(lfp=lfp), tmp_path / "out.h5")
    assert info.good_channels == (True, False, True)
    assert any("not used: M1 1" in note for note in info.notes)


def test_a_split_by_time_is_written_with_its_gaps(make_nwb: NwbMaker, tmp_path: Path) -> None:
    split = TimeSplit(train=0.5, valid=0.25, test=0.25, gap_s=1.0)
    convert(make_nwb(lfp=COUNTS, speed=np.arange(800.0)), tmp_path / "out.h5", split=split)
    with open_recording(tmp_path / "out.h5") as recording:
        parts = [recording.intervals(name)[0].tolist() for name in ("train", "valid", "test")]
    assert parts == [[0.0, 7.0], [8.0, 11.5], [12.5, 16.0]]


def test_describing_an_nwb_file_agrees_with_converting_it(make_nwb: NwbMaker, tmp_path: Path) -> None:
    path = make_nwb(spike_times_s=[np.array([1.0])], pulses_s=np.array([1.0]))
    before, after = describe(path), convert(path, tmp_path / "out.h5")
    ignored = {"intervals", "notes", "good_channels"}
    assert before.model_dump(exclude=ignored) == after.model_dump(exclude=ignored)
    assert describe(tmp_path / "out.h5") == after


def test_progress_ends_at_one_and_never_goes_back(make_nwb: NwbMaker, tmp_path: Path) -> None:
    seen: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "BLOCK_BYTES", 6000)
        convert(make_nwb(lfp=COUNTS), tmp_path / "out.h5", progress=lambda fraction, _: seen.append(fraction))
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_compressed_nwb_data_is_read_in_whole_chunks(make_nwb: NwbMaker, tmp_path: Path) -> None:
    path = make_nwb(lfp=COUNTS)
    with h5py.File(path, "a") as file:
        group = file["processing/ecephys/LFP/lfp"]
        attributes = dict(group["data"].attrs)
        del group["data"]
        dataset = group.create_dataset("data", data=COUNTS, chunks=(700, 2), compression="gzip")
        dataset.attrs.update(attributes)
    convert(path, tmp_path / "out.h5")
    assert np.array_equal(lfp_of(tmp_path / "out.h5"), COUNTS)
