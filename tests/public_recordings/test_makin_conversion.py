"""Makin: MATLAB v7.3 and NWB broadband to one recording, on one clock, in known units."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from edgebci.errors import InputError
from edgebci.public_recordings import makin
from edgebci.public_recordings.lfp import Block
from edgebci.public_recordings.makin import Broadband, convert_makin, open_broadband, read_behavior
from edgebci.recordings import open_recording
from tests.public_recordings.conftest import V_PER_COUNT, MakinWorld

Pair = tuple[Path, Path]
Edit = Callable[[Path, Callable[[h5py.File], None]], None]


def test_behaviour_spikes_and_lfp_share_one_clock_and_have_units(
    makin_pair: Pair, world: MakinWorld, tmp_path: Path
) -> None:
    info = convert_makin(*makin_pair, tmp_path / "out.h5")
    assert (info.session_id, info.subject_id, info.lfp_rate_hz) == ("indy_20160622_01", "indy", 1000.0)
    assert info.channel_names[0] == "M1 001"
    assert info.behavior_names == ("cursor_position", "cursor_velocity", "finger_position", "target_position")
    with open_recording(tmp_path / "out.h5") as recording:
        velocity = recording.behavior("cursor_velocity")
        lfp_uv = recording.lfp_uv(0, info.n_samples).astype(np.float64)
        np.testing.assert_allclose(recording.behavior("cursor_position").values, world.cursor_mm)
    assert velocity.unit == "mm/s"
    lfp_s = info.start_s + np.arange(info.n_samples) / info.lfp_rate_hz
    # 2 ms of the filter's delay and 5 uV of noise; the signal has hundreds.
    truth = np.stack([np.interp(lfp_s - 2e-3, world.broadband_s, c) for c in world.broadband_uv.T], axis=1)
    assert np.abs(lfp_uv - truth)[100:].max() < 30
    assert np.corrcoef(lfp_uv[100:, 0], truth[100:, 0])[0, 1] > 0.99


def test_velocity_is_the_central_difference_of_the_cursor(makin_pair: Pair, world: MakinWorld) -> None:
    behavior = read_behavior(makin_pair[0])
    expected = 150 * np.cos(3 * world.times_s)
    np.testing.assert_allclose(behavior.velocity_mm_s[1:-1, 0], expected[1:-1], atol=0.02)


def test_an_empty_cell_is_no_unit_and_adds_no_spike(makin_pair: Pair, world: MakinWorld) -> None:
    behavior = read_behavior(makin_pair[0])
    assert len(behavior.unit_names) == len(world.spikes_s) == 7
    assert "M1 002 unsorted" in behavior.unit_names
    assert "M1 002 unit 1" not in behavior.unit_names
    assert len(behavior.spikes_s) == sum(len(s) for s in world.spikes_s.values())
    third = behavior.spikes_s[behavior.spike_unit == behavior.unit_names.index("M1 003 unit 1")]
    np.testing.assert_array_equal(third, world.spikes_s[2, 1])


def test_the_task_runs_from_the_first_change_of_target_to_the_last(makin_pair: Pair, tmp_path: Path) -> None:
    convert_makin(*makin_pair, tmp_path / "out.h5")
    with open_recording(tmp_path / "out.h5") as recording:
        np.testing.assert_allclose(recording.intervals("task"), [[101.0, 105.0]], atol=1e-9)
        assert len(recording.intervals("trials")) == 4


def test_a_pause_of_the_recorder_is_a_gap(makin_pair: Pair, tmp_path: Path, edit_hdf5: Edit) -> None:
    def pause(file: h5py.File) -> None:
        stamps = file["acquisition/timeseries/broadband/timestamps"]
        stamps[60_000:] = stamps[60_000:] + 1.0

    edit_hdf5(makin_pair[1], pause)
    convert_makin(*makin_pair, tmp_path / "out.h5")
    with open_recording(tmp_path / "out.h5") as recording:
        missing = np.isnan(recording.lfp_uv(0, recording.info.n_samples)).all(axis=1)
    assert missing.sum() == pytest.approx(1000, abs=2)


def test_samples_at_the_converters_limit_are_marked(makin_pair: Pair, tmp_path: Path, edit_hdf5: Edit) -> None:
    def saturate(file: h5py.File) -> None:
        data = file["acquisition/timeseries/broadband/data"]
        data[50_000:52_000, 0] = np.full(2000, 32767, dtype=np.int16)

    edit_hdf5(makin_pair[1], saturate)
    convert_makin(*makin_pair, tmp_path / "out.h5")
    with open_recording(tmp_path / "out.h5") as recording:
        ((start_s, stop_s),) = recording.intervals("rail")
    assert (start_s, stop_s) == pytest.approx((99.9 + 50_000 / 24414.0625, 99.9 + 52_000 / 24414.0625), abs=1e-3)


def test_memory_does_not_grow_with_the_length(
    tmp_path: Path, makin_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def peak_bytes(n_blocks: int) -> int:
        counts = np.random.default_rng(0).integers(-900, 900, (makin.BLOCK_ROWS, 4)).astype(np.int16)

        def blocks(_: Broadband) -> Iterator[Block]:
            for i in range(n_blocks):
                rows = np.arange(i * makin.BLOCK_ROWS, (i + 1) * makin.BLOCK_ROWS)
                yield Block(99.9 + rows / 24414.0625, counts)

        monkeypatch.setattr(Broadband, "blocks", blocks)
        tracemalloc.start()
        convert_makin(*makin_pair, tmp_path / "out.h5")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(2)  # imports and caches
    assert peak_bytes(24) < 1.2 * peak_bytes(6)  # four times the length


@pytest.mark.parametrize(
    ("which", "gone", "said"),
    [
        (0, "spikes", "has no variable 'spikes'"),
        (1, "acquisition/timeseries/broadband/timestamps", "with timestamps and conversion"),
    ],
)
def test_a_file_without_its_parts_is_refused(
    makin_pair: Pair, tmp_path: Path, edit_hdf5: Edit, which: int, gone: str, said: str
) -> None:
    def remove(file: h5py.File) -> None:
        del file[gone]

    edit_hdf5(makin_pair[which], remove)
    with pytest.raises(InputError, match=said):
        convert_makin(*makin_pair, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


def test_files_of_two_sessions_are_refused(makin_pair: Pair, tmp_path: Path, edit_hdf5: Edit) -> None:
    def later(file: h5py.File) -> None:
        stamps = file["acquisition/timeseries/broadband/timestamps"]
        stamps[:] = stamps[:] + 1000.0

    edit_hdf5(makin_pair[1], later)
    with pytest.raises(InputError, match="do not overlap; give files of one session"):
        convert_makin(*makin_pair, tmp_path / "out.h5")


def test_a_cut_file_is_one_sentence(makin_pair: Pair, tmp_path: Path) -> None:
    makin_pair[1].write_bytes(makin_pair[1].read_bytes()[:-5000])
    with pytest.raises(InputError, match="cut short"):
        convert_makin(*makin_pair, tmp_path / "out.h5")


def test_counts_become_microvolt_by_the_files_own_factor(makin_pair: Pair) -> None:
    with open_broadband(makin_pair[1]) as broadband:
        assert broadband.uv_per_count == pytest.approx(1e6 * V_PER_COUNT)
        assert broadband.rate_hz == pytest.approx(24414.0625, rel=1e-6)
