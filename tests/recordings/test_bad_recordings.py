"""Bad input: one sentence that says what was found, what is allowed and what to do, and nothing half-written."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from edgebci.errors import InputError
from edgebci.recordings import NwbOptions, RecordingWriter, conversion, open_recording, writer
from edgebci.recordings.conversion import convert, describe

NwbMaker = Callable[..., Path]
COUNTS = np.random.default_rng(0).normal(0, 100, (4000, 3)).astype(np.int16)


def refusal(path: Path, out: Path, options: NwbOptions | None = None) -> str:
    """The one sentence with which a conversion is refused; checks that it leaves nothing behind."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(InputError) as caught:
        convert(path, out, options)
    assert sorted(out.parent.iterdir()) == before
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def test_a_missing_file_names_the_nearest(make_nwb: NwbMaker, tmp_path: Path) -> None:
    make_nwb()
    message = refusal(tmp_path / "inn.nwb", tmp_path / "out.h5")
    assert "no file" in message
    assert "did you mean 'in.nwb'?" in message


def test_a_folder_without_recordings_says_so(tmp_path: Path) -> None:
    assert "holds no recording: check the path" in refusal(tmp_path / "x.nwb", tmp_path / "out.h5")
    assert "is a folder, not a recording" in refusal(tmp_path, tmp_path / "out.h5")


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_truncated_file_is_told_from_another_kind_of_file(make_nwb: NwbMaker, tmp_path: Path, share: float) -> None:
    path = make_nwb()
    os.truncate(path, int(share * path.stat().st_size))
    assert "is cut short" in refusal(path, tmp_path / "out.h5")


def test_a_file_that_is_empty_or_not_hdf5_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.nwb").touch()
    assert "is empty; copy it again" in refusal(tmp_path / "empty.nwb", tmp_path / "out.h5")
    (tmp_path / "text.nwb").write_text("not HDF5 at all" * 100)
    assert "is not an HDF5 file" in refusal(tmp_path / "text.nwb", tmp_path / "out.h5")


def test_hdf5_that_is_neither_nwb_nor_a_recording_says_what_it_holds(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "mat.h5", "w") as file:
        file["eeg_matrix"] = np.zeros(3)
    assert "is HDF5 but not NWB" in refusal(tmp_path / "mat.h5", tmp_path / "out.h5")
    with pytest.raises(InputError, match=r"not in temporaldata's layout \(it holds eeg_matrix\)"):
        open_recording(tmp_path / "mat.h5")
    with pytest.raises(InputError, match=r"not in temporaldata's layout"):
        describe(tmp_path / "mat.h5")


