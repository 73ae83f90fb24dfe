"""What `edgebci export` refuses: a sentence each, and the bundle that stood there stays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from edgebci.bundle import open_bundle
from edgebci.errors import InputError
from edgebci.pipeline.export_frames import FrameSource
from tests.exporting import exported


def rewritten_header(finished_run: Any, folder: Path, old: str, new: str) -> Path:
    with safe_open(finished_run.checkpoint, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        text = file.metadata()["edgebci"]
    assert old in text
    save_file(tensors, folder / "other.safetensors", metadata={"edgebci": text.replace(old, new)})
    return folder / "other.safetensors"


def test_a_checkpoint_of_another_version_is_refused_with_both_versions(finished_run: Any, tmp_path: Path) -> None:
    other = rewritten_header(finished_run, tmp_path, "edgebci.checkpoint/1", "edgebci.checkpoint/7")
    with pytest.raises(InputError, match=r"is version 7 of edgebci.checkpoint, this edgebci reads version 1; train"):
        exported(other, tmp_path / "b")


def test_a_teacher_is_refused_with_what_to_give_instead(finished_run: Any, tmp_path: Path) -> None:
    other = rewritten_header(finished_run, tmp_path, "edgebci.checkpoint/1", "edgebci.teacher/1")
    with pytest.raises(InputError, match="has no step to export; teachers are not for an implant: give the student"):
        exported(other, tmp_path / "b")


def test_a_cut_file_and_a_missing_one_are_refused(finished_run: Any, tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(finished_run.checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"neither a whole safetensors file nor .onnx"):
        exported(cut, tmp_path / "b")
    with pytest.raises(InputError, match=r"no file .*; give a checkpoint"):
        exported(tmp_path / "none.safetensors", tmp_path / "b")


def prepared_with(finished_run: Any, folder: Path, change: Any) -> Path:
    """The run's frames, changed, in a folder of their own."""
    folder.mkdir()
    for path in finished_run.features.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with safe_open(folder / "frames.safetensors", framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        text = change(tensors, json.loads(file.metadata()["edgebci"]))
    save_file(tensors, folder / "frames.safetensors", metadata={"edgebci": json.dumps(text)})
    return folder


def test_frames_that_were_cut_are_to_be_prepared_again(finished_run: Any, tmp_path: Path) -> None:
    folder = prepared_with(finished_run, tmp_path / "cut", lambda _, header: header)
    whole = (folder / "frames.safetensors").read_bytes()
    (folder / "frames.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"frames\.safetensors is not a whole safetensors file .* prepare it again"):
        exported(finished_run.checkpoint, tmp_path / "b", frames=FrameSource(prepared=folder))
    assert not (tmp_path / "b").exists()


def test_calibration_frames_with_nan_are_refused_with_the_first_of_them(finished_run: Any, tmp_path: Path) -> None:
    def spoil(tensors: Any, header: Any) -> Any:
        tensors["frames"][100, 3] = np.nan
        return header

    folder = prepared_with(finished_run, tmp_path / "nan", spoil)
    with pytest.raises(InputError, match=r"frame 100 at .* s holds NaN or infinity"):
        exported(finished_run.checkpoint, tmp_path / "b", frames=FrameSource(prepared=folder))


def test_too_little_to_calibrate_with_is_refused(finished_run: Any, tmp_path: Path) -> None:
    def shorten(tensors: Any, header: Any) -> Any:
        start, stop = header["parts"]["train"]
        kept = np.ones(len(tensors["frames"]), bool)
        kept[start + 100 : stop] = False
        for name in tensors:
            tensors[name] = tensors[name][kept]
        header["parts"]["train"] = (start, start + 100)
        return header

    folder = prepared_with(finished_run, tmp_path / "short", shorten)
    with pytest.raises(InputError, match=r"4\.0 s of training frames are too few to calibrate with, needed are 10 s"):
        exported(finished_run.checkpoint, tmp_path / "b", frames=FrameSource(prepared=folder))


def test_a_recording_without_a_training_part_is_refused_as_too_short(finished_run: Any, tmp_path: Path) -> None:
    def emptied(tensors: Any, header: Any) -> Any:
        header["parts"]["train"] = (0, 0)
        return header

    folder = prepared_with(finished_run, tmp_path / "none", emptied)
    with pytest.raises(InputError, match=r"0\.0 s of training frames are too few to calibrate with, needed are 10 s"):
        exported(finished_run.checkpoint, tmp_path / "b", frames=FrameSource(prepared=folder))
    assert not (tmp_path / "b").exists()


def test_a_state_that_never_settles_is_refused_by_name(finished_run: Any, tmp_path: Path) -> None:
    """A decay of 1 and inputs of one sign: the state adds up for ever."""
    parameters = finished_run.parameters()
    endless = {"layers.1.mixer.A_log": np.full_like(parameters["layers.1.mixer.A_log"], -30.0)}
    other = finished_run.rewritten(tmp_path, parameters=endless)
    with pytest.raises(InputError, match=r"ssm\.1\[\d\] never settles: it forgets a part in"):
        exported(other, tmp_path / "b", frames=FrameSource(prepared=finished_run.features))
    assert not (tmp_path / "b").exists()


def test_what_fails_leaves_the_bundle_that_stood_there(finished_run: Any, in_float: Path, tmp_path: Path) -> None:
    shutil.copytree(in_float, tmp_path / "b")
    with pytest.raises(InputError, match="cannot be exported in 'fp16'"):
        exported(finished_run.checkpoint, tmp_path / "b", "cortex-m4f", precision="fp16")
    wrong = finished_run.rewritten(tmp_path / "x", {"readout.bias": np.full(2, np.nan, np.float32)})
    with pytest.raises(InputError, match="holds NaN or infinity; train it again"):
        exported(wrong, tmp_path / "b", frames=FrameSource(prepared=finished_run.features))
    assert open_bundle(tmp_path / "b").manifest == open_bundle(in_float).manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "x"]
