"""The float32 C of every decoder: bits of its reference, which agrees with float64, on this machine and on a core."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgebci.arithmetic import F32
from edgebci.bundle import Provenance
from edgebci.checkpoint import Checkpoint, TrainingRecord
from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.bundle_writer import export_bundle
from edgebci.export.c_generator import generate
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.decoder_forms import Wanted
from edgebci.export.host_kernels import put_vector_kernels
from edgebci.export.single_reference import SingleDecoder
from edgebci.export.step_graph import float_step_graph
from edgebci.export.stream_comparison import FLOAT_TOLERANCE
from edgebci.features.cases import front_end_case
from edgebci.firmware_sim.host_step import STEP_HARNESS, HostStepper
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import Compiler, compile_host, compile_target
from edgebci.frame_stream import FrameStream
from edgebci.pipeline.bundle_check import verify_bundle
from edgebci.pipeline.export_command import forms_of
from edgebci.pipeline.export_scoring import C_FORM
from edgebci.progress import silent

CASE = front_end_case("clean")
TOKENIZER = {"channel_features": 3, "conv_taps": 3, "attention_taps": 5, "activation": "gelu", "mean_frames": 100.0}
DECODERS: dict[str, dict[str, Any]] = {
    "mamba2": {},
    "s4d": {"cell": "s4d", "readout_lags": 2},
    "gru": {"cell": "gru"},
    "tokenizer": {"tokenizer": TOKENIZER},
}


@dataclass(frozen=True)
class FloatProgram:
    """A decoder as float graph, C and references."""

    sources: Path
    reference: SingleDecoder
    truth: FloatDecoder
    library: Path

    def stepper(self) -> HostStepper:
        return HostStepper(self.library)


@pytest.fixture(scope="module")
def programs() -> dict[str, FloatProgram]:
    """Those that were compiled: a decoder comes round again for the tests that name theirs."""
    return {}


@pytest.fixture(scope="module", params=DECODERS)
def program(
    request: pytest.FixtureRequest, programs: dict[str, FloatProgram], tmp_path_factory: pytest.TempPathFactory
) -> FloatProgram:
    if request.param not in programs:
        programs[request.param] = compiled(request.param, tmp_path_factory.mktemp(request.param))
    return programs[request.param]


def compiled(name: str, folder: Path) -> FloatProgram:
    given = {"d_model": 12, "d_state": 8, "headdim": 6, "d_conv": 3, "n_layers": 2} | DECODERS[name]
    spec = DecoderSpec(
        n_inputs=CASE.front_end.n_features, output_names=("x", "y", "speed"), output_unit="cm/s", **given
    )
    parameters = random_parameters(spec, 1)
    onnx.save(float_step_graph(spec, parameters), folder / "decoder_float.onnx")
    generate(folder / "decoder_float.onnx", CASE.front_end, folder / "firmware")
    # Two decoders in portable C by gcc, two with vectors by zig: both must give the bits of the reference.
    portable = name in ("s4d", "tokenizer")
    compiler: Compiler = "gcc" if portable else "zig"
    shutil.copytree(folder / "firmware", folder / "here")
    if not portable:
        assert "edgebci_float_dense.h" in put_vector_kernels(folder / "here")
    library = compile_host(folder / "here", folder / "step.so", compiler, "2", STEP_HARNESS)
    reference = SingleDecoder.load(folder / "decoder_float.onnx")
    return FloatProgram(folder / "firmware", reference, FloatDecoder.of(spec, parameters), library)


def frames_of(program: FloatProgram, n: int) -> F32:
    return random_frames(program.truth.spec, n, 7)


def test_float32_c_equals_its_reference_bit_for_bit(program: FloatProgram) -> None:
    frames = np.concatenate(
        [frames_of(program, 100), 1e4 * frames_of(program, 20), np.zeros_like(frames_of(program, 20))]
    )
    found = program.stepper().stream(frames)
    np.testing.assert_array_equal(found.view(np.uint32), program.reference.stream(frames).view(np.uint32))


def test_float32_agrees_with_float64_as_closely_as_the_float_graph_must(program: FloatProgram) -> None:
    frames = frames_of(program, 200)
    truth = program.truth.stream(frames)
    assert np.abs(program.reference.stream(frames) - truth).max() <= FLOAT_TOLERANCE * np.abs(truth).max()


def test_silence_leaves_no_subnormal_number_in_a_state(program: FloatProgram) -> None:
    states = program.reference.initial_states()
    _, states = program.reference.step(frames_of(program, 1)[0], states)
    for name in states:
        states[name] = (states[name] * np.float32(1e-18)).astype(np.float32)  # the end of a long decay
    smallest = np.finfo(np.float32).tiny
    for _ in range(20):
        _, states = program.reference.step(np.zeros(program.truth.spec.n_inputs, np.float32), states)
    for name, values in states.items():
        assert not ((values != 0) & (np.abs(values) < smallest)).any(), name


@pytest.mark.parametrize(("program", "core"), [("mamba2", "cortex-m33"), ("gru", "cortex-m4f")], indirect=["program"])
def test_the_core_gives_the_bits_of_the_host(program: FloatProgram, core: str, tmp_path: Path) -> None:
    step, n = CASE.front_end.spec.samples_per_frame, 12
    counts = CASE.counts[: n * step]
    twin = HostTwin(compile_host(program.sources, tmp_path / "twin.so", optimization="1")).run(counts)
    elf = compile_target(program.sources, tmp_path / "firmware.elf", core, "1")
    found = run_on_target(elf, counts, None, CASE.front_end.n_channels, step, program.truth.spec.n_outputs)
    assert len(found.outputs) == len(twin.outputs) == n
    np.testing.assert_array_equal(found.outputs.view(np.uint32), twin.outputs.view(np.uint32))


@pytest.mark.parametrize("target", ["host", "cortex-m33"])
def test_a_bundle_in_fp32_holds_the_float_c_and_no_integers(target: str, tmp_path: Path) -> None:
    spec = DecoderSpec(
        n_inputs=CASE.front_end.n_features, output_names=("x", "y"), output_unit="cm/s", d_model=8, d_state=8, headdim=4
    )
    record = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=50, epochs_run=0, best_epoch=0, versions={})
    frames = random_frames(spec, 60, 2)
    stream = FrameStream(frames, np.arange(60) == 0, random_frames(spec, 60, 3)[:, :2].astype(float), np.ones(60, bool))
    provenance = Provenance(
        recording="r", recording_sha256=None, checkpoint_sha256="1" * 64, trials=None, test_intervals_s=((0.0, 1.0),)
    )
    bundle = export_bundle(
        tmp_path / "bundle",
        Checkpoint(spec, random_parameters(spec, 1), record),
        CASE.front_end,
        stream,
        stream,
        provenance,
        target=target,
        wanted=Wanted("fp32", QuantizationRecipe()),
    )
    names = {path.name for path in bundle.firmware.iterdir()}
    assert "edgebci_float.h" in names
    assert ("edgebci_vector.h" in names) == (target == "host")
    assert not bundle.int8_onnx.exists()
    library = compile_host(bundle.firmware, tmp_path / "step.so", optimization="1", harness=STEP_HARNESS)
    found = HostStepper(library).stream(frames)
    *_, (form, decoded) = forms_of(bundle, stream).items()
    assert form == C_FORM
    assert decoded().astype(np.float32).tobytes() == found.tobytes()
    assert not verify_bundle(bundle.folder, 10, silent).quantized_steps
