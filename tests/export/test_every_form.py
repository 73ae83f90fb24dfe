"""Every form that a decoder may have goes all the way: float, exact integers, both graphs, C on the host and a core."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebci.arithmetic import F32
from edgebci.bundle import Provenance
from edgebci.checkpoint import Checkpoint, TrainingRecord
from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.device_reference import run_reference
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.bundle_writer import export_bundle
from edgebci.export.c_generator import generate
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.step_graph import float_step_graph
from edgebci.export.stream_comparison import FLOAT_TOLERANCE
from edgebci.export.verification import verify_float, verify_quantized
from edgebci.features.cases import front_end_case
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_host, compile_target
from edgebci.frame_stream import FrameStream
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.workload import workload
from tests.small_specs import DECODERS, small_decoder

pytestmark = pytest.mark.usefixtures("few_evaluator_steps")
CASE, GAP = front_end_case("clean"), front_end_case("gap_that_resets")
NOISE_DB = 20.0
"""Least signal over quantization noise. One int8 quantizer of a signal whose rms is a quarter of its largest value
leaves an error of 0.29 counts in 32: 41 dB. A dozen of them in a row, weights included, leave 30 dB, and norms and
gates that divide by small values some dB less; 25 to 37 dB were seen. An activation in a quarter of its range costs 12
dB more."""


@dataclass(frozen=True)
class Form:
    spec: DecoderSpec
    parameters: dict[str, F32]
    frames: F32
    decoder: QuantizedDecoder


@pytest.fixture(scope="module", params=list(DECODERS))
def form(request: pytest.FixtureRequest) -> Form:
    """Two layers behind a front end of 50 features; 600 frames that calibration did not see."""
    spec = small_decoder(CASE.front_end.n_features, **DECODERS[request.param])
    parameters, frames = random_parameters(spec, 3), random_frames(spec, 1400, 4)
    return Form(spec, parameters, frames[800:], quantize(spec, parameters, frames[:800]))


@pytest.fixture(scope="module")
def sources(form: Form, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("form")
    onnx.save(quantized_step_graph(form.decoder), folder / "decoder_int8.onnx")
    generate(folder / "decoder_int8.onnx", CASE.front_end, folder / "firmware")
    return folder / "firmware"


def test_the_float_graph_computes_the_float_decoder(form: Form) -> None:
    graph = float_step_graph(form.spec, form.parameters)
    resets = np.zeros(300, bool)
    resets[[0, 120, 121]] = True
    found = verify_float(graph, form.spec, form.parameters, form.frames[:300], resets, evaluator_steps=20)
    # Ten times tighter than what is allowed: float32 rounds at 6e-8 and some hundred roundings add up.
    assert max(found.largest_error.values()) < FLOAT_TOLERANCE / 10


def test_each_quantizer_of_the_int8_graph_agrees_within_an_lsb(form: Form) -> None:
    found = verify_quantized(quantized_step_graph(form.decoder), form.decoder, form.frames)
    assert max(quantizer.largest_lsb for quantizer in found.each_quantizer) <= 1
    assert {f"{name}.next" for name in form.spec.state_shapes()} < {q.name for q in found.each_quantizer}
    assert "norm_q" in {q.name for q in found.each_quantizer}


def test_quantization_noise_is_what_eight_bits_leave(form: Form) -> None:
    exact = FloatDecoder.of(form.spec, form.parameters).stream(form.frames)
    noise = form.decoder.stream(form.frames) - exact
    assert (10 * np.log10(exact.var(axis=0) / (noise**2).mean(axis=0)) > NOISE_DB).all()


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(1, 59), max_size=6, unique=True))
def test_any_chunking_of_a_stream_gives_the_same_bits(form: Form, cuts: list[int]) -> None:
    frames, states, outputs = form.frames[:60], form.decoder.initial_states(), []
    for chunk in np.split(frames, sorted(cuts)):
        output, states = form.decoder.run(chunk, states)
        outputs.append(output)
    assert np.concatenate(outputs).tobytes() == form.decoder.stream(frames).tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30, 1e-38])
def test_a_frame_of_nonsense_gives_finite_output_and_is_forgotten(form: Form, value: float) -> None:
    frames = form.frames[:20].copy()
    frames[3] = value
    with np.errstate(invalid="ignore", over="ignore"):
        assert np.isfinite(form.decoder.stream(frames)).all()
        resets = np.arange(20) == 4
        assert form.decoder.stream(frames, resets)[4:].tobytes() == form.decoder.stream(frames[4:]).tobytes()


def test_states_saturate_instead_of_wrapping(form: Form) -> None:
    seen: dict[str, tuple[int, int]] = {}

    def widen(name: str, values: np.ndarray[Any, Any]) -> None:
        if name.endswith(".next"):
            low, high = seen.get(name, (0, 0))
            seen[name] = min(low, int(values.min())), max(high, int(values.max()))

    tensors = form.decoder.tensors()
    # States of a ten thousandth of their range: the scale of a state divides what drives it.
    for name in tensors:
        if name.endswith(("ssm_scale", "conv1d.scale", "conv.scale", "hidden_scale", "mean_scale")):
            tensors[name] = tensors[name] * np.float32(1e-4)
        elif name.endswith("inject"):
            tensors[name] = tensors[name] * np.float32(1e4)
    QuantizedDecoder.from_tensors(form.spec, tensors).stream(form.frames[:200], tap=widen)
    ends = [seen[f"{name}.next"] for name, kind in form.spec.state_types().items() if kind == "int16"]
    assert ends == [(-32768, 32767)] * len(ends)


def test_what_was_saved_computes_the_same(form: Form, tmp_path: Path) -> None:
    form.decoder.save(tmp_path / "a.safetensors")
    loaded = QuantizedDecoder.load(tmp_path / "a.safetensors")
    assert loaded.spec == form.spec
    assert loaded.stream(form.frames[:50]).tobytes() == form.decoder.stream(form.frames[:50]).tobytes()


def test_bytes_are_those_of_the_quantized_tensors(form: Form) -> None:
    counts = workload(form.spec)
    assert counts.weight_bytes == sum(tensor.nbytes for tensor in form.decoder.tensors().values())
    assert counts.state_bytes == sum(state.nbytes for state in form.decoder.initial_states().values())


@pytest.fixture(scope="module")
def library(sources: Path) -> Path:
    """The host twin by gcc, quickly; that of zig, as users get it, is one test's."""
    return compile_host(sources, sources.parent / "host.so", "gcc", "1")


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_the_host_twin_is_the_reference_bit_for_bit(
    form: Form, sources: Path, library: Path, compiler: str, tmp_path: Path
) -> None:
    twin = HostTwin(library if compiler == "gcc" else compile_host(sources, tmp_path / "host.so"))
    run = twin.run(CASE.counts, CASE.missing)
    expected = run_reference(CASE.front_end, form.decoder, CASE.counts, CASE.missing)
    assert len(run.outputs) > 20
    assert run.outputs.tobytes() == expected.outputs.tobytes()
    for name, state in expected.states.items():
        assert twin.state(name).tobytes() == state.tobytes(), name


