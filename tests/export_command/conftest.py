"""A run folder as `edgebci run` leaves it, small: 10 channels, 90 s, a decoder whose readout alone was fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgebci.checkpoint import Checkpoint, Floats, TrainingRecord, load_checkpoint, save_checkpoint
from edgebci.decoder_spec import DecoderSpec
from edgebci.example_decoder import random_parameters
from edgebci.features.specification import Band, FeatureSpec
from edgebci.pipeline.configuration import PreparationConfig, RecordingConfig
from edgebci.pipeline.export_command import export
from edgebci.pipeline.export_order import ExportOrder, ExportResult
from edgebci.pipeline.preparation import load_prepared, prepare
from edgebci.pipeline.source import obtain, recording_path
from edgebci.progress import silent
from edgebci.synthetic.specification import SyntheticSpec
from edgebci.training.recalibration import refit_readout
from edgebci.training.recipe import RidgeRecipe

FEATURES = FeatureSpec(
    rate_hz=500,
    frame_rate_hz=25,
    bands=(Band(low_hz=8, high_hz=30, order=1), Band(low_hz=70, high_hz=200, order=1)),
    startup_s=0.5,
)
RIDGE = RidgeRecipe(lags=4, folds=2, gap_s=1.0)


@dataclass(frozen=True)
class Run:
    """Where things lie in a run folder."""

    root: Path

    @property
    def checkpoint(self) -> Path:
        return self.root / "student" / "student_1.safetensors"

    @property
    def features(self) -> Path:
        return self.root / "features"

    @property
    def recording(self) -> Path:
        return self.root / "recording" / "recording.h5"

    def parameters(self) -> dict[str, Floats]:
        return dict(load_checkpoint(self.checkpoint).parameters)

    def rewritten(
        self, folder: Path, parameters: dict[str, Floats] | None = None, data_sha256: dict[str, str] | None = None
    ) -> Path:
        """The checkpoint in `folder`, with some tensors or hashes changed."""
        checkpoint = load_checkpoint(self.checkpoint)
        said = data_sha256 or checkpoint.training.data_sha256
        record = checkpoint.training.model_copy(update={"data_sha256": said})
        changed = Checkpoint(checkpoint.spec, self.parameters() | (parameters or {}), record)
        save_checkpoint(folder / "other.safetensors", changed)
        return folder / "other.safetensors"


def _recorded(folder: Path, seed: int, n_channels: int = 10) -> Path:
    """A minute and a half of synthetic LFP."""
    source = RecordingConfig(
        synthetic=SyntheticSpec(seed=seed, duration_s=90, n_channels=n_channels, rate_hz=500), target="velocity"
    )
    folder.mkdir(parents=True, exist_ok=True)
    obtain(source, folder, silent)
    return recording_path(source, folder)


@pytest.fixture(autouse=True)
def _quick(few_evaluator_steps: None) -> None:
    """Bundles of tests; those that tests share take as many steps as everyone's."""


@pytest.fixture
def make_recording() -> Callable[..., Path]:
    return _recorded


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("runs") / "small")
    recording = _recorded(run.root / "recording", 9100)
    config = PreparationConfig(recording=RecordingConfig(path=recording, target="velocity"), features=FEATURES)
    prepare(recording, config, run.features, silent)
    data = load_prepared(run.features).data
    spec = DecoderSpec(
        n_inputs=20, output_names=data.target_names, output_unit=data.target_unit, d_model=32, d_state=8, headdim=16
    )
    record = TrainingRecord(
        recipe={"seed": 1},
        data_sha256={"train": data.fingerprint("train")},
        frame_rate_hz=25.0,
        epochs_run=1,
        best_epoch=1,
        versions={},
    )
    save_checkpoint(run.checkpoint, refit_readout(Checkpoint(spec, random_parameters(spec, 1), record), data, RIDGE))
    return run


@pytest.fixture(scope="session")
def for_a_core(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """The bundle for a Cortex-M4F; tests copy it before they change it."""
    folder = tmp_path_factory.mktemp("bundles") / "m4"
    return export(ExportOrder(model=finished_run.checkpoint, out=folder, target="cortex-m4f"), silent)


@pytest.fixture(scope="session")
def in_float(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle for ONNX Runtime in float32."""
    folder = tmp_path_factory.mktemp("bundles") / "cpu"
    export(ExportOrder(model=finished_run.checkpoint, out=folder, target="cpu", precision="fp32"), silent)
    return folder
