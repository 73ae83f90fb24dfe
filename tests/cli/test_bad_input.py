"""What a user gets wrong: one sentence, the right exit code, no traceback, nothing half-written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from edgebci.recordings import RecordingWriter

PIPELINE = """
schema = "edgebci.pipeline/1"
name = "bad"
[recording]
target = "velocity"
path = "{recording}"
[features]
rate_hz = {rate_hz}
frame_rate_hz = 25
bands = [{{ low_hz = 8, high_hz = {high_hz} }}]
[student]
d_model = {d_model}
[[implants]]
implant = "{implant}"
compute = "{compute}"
radio = "ble-2m"
"""


def write_recording(path: Path, lfp_uv: np.ndarray, behavior_s: float | None = None) -> Path:
    """A recording of noise at 250 Hz with a 2-D velocity at 50 Hz."""
    random = np.random.default_rng(0)
    seconds = len(lfp_uv) / 250
    times_s = np.arange(0, behavior_s or seconds, 0.02)
    with RecordingWriter(
        path,
        subject_id="s",
        session_id="1",
        lfp_rate_hz=250.0,
        channel_names=tuple(f"ch{i}" for i in range(lfp_uv.shape[1])),
    ) as writer:
        velocity = np.cumsum(random.normal(size=(len(times_s), 2)), axis=0) / 10
        writer.set_behavior("velocity", velocity, unit="cm/s", rate_hz=50.0, axis_names=("x", "y"))
        writer.append_lfp(lfp_uv.astype(np.float32))
        writer.close()
    return path


def noise(seconds: float = 100, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(1).normal(scale=40, size=(int(seconds * 250), channels))


def pipeline(folder: Path, recording: Path, **changes: object) -> Path:
    values: dict[str, object] = {
        "recording": recording,
        "rate_hz": 250,
        "high_hz": 30,
        "d_model": 64,
        "implant": "utah96-lfp",
        "compute": "stm32l4r5",
    }
    path = folder / "bad.toml"
    path.write_text(PIPELINE.format(**(values | changes)))
    return path


def assert_refused(ran: Any, *words: str) -> None:
    assert ran.code == 2, ran.err
    assert "Traceback" not in ran.err
    assert ran.err.strip().splitlines()[-1].startswith("edgebci: "), ran.err
    for word in words:
        assert word in ran.err, ran.err


def test_a_missing_recording(edgebci: Any, tmp_path: Path) -> None:
    assert_refused(
        edgebci("run", pipeline(tmp_path, tmp_path / "nowhere.h5"), "--out", tmp_path), "no recording", "nowhere.h5"
    )


def test_a_truncated_nwb(edgebci: Any, shared_data: Path, tmp_path: Path) -> None:
    whole = (shared_data / "rat_r1838_open_field.nwb").read_bytes()
    cut = tmp_path / "cut.nwb"
    cut.write_bytes(whole[: len(whole) // 2])
    assert_refused(edgebci("run", pipeline(tmp_path, cut), "--out", tmp_path), "cut.nwb", "cut short")


def test_an_hdf5_file_without_lfp_lists_what_there_is(edgebci: Any, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["weights"] = np.zeros(3)
    assert_refused(edgebci("run", pipeline(tmp_path, other), "--out", tmp_path), "weights")


def test_only_flat_channels(edgebci: Any, tmp_path: Path) -> None:
    flat = write_recording(tmp_path / "flat.h5", np.zeros((100 * 250, 3)))
    assert_refused(edgebci("run", pipeline(tmp_path, flat), "--out", tmp_path), "none of 3 channels carries a signal")


def test_a_behaviour_that_is_too_short(edgebci: Any, tmp_path: Path) -> None:
    short = write_recording(tmp_path / "short.h5", noise(), behavior_s=20.0)
    ran = edgebci("run", pipeline(tmp_path, short), "--out", tmp_path)
    assert_refused(ran, "20 s of recording", "longer recording")


def test_a_band_that_the_rate_cannot_carry(edgebci: Any, tmp_path: Path) -> None:
    good = write_recording(tmp_path / "good.h5", noise())
    ran = edgebci("run", pipeline(tmp_path, good, high_hz=200), "--out", tmp_path)
    assert_refused(ran, "250 Hz cannot carry 8-200 Hz")


def test_a_recording_of_another_rate(edgebci: Any, tmp_path: Path) -> None:
    good = write_recording(tmp_path / "good.h5", noise())
    assert_refused(edgebci("run", pipeline(tmp_path, good, rate_hz=1000), "--out", tmp_path), "set rate_hz = 250")


def test_a_decoder_too_big_for_the_chip_says_by_how_much(edgebci: Any, tmp_path: Path) -> None:
    good = write_recording(tmp_path / "good.h5", noise())
    ran = edgebci("run", pipeline(tmp_path, good, d_model=512, compute="nrf52840"), "--out", tmp_path)
    assert_refused(ran, "does not fit nrf52840", "too many", "flash")
    assert not (tmp_path / "bad" / "teacher").exists(), "found before anything was trained"


def test_a_mistyped_profile_names_the_nearest(edgebci: Any, tmp_path: Path) -> None:
    good = write_recording(tmp_path / "good.h5", noise())
    assert_refused(edgebci("run", pipeline(tmp_path, good, implant="utha96-lfp"), "--out", tmp_path), "utah96-lfp")


def test_a_mistyped_key_names_the_nearest(edgebci: Any, tmp_path: Path) -> None:
    path = pipeline(tmp_path, tmp_path / "x.h5")
    path.write_text(path.read_text().replace("frame_rate_hz", "frame_rate"))
    assert_refused(edgebci("run", path, "--out", tmp_path), "frame_rate", "did you mean 'frame_rate_hz'?")


def test_a_file_that_is_no_recording(edgebci: Any, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    assert_refused(edgebci("run", pipeline(tmp_path, text), "--out", tmp_path), "notes.txt", ".nwb and .h5")


def test_nan_samples_are_survived_and_a_dead_channel_is_left_out(tmp_path: Path, small_nan: Path) -> None:
    from edgebci.pipeline.configuration import load_pipeline
    from edgebci.pipeline.preparation import load_prepared, prepare
    from edgebci.progress import silent

    config = load_pipeline(pipeline(tmp_path, small_nan))
    prepare(small_nan, config, tmp_path, silent)
    prepared = load_prepared(tmp_path)
    assert prepared.front_end.good_channels.tolist() == [True, False, True]
    assert np.isfinite(prepared.data.frames).all()
    lost = (prepared.data.times_s > 5.0) & (prepared.data.times_s < 5.9)
    assert lost.any()
    assert not prepared.data.valid[lost].any()


@pytest.fixture
def small_nan(tmp_path: Path) -> Path:
    lfp_uv = noise()
    lfp_uv[5 * 250 : 6 * 250] = np.nan
    lfp_uv[2000:2010, 0] = np.nan
    lfp_uv[:, 1] = 0.0
    return write_recording(tmp_path / "nan.h5", lfp_uv)


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "no space left"), (errno.EACCES, "change its permissions")]
)
def test_a_disk_that_takes_no_more(
    number: int, said: str, edgebci: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "frames.safetensors")

    good = write_recording(tmp_path / "good.h5", noise())
    monkeypatch.setattr("edgebci.pipeline.preparation.write_tensors", refuse)
    assert_refused(edgebci("run", pipeline(tmp_path, good), "--out", tmp_path), said)
    assert (tmp_path / "bad" / "recording" / "stage.json").exists(), "finished stages are kept"


def test_ctrl_c_keeps_finished_stages_and_says_so(tmp_path: Path, heed_interrupts: Callable[[], None]) -> None:
    good = write_recording(tmp_path / "good.h5", noise())
    command = [sys.executable, "-m", "edgebci.cli.main", "run", str(pipeline(tmp_path, good)), "--out", str(tmp_path)]
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "bad" / "teacher").exists() and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130, err
    assert "finished stages are kept" in err
    assert "Traceback" not in err
    assert (tmp_path / "bad" / "features" / "stage.json").exists()


def test_a_target_that_the_recording_lacks_names_the_nearest(edgebci: Any, shared_data: Path, tmp_path: Path) -> None:
    path = pipeline(tmp_path, shared_data / "rat_r1838_open_field.nwb")
    path.write_text(path.read_text().replace('"velocity"', '"sped"'))
    assert_refused(edgebci("run", path, "--out", tmp_path), "sped", "did you mean 'speed'?")