def test_a_gap_that_resets_clears_every_state_on_the_device(form: Form, library: Path) -> None:
    twin = HostTwin(library)
    run, expected = (
        twin.run(GAP.counts, GAP.missing),
        run_reference(CASE.front_end, form.decoder, GAP.counts, GAP.missing),
    )
    assert GAP.front_end.spec == CASE.front_end.spec
    assert GAP.missing.any()
    assert run.outputs.tobytes() == expected.outputs.tobytes()
    for name, state in expected.states.items():
        assert twin.state(name).tobytes() == state.tobytes(), name
    twin.reset()
    assert all(not twin.state(name).any() for name in form.spec.state_shapes())


def test_the_core_is_the_host_twin_bit_for_bit(form: Form, sources: Path, library: Path, tmp_path: Path) -> None:
    spec, n_channels = CASE.front_end.spec, CASE.front_end.n_channels
    counts = CASE.counts[: 20 * spec.samples_per_frame]
    host = HostTwin(library)
    twin, elf = host.run(counts), compile_target(sources, tmp_path / "firmware.elf")
    run = run_on_target(elf, counts, None, n_channels, spec.samples_per_frame, form.spec.n_outputs)
    assert run.outputs.tobytes() == twin.outputs.tobytes()
    assert run.state == host.state_bytes()


def test_the_rails_and_silence_change_no_bit_between_reference_and_host(form: Form, library: Path) -> None:
    rng = np.random.default_rng(0)
    counts = rng.choice(np.array([-32768, 32767], np.int16), CASE.counts.shape)
    counts[len(counts) // 2 :] = 0
    twin = HostTwin(library)
    run, expected = twin.run(counts), run_reference(CASE.front_end, form.decoder, counts)
    assert run.outputs.tobytes() == expected.outputs.tobytes()
    assert np.isfinite(run.outputs).all()
    for name, state in expected.states.items():
        assert twin.state(name).tobytes() == state.tobytes(), name


def test_a_bundle_holds_the_form_with_its_states_and_costs(form: Form, tmp_path: Path) -> None:
    record = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=50, epochs_run=0, best_epoch=0, versions={})
    frames = form.frames[:100]
    stream = FrameStream(frames, np.arange(100) == 0, form.decoder.stream(frames).astype(float), np.ones(100, bool))
    provenance = Provenance(
        recording="r", recording_sha256="0" * 64, checkpoint_sha256="1" * 64, trials=1, test_intervals_s=((0.0, 2.0),)
    )
    checkpoint = Checkpoint(form.spec, form.parameters, record)
    bundle = export_bundle(tmp_path / "bundle", checkpoint, CASE.front_end, stream, stream, provenance)
    assert {tensor.name: tensor.quantized_type for tensor in bundle.manifest.inputs[1:]} == form.spec.state_types()
    assert bundle.manifest.spec == form.spec
    assert bundle.manifest.workload == workload(form.spec)
    assert bundle.quantized_decoder().stream(frames).shape == (100, 2)