def test_hdf5_that_only_claims_to_be_nwb_says_that_pynwb_cannot_read_it(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "fake.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
    assert "pynwb can't read" in refusal(tmp_path / "fake.nwb", tmp_path / "out.h5")


def test_an_nwb_file_is_not_opened_as_a_recording(make_nwb: NwbMaker) -> None:
    with pytest.raises(InputError, match=r"is an NWB file; convert it first: edgebci data convert"):
        open_recording(make_nwb())


def test_a_recording_with_a_broken_layout_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file.attrs["object"] = "Data"
        file.create_group("lfp")
    with pytest.raises(InputError, match="not laid out as temporaldata lays out a recording"):
        open_recording(tmp_path / "r.h5")


def test_without_lfp_the_message_lists_what_there_is(make_nwb: NwbMaker, tmp_path: Path) -> None:
    message = refusal(make_nwb(lfp=None), tmp_path / "out.h5")
    assert "has no LFP" in message
    assert "it holds speed (TimeSeries)" in message
    with h5py.File(tmp_path / "spikes.h5", "w") as file:
        file.attrs["object"], file.attrs["absolute_start"] = "Data", 0.0
        file["firing"] = np.zeros(3)
    with pytest.raises(InputError, match="has no LFP: it holds firing; an LFP is a RegularTimeSeries named one of lfp"):
        open_recording(tmp_path / "spikes.h5")


def test_several_lfp_series_must_be_told_apart(make_nwb: NwbMaker, tmp_path: Path) -> None:
    path = make_nwb(place="probes")
    assert "has several LFP series: lfp, other; name one of them" in refusal(path, tmp_path / "out.h5")
    wrong = refusal(path, tmp_path / "out.h5", NwbOptions(lfp="othr"))
    assert "no LFP series 'othr', did you mean 'other'?" in wrong


def test_a_wrong_behaviour_name_gets_the_nearest(make_nwb: NwbMaker, tmp_path: Path) -> None:
    path = make_nwb(position=np.zeros((800, 2)))
    message = refusal(path, tmp_path / "out.h5", NwbOptions(behavior=("sped",)))
    assert "no behaviour 'sped', did you mean 'speed'?" in message
    convert(path, tmp_path / "out.h5")
    with open_recording(tmp_path / "out.h5") as recording, pytest.raises(InputError, match="did you mean 'hand'"):
        recording.behavior("hands")


def test_without_any_behaviour_the_message_says_so(make_nwb: NwbMaker, tmp_path: Path) -> None:
    path = make_nwb(speed=None)
    message = refusal(path, tmp_path / "out.h5", NwbOptions(behavior=("speed",)))
    assert "no behaviour series at all, so 'speed' can't be decoded" in message
    convert(path, tmp_path / "out.h5")
    with (
        open_recording(tmp_path / "out.h5") as recording,
        pytest.raises(InputError, match="no behaviour series at all"),
    ):
        recording.behavior("speed")


def test_nan_samples_are_kept_as_missing_and_said_plainly(make_nwb: NwbMaker, tmp_path: Path) -> None:
    lfp = COUNTS.astype(np.float32)
    lfp[1000:1250, 0] = np.nan
    info = convert(make_nwb(lfp=lfp), tmp_path / "out.h5")
    assert "LFP missing or flat for 1 s in 1 stretches" in info.notes
    with open_recording(tmp_path / "out.h5") as recording:
        assert recording.intervals("dropout").tolist() == [[4.0, 5.0]]
        assert np.isnan(recording.lfp_uv(1000, 1250)[:, 0]).all()


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_recording_without_signal_is_refused(make_nwb: NwbMaker, tmp_path: Path, value: float) -> None:
    path = make_nwb(lfp=np.full((4000, 3), value, dtype=np.float32))
    assert "every channel of lfp is flat or missing all the time" in refusal(path, tmp_path / "out.h5")


def test_behaviour_shorter_than_lfp_says_which_part_is_used(make_nwb: NwbMaker, tmp_path: Path) -> None:
    info = convert(make_nwb(lfp=COUNTS, speed=np.arange(500.0)), tmp_path / "out.h5")
    assert info.notes == ("behaviour 'speed' covers 0-10 s and the LFP 0-16 s: the 10 s that both cover are used",)
    with open_recording(tmp_path / "out.h5") as recording:
        assert recording.overlap_s("speed") == (0.0, 10.0)
        assert recording.intervals("test")[0, 1] == 10.0


def test_behaviour_at_another_time_than_the_lfp_is_refused(make_nwb: NwbMaker, tmp_path: Path) -> None:
    message = refusal(make_nwb(speed_start_s=1000.0), tmp_path / "out.h5")
    assert "behaviour 'speed' covers 1000-1016 s, which does not overlap the LFP (0-16 s)" in message


def test_a_behaviour_elsewhere_matters_only_if_it_is_wanted(make_nwb: NwbMaker, tmp_path: Path) -> None:
    path = make_nwb(speed_start_s=1000.0, position=np.zeros((800, 2)))
    named = refusal(path, tmp_path / "out.h5", NwbOptions(behavior=("hand", "speed")))
    assert "behaviour 'speed' covers 1000-1016 s, which does not overlap" in named
    info = convert(path, tmp_path / "out.h5")
    assert info.notes == ("behaviour 'speed' covers 1000-1016 s and the LFP 0-16 s: the 0 s that both cover are used",)
    with open_recording(tmp_path / "out.h5") as recording:
        assert recording.overlap_s("hand") == (0.0, 16.0)
        with pytest.raises(InputError, match="do not overlap; check the clocks of the two"):
            recording.overlap_s("speed")


def test_nan_in_the_behaviour_is_said_plainly(make_nwb: NwbMaker, tmp_path: Path) -> None:
    speed = np.arange(800.0)
    speed[[3, 50]] = np.nan
    assert "behaviour 'speed' has 2 NaN values" in convert(make_nwb(speed=speed), tmp_path / "out.h5").notes


def test_a_recording_too_short_to_split_is_converted_and_says_so(make_nwb: NwbMaker, tmp_path: Path) -> None:
    info = convert(make_nwb(lfp=COUNTS[:500], speed=np.arange(100.0)), tmp_path / "out.h5")
    assert any("not split into train, valid and test" in note for note in info.notes)
    assert "train" not in {i.name for i in info.intervals}


def test_irregular_lfp_timestamps_are_refused(make_nwb: NwbMaker, tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(0).exponential(0.004, 4000))
    assert "timestamps of lfp are irregular" in refusal(make_nwb(timestamps_s=times), tmp_path / "out.h5")


def test_behaviour_timestamps_that_go_back_are_refused_where_they_are_wanted(
    make_nwb: NwbMaker, tmp_path: Path
) -> None:
    path = make_nwb(speed_timestamps_s=np.arange(800.0)[::-1].copy(), position=np.zeros((800, 2)))
    sentence = "timestamps of behaviour 'speed' do not ascend; correct them in the NWB file"
    assert sentence in refusal(path, tmp_path / "out.h5", NwbOptions(behavior=("speed",)))
    info = convert(path, tmp_path / "out.h5")
    assert info.behavior_names == ("hand",)
    assert info.notes[0].startswith("left out: ")
    assert sentence in info.notes[0]


@pytest.mark.parametrize(("series", "group"), [("lfp", "ecephys/LFP/lfp"), ("speed", "behavior/tracking/speed")])
def test_fewer_timestamps_than_samples_are_refused(make_nwb: NwbMaker, tmp_path: Path, series: str, group: str) -> None:
    path = make_nwb(timestamps_s=np.arange(4000) / 250.0, speed_timestamps_s=np.cumsum(np.full(800, 0.02)))
    with h5py.File(path, "a") as file:
        stored = file[f"processing/{group}/timestamps"]
        attributes, shorter = dict(stored.attrs), stored[:-5]
        del file[f"processing/{group}/timestamps"]
        file[f"processing/{group}/timestamps"] = shorter
        file[f"processing/{group}/timestamps"].attrs.update(attributes)
    message = refusal(path, tmp_path / "out.h5", NwbOptions(behavior=("speed",)))
    assert series in message
    assert re.search(r"has \d+ samples but \d+ timestamps", message)


def test_samples_that_the_disk_has_spoilt_are_one_sentence(make_nwb: NwbMaker, tmp_path: Path) -> None:
    path = make_nwb(lfp=COUNTS)
    with h5py.File(path, "a") as file:
        group = file["processing/ecephys/LFP/lfp"]
        attributes = dict(group["data"].attrs)
        del group["data"]
        dataset = group.create_dataset("data", data=COUNTS, chunks=(1000, 3), compression="gzip")
        dataset.attrs.update(attributes)
        place = dataset.id.get_chunk_info(2).byte_offset
    with path.open("r+b") as raw:
        raw.seek(place)
        raw.write(bytes(100))
    assert "samples of lfp can't be read" in refusal(path, tmp_path / "out.h5")


def test_columns_that_do_not_match_the_electrodes_are_refused(make_nwb: NwbMaker, tmp_path: Path) -> None:
    path = make_nwb(lfp=COUNTS)
    with h5py.File(path, "a") as file:
        group = file["processing/ecephys/LFP/lfp"]
        attributes = dict(group["data"].attrs)
        del group["data"]
        group["data"] = COUNTS.T
        group["data"].attrs.update(attributes)
    assert "4000 columns but 3 electrodes; data must be (time, channel)" in refusal(path, tmp_path / "out.h5")


@pytest.mark.parametrize("where", ["_write", "flush"])
def test_no_space_left_is_one_sentence_and_leaves_nothing(
    make_nwb: NwbMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer._ChunkedSignal, where, full)
    monkeypatch.setattr(writer, "CHUNK_BYTES", 6000)
    message = refusal(make_nwb(), tmp_path / "out.h5")
    assert f"no space left on the disk that holds {tmp_path}" in message


def test_a_full_disk_that_shows_only_when_hdf5_flushes_is_the_same_sentence(
    make_nwb: NwbMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise RuntimeError("Can't flush entry (file write failed: errno = 28, error message = 'No space left')")

    monkeypatch.setattr(h5py.File, "flush", full)
    assert "no space left on the disk" in refusal(make_nwb(), tmp_path / "out.h5")


FULL_DISK = """
import sys
from pathlib import Path
from edgebci.errors import InputError
from edgebci.recordings.conversion import convert
try:
    convert(Path(sys.argv[1]), Path(sys.argv[2]) / "out.h5")
except InputError as error:
    sys.stdout.write(str(error))
left = list(Path(sys.argv[2]).iterdir())
sys.exit(len(left))
"""


@pytest.mark.parametrize("size_kb", [64, 1500])
def test_a_disk_that_is_really_full_does_not_crash_hdf5(make_nwb: NwbMaker, tmp_path: Path, size_kb: int) -> None:
    path, disk = make_nwb(lfp=np.tile(COUNTS, (60, 1))), tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size={size_kb}k tmpfs "$1" && shift && exec "$@"'
    private = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", str(disk)]
    try:
        subprocess.run([*private, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets no user mount a small disk")
    command = [*private, sys.executable, "-c", FULL_DISK, str(path), str(disk)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "no space left on the disk" in done.stdout
    assert done.returncode == 0, done.stderr


def test_an_interrupted_conversion_leaves_what_was_there_before(make_nwb: NwbMaker, tmp_path: Path) -> None:
    path, out = make_nwb(), tmp_path / "out.h5"
    convert(path, out)
    before = out.read_bytes()

    def interrupt(fraction: float, note: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(path, out, progress=interrupt)
    assert out.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.nwb", "out.h5"]


def test_ctrl_c_in_the_middle_leaves_no_file(
    make_nwb: NwbMaker, tmp_path: Path, heed_interrupts: Callable[[], None]
) -> None:
    path, started = make_nwb(), tmp_path / "started"
    script = f"""
import time
from pathlib import Path
from edgebci.recordings.conversion import convert
def wait(fraction, note):
    Path({str(started)!r}).touch()
    time.sleep(60)
convert(Path({str(path)!r}), Path({str(tmp_path / "out.h5")!r}), progress=wait)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.DEVNULL, preexec_fn=heed_interrupts
    ) as process:
        while not started.exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.wait()
    assert started.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.nwb", "started"]


def test_a_recording_that_starts_or_ends_with_a_gap_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    for order in (("gap", "lfp"), ("lfp", "gap")):
        with (
            pytest.raises(ValueError, match="begins and ends with a sample"),
            RecordingWriter(
                tmp_path / "r.h5", subject_id="s", session_id="1", lfp_rate_hz=250.0, channel_names=("a", "b", "c")
            ) as target,
        ):
            for what in order:
                if what == "gap":
                    target.append_gap(100)
                else:
                    target.append_lfp(COUNTS.astype(np.float32))
    assert not list(tmp_path.iterdir())


def test_the_block_size_is_what_bounds_memory() -> None:
    assert conversion.BLOCK_BYTES <= 16 << 20
