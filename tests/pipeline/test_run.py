"""The whole pipeline, small: what it must keep whatever the data."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from edgebci.bundle import open_bundle
from edgebci.checkpoint import load_checkpoint
from edgebci.operators.cells import CellKind
from edgebci.pipeline import learning, run
from edgebci.pipeline.configuration import PipelineConfig, StudentConfig
from edgebci.pipeline.run import run_pipeline
from edgebci.progress import silent
from edgebci.recordings import open_recording
from edgebci.reporting import Report


@pytest.fixture(scope="module")
def finished(small_config: PipelineConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    root = tmp_path_factory.mktemp("run") / "small"
    return root, run_pipeline(small_config, root, "edgebci run small.toml", silent)


def student_bytes(root: Path) -> bytes:
    return learning.student_path(root / "student", 1).read_bytes()


def test_all_forms_are_scored_and_the_device_is_bit_exact(finished: tuple[Path, Report]) -> None:
    _, report = finished
    assert [form.name for form in report.forms] == ["torch", "ONNX float", "ONNX int8", "device (host twin)"]
    assert report.bit_exactness.reference_equals_host
    assert report.bit_exactness.host_equals_target
    assert report.bit_exactness.n_frames == report.data.n_test_frames > 200
    assert len(report.implants) == 1


def test_the_bundle_names_the_accuracy_of_every_form(finished: tuple[Path, Report]) -> None:
    root, report = finished
    manifest = open_bundle(root / "export" / "bundle").manifest
    assert [a.form for a in manifest.accuracy] == [form.name for form in report.forms]
    assert (root / "report.html").stat().st_size > 50_000


def test_a_second_run_keeps_every_stage_and_says_the_same(
    finished: tuple[Path, Report], small_config: PipelineConfig
) -> None:
    root, report = finished
    again = run_pipeline(small_config, root, "edgebci run small.toml", silent)
    assert all(stage.was_kept for stage in again.stages)
    assert again.forms == report.forms
    assert again.baseline == report.baseline


def test_an_interrupted_run_goes_on_and_gives_the_same_decoder(
    finished: tuple[Path, Report], small_config: PipelineConfig, tmp_path: Path
) -> None:
    class Stop:
        """Ctrl-C at the second note of the student stage, once."""

        seen = 0

        def __call__(self, fraction: float, note: str) -> None:
            self.seen += note.startswith("student:")
            if self.seen == 2:
                raise KeyboardInterrupt

    root = tmp_path / "small"
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(small_config, root, "", Stop())
    assert (root / "teacher" / "stage.json").exists()
    assert not (root / "student" / "stage.json").exists()
    run_pipeline(small_config, root, "", silent)
    assert student_bytes(root) == student_bytes(finished[0])


def test_the_test_part_decides_nothing(
    finished: tuple[Path, Report], small_config: PipelineConfig, tmp_path: Path
) -> None:
    """Every sample of the test part and its gap becomes noise: weights, scales and statistics stay the same bytes."""
    root, report = finished
    noisy = tmp_path / "noisy.h5"
    shutil.copy(root / "recording" / "recording.h5", noisy)
    replace_lfp_by_noise(noisy, from_s=report.data.split.validation_s[1])
    config = small_config.model_copy(
        update={"recording": small_config.recording.model_copy(update={"path": noisy, "synthetic": None})}
    )
    other = tmp_path / "other"
    changed = run_pipeline(config, other, "", silent)
    assert changed.form("torch").score != report.form("torch").score
    assert load_checkpoint(learning.student_path(other / "student", 1)).parameters.keys()
    assert student_bytes(other) == student_bytes(root)
    for name in ("quantized.safetensors", "front_end.safetensors", "decoder_int8.onnx"):
        bundle = Path("export", "bundle", name)
        assert (other / bundle).read_bytes() == (root / bundle).read_bytes()
    assert changed.baseline.description == report.baseline.description


def replace_lfp_by_noise(path: Path, from_s: float) -> None:
    with open_recording(path) as recording:
        rate_hz = recording.info.lfp_rate_hz
    with h5py.File(path, "r+") as file:
        (lfp,) = [d for d in file["lfp"].values() if getattr(d, "ndim", 0) == 2]
        start = round(from_s * rate_hz)
        noise = np.random.default_rng(0).normal(scale=50, size=(lfp.shape[0] - start, lfp.shape[1]))
        lfp[start:] = noise.astype(lfp.dtype)


def test_stages_are_named_in_the_order_in_which_they_run(finished: tuple[Path, Report]) -> None:
    _, report = finished
    assert [stage.name for stage in report.stages] == [name for name in run.SHARES if name != "report"]


def test_the_streaming_example_gives_the_device_s_frames(finished: tuple[Path, Report]) -> None:
    root, _ = finished
    example = Path(__file__).parents[2] / "examples" / "stream_through_device.py"
    paths = [str(root / "export" / "bundle"), str(root / "recording" / "recording.h5")]
    shown = subprocess.run(
        [sys.executable, str(example), *paths, "--seconds", "2"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(shown) == 2 * 25
    assert "not valid" in shown[0]
    assert "cm/s" in shown[-1]


@pytest.mark.parametrize("cell", ["mamba2", "s4d", "gru"])
def test_a_pipeline_chooses_the_cell_of_its_student(cell: CellKind) -> None:
    spec = StudentConfig(cell=cell).decoder_spec(16, ("x",), "cm/s")
    assert spec.cell == cell
    assert any(name.startswith("layers.0.") for name in spec.parameter_shapes())
