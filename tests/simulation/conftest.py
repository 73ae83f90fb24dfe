"""A small bundle with its recording: 10 channels, 60 s at 500 Hz; only the readout was fitted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from edgebci.bundle import open_bundle, write_manifest
from edgebci.checkpoint import Checkpoint, TrainingRecord, save_checkpoint
from edgebci.decoder_spec import DecoderSpec
from edgebci.example_decoder import random_parameters
from edgebci.features.specification import Band, FeatureSpec
from edgebci.files import sha256
from edgebci.pipeline.configuration import PreparationConfig, RecordingConfig
from edgebci.pipeline.export_frames import FrameSource
from edgebci.pipeline.preparation import load_prepared, prepare
from edgebci.pipeline.source import obtain, recording_path
from edgebci.progress import silent
from edgebci.synthetic.specification import SyntheticSpec
from edgebci.training.recalibration import refit_readout
from edgebci.training.recipe import RidgeRecipe
from tests.exporting import exported, few_steps

FEATURES = FeatureSpec(
    rate_hz=500,
    frame_rate_hz=25,
    bands=(Band(low_hz=8, high_hz=30, order=1), Band(low_hz=70, high_hz=200, order=1)),
    startup_s=0.5,
)


@dataclass(frozen=True)
class Shipped:
    """A bundle and the recording that it was made from."""

    bundle: Path
    recording: Path


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    root = tmp_path_factory.mktemp("simulation")
    synthetic = SyntheticSpec(seed=9200, duration_s=75, n_channels=10, rate_hz=500)
    source = RecordingConfig(synthetic=synthetic, target="velocity")
    obtain(source, root, silent)
    recording = recording_path(source, root)
    config = PreparationConfig(recording=RecordingConfig(path=recording, target="velocity"), features=FEATURES)
    prepare(recording, config, root / "features", silent)
    data = load_prepared(root / "features").data
    sizes = {"d_model": 32, "d_state": 8, "headdim": 16}
    names = {"output_names": data.target_names, "output_unit": data.target_unit}
    spec = DecoderSpec.model_validate({"n_inputs": 20, **names, **sizes})
    hashes = {"train": data.fingerprint("train")}
    record = TrainingRecord(
        recipe={"seed": 1}, data_sha256=hashes, frame_rate_hz=25.0, epochs_run=1, best_epoch=1, versions={}
    )
    recipe = RidgeRecipe(lags=4, folds=2, gap_s=1.0)
    fitted = refit_readout(Checkpoint(spec, random_parameters(spec, 1), record), data, recipe)
    save_checkpoint(root / "student" / "student_1.safetensors", fitted)
    with few_steps():
        frames = FrameSource(prepared=root / "features")
        exported(root / "student" / "student_1.safetensors", root / "bundle", "cortex-m4f", frames=frames)
    _say_where_from(root / "bundle", recording, load_prepared(root / "features").part_s("test"))
    return Shipped(root / "bundle", recording)


def _say_where_from(folder: Path, recording: Path, test_s: tuple[float, float]) -> None:
    """Frames that were given alone do not tell their recording, which `edgebci run` writes into the manifest."""
    manifest = open_bundle(folder).manifest
    origin = {"recording": recording.name, "recording_sha256": sha256(recording), "test_intervals_s": (test_s,)}
    provenance = manifest.provenance.model_copy(update=origin)
    write_manifest(folder, manifest.model_copy(update={"provenance": provenance}))
