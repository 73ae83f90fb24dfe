"""The vector kernels, compiled in every way that this machine can run, and a small bundle."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgebci.bundle import Provenance
from edgebci.checkpoint import Checkpoint, TrainingRecord, save_checkpoint
from edgebci.decoder_spec import DecoderSpec
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.bundle_writer import export_bundle
from edgebci.export.c_program import HERE as EXPORT
from edgebci.export.host_kernels import VECTOR_KERNELS
from edgebci.features.cases import front_end_case
from edgebci.files import sha256
from edgebci.firmware_sim.toolchain import compile_host
from edgebci.frame_stream import FrameStream

NATIVE = Path(__file__).resolve().parent / "native"
CASE = front_end_case("clean")


@pytest.fixture(scope="session")
def vector_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the vector kernels and the probe, as one program."""
    folder = tmp_path_factory.mktemp("vectors")
    for name in ("math", "mamba2", "mamba2_layer"):
        shutil.copy(EXPORT / "kernels" / f"edgebci_{name}.h", folder)
    for header in VECTOR_KERNELS.glob("*.h"):
        shutil.copy(header, folder)
    shutil.copy(NATIVE / "vector_probe.c", folder)
    return folder


@pytest.fixture(scope="session", params=["zig", "gcc"])
def vectors(request: pytest.FixtureRequest, vector_folder: Path) -> ctypes.CDLL:
    """By zig for this machine, with the instructions that it has; by gcc for any x86-64, in portable C."""
    out = vector_folder / f"{request.param}.so"
    return ctypes.CDLL(str(compile_host(vector_folder, out, request.param, "3", None)))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with student.safetensors and its bundle."""
    spec = DecoderSpec(
        n_inputs=CASE.front_end.n_features, output_names=("x", "y"), output_unit="cm/s", d_model=8, d_state=8, headdim=4
    )
    record = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=50, epochs_run=0, best_epoch=0, versions={})
    frames = random_frames(spec, 80, 2)
    stream = FrameStream(frames, np.arange(80) == 0, random_frames(spec, 80, 3)[:, :2].astype(float), np.ones(80, bool))
    folder, checkpoint = tmp_path_factory.mktemp("bench"), Checkpoint(spec, random_parameters(spec, 1), record)
    save_checkpoint(folder / "student.safetensors", checkpoint)
    provenance = Provenance(
        recording="r",
        recording_sha256="0" * 64,
        checkpoint_sha256=sha256(folder / "student.safetensors"),
        trials=1,
        test_intervals_s=((0.0, 1.0),),
    )
    export_bundle(folder / "bundle", checkpoint, CASE.front_end, stream, stream, provenance)
    return folder


@pytest.fixture(scope="session")
def small_bundle(exported: Path) -> Path:
    """A bundle for the Cortex-M4F."""
    return exported / "bundle"
