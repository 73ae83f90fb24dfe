"""edgebci init writes what edgebci run takes, whatever the rate and the number of channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebci.pipeline.configuration import PipelineConfig, load_pipeline
from edgebci.pipeline.initial_pipeline import bands_for
from edgebci.pipeline.preparation import load_prepared, prepare
from edgebci.progress import silent
from edgebci.recordings import RecordingInfo, RecordingWriter

AXES = {"cursor velocity": ("x", "y"), "pupil": ("width",)}


def recording(path: Path, rate_hz: float = 250.0, n_channels: int = 3, seconds: float = 120.0) -> Path:
    random, n = np.random.default_rng(0), int(seconds * 20)
    with RecordingWriter(
        path,
        subject_id="s",
        session_id="1",
        lfp_rate_hz=rate_hz,
        channel_names=tuple(f"ch{i}" for i in range(n_channels)),
    ) as writer:
        for name, axes in AXES.items():
            walk = np.cumsum(random.normal(size=(n, len(axes))), axis=0)
            writer.set_behavior(name.replace(" ", "_"), walk, unit="cm/s", rate_hz=20.0, axis_names=axes)
        writer.append_lfp(random.normal(scale=40, size=(int(seconds * rate_hz), n_channels)).astype(np.float32))
        writer.close()
    return path


@pytest.mark.parametrize(("rate_hz", "n_channels"), [(250.0, 3), (1017.252625, 4), (1000.0, 40), (12207.03125, 1)])
def test_what_init_writes_is_a_pipeline_that_prepares_frames(
    edgebci: Any, tmp_path: Path, rate_hz: float, n_channels: int
) -> None:
    file, out = recording(tmp_path / "own file.h5", rate_hz, n_channels, 80.0), tmp_path / "pipeline.toml"
    assert edgebci("init", file, "--out", out).code == 0
    config = load_pipeline(out)
    assert config.recording.path == file
    assert config.features.rate_hz == rate_hz
    prepare(file, config, tmp_path, silent)
    prepared = load_prepared(tmp_path)
    assert prepared.data.target_names == AXES["cursor velocity"]
    assert prepared.data.frames.shape[1] == config.features.n_features(n_channels)


def test_every_line_of_a_choice_says_why(edgebci: Any, tmp_path: Path) -> None:
    out = tmp_path / "pipeline.toml"
    edgebci("init", recording(tmp_path / "own.h5"), "--out", out)
    text = out.read_text()
    assert "Also in the file: pupil (1 axis, cm/s)." in text
    bands = [line for line in text.splitlines() if "low_hz" in line]
    assert len(bands) == 5
    assert all("#" in line for line in bands)


def test_another_target_can_be_asked_for_and_a_wrong_one_names_the_nearest(edgebci: Any, tmp_path: Path) -> None:
    file, out = recording(tmp_path / "own.h5"), tmp_path / "pipeline.toml"
    refused = edgebci("init", file, "--out", out, "--target", "pupill")
    assert refused.code == 2
    assert "did you mean 'pupil'?" in refused.err
    assert not out.exists()
    assert edgebci("init", file, "--out", out, "--target", "pupil").code == 0
    assert load_pipeline(out).recording.target == "pupil"


def test_a_pipeline_that_stands_there_is_not_replaced(edgebci: Any, tmp_path: Path) -> None:
    out = tmp_path / "pipeline.toml"
    out.write_text("mine")
    refused = edgebci("init", recording(tmp_path / "own.h5"), "--out", out)
    assert (refused.code, out.read_text()) == (2, "mine")


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"seconds": 20.0}, "longer recording"), ({"n_channels": 200, "seconds": 80.0}, "no shipped implant takes 200")],
)
def test_what_run_would_refuse_is_refused_at_once(
    edgebci: Any, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    out = tmp_path / "pipeline.toml"
    refused = edgebci("init", recording(tmp_path / "own.h5", **changes), "--out", out)
    assert refused.code == 2
    assert said in refused.err
    assert not out.exists()


def test_the_rat_of_an_nwb_file_is_taken_as_it_is(edgebci: Any, shared_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "pipeline.toml"
    ran = edgebci("init", shared_data / "rat_r1838_open_field.nwb", "--out", out)
    assert ran.code == 0
    assert "edgebci run" in ran.out
    config: PipelineConfig = load_pipeline(out)
    assert (config.recording.target, config.features.rate_hz) == ("velocity", 250.0)


@pytest.mark.parametrize("rate_hz", [30.0, 100.0, 250.0, 1000.0, 30000.0])
def test_no_band_passes_what_the_rate_can_carry(rate_hz: float) -> None:
    for n_channels in (1, 96):
        info = RecordingInfo(
            subject_id="s", session_id="1", lfp_rate_hz=rate_hz, n_channels=n_channels, n_samples=1, start_s=0,
            duration_s=1, channel_names=(), good_channels=(), behavior=(), n_units=0, intervals=(),
        )  # fmt: skip
        found = bands_for(info)
        assert all(low < high <= 0.45 * rate_hz for low, high in found)
        assert found or rate_hz == 30.0
