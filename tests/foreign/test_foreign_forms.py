"""A model made elsewhere goes all the way: float, exact integers, both graphs, C on the host and on a core."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgebci.arithmetic import F32
from edgebci.errors import InputError, VerificationError
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.foreign.c_program import generate_foreign_program
from edgebci.export.foreign.lowering import lower
from edgebci.export.foreign.quantizing import quantize_foreign
from edgebci.export.foreign.states import find_states
from edgebci.export.foreign.verifying import (
    ORIGINAL,
    VerificationStream,
    quantization_snr_db,
    verify_foreign_float,
    verify_foreign_quantized,
)
from edgebci.export.foreign.writing import foreign_onnx
from edgebci.export.stream_comparison import FLOAT_TOLERANCE
from edgebci.firmware_sim.foreign_program import (
    as_counts,
    compile_foreign_host,
    compile_foreign_target,
    run_foreign_on_target,
)
from edgebci.foreign.decoder import ForeignDecoder
from edgebci.foreign.graph import ForeignGraph
from tests.foreign.conftest import MODELS, frames, gru_model

NOISE_DB = 17.0
"""Least signal over quantization noise: 20 dB is what `test_every_form` asks, less 3 dB because all channels of a
convolution share one scale; 18.7 to 38 dB were seen."""


@dataclass(frozen=True)
class Form:
    model: onnx.ModelProto
    states: dict[str, str]
    graph: ForeignGraph
    quantized: ForeignDecoder
    frames: F32

    @property
    def stream(self) -> VerificationStream:
        """Shorter than what an export goes through, with a reset."""
        return VerificationStream(self.frames, np.arange(len(self.frames)) == 130)

    @property
    def decoders(self) -> dict[str, ForeignDecoder]:
        return {"fp32": ForeignDecoder(self.graph), "int8": self.quantized}


@pytest.fixture(scope="module", params=sorted(MODELS))
def form(request: pytest.FixtureRequest) -> Form:
    model = MODELS[request.param]()
    states = find_states(model)
    graph, seen = lower(model, states), frames(600)
    return Form(model, states, graph, quantize_foreign(graph, seen[:300]), seen[300:])


def test_the_float_forms_compute_the_model_as_it_came(form: Form) -> None:
    graph = foreign_onnx(form.graph)
    found = verify_foreign_float(form.model, form.states, ForeignDecoder(form.graph), graph, form.stream)
    assert found.steps == 300
    assert ORIGINAL in found.largest_error
    # Ten times tighter than what is allowed: float32 rounds at 6e-8 and some hundred roundings add up.
    assert max(found.largest_error.values()) < FLOAT_TOLERANCE / 10


def test_each_quantizer_of_the_int8_graph_agrees_within_an_lsb(form: Form) -> None:
    found = verify_foreign_quantized(foreign_onnx(form.quantized.graph), form.quantized, form.stream)
    names = {quantizer.name for quantizer in found.each_quantizer}
    assert names > {f"{name}.next" for name in form.states}
    assert sum(name.endswith(".q") for name in names) >= 2
    assert max(quantizer.largest_lsb for quantizer in found.each_quantizer) <= 1


def test_all_macs_are_int8_and_states_int16(form: Form) -> None:
    graph = form.quantized.graph
    assert graph.int8_macs == graph.macs == form.graph.macs > 0
    assert {state.type for state in graph.states} <= {"int16"}
    assert {values.dtype.name for values in graph.constants.values()} == {"int8", "float32"}


def test_quantization_noise_is_what_eight_bits_leave(form: Form) -> None:
    exact = ForeignDecoder(form.graph).stream(form.frames)
    names = form.graph.output_names
    assert min(quantization_snr_db(exact, form.quantized.stream(form.frames), names).values()) > NOISE_DB


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("cut", [1, 7, 59])
def test_any_chunking_of_a_stream_gives_the_same_bits(form: Form, precision: str, cut: int) -> None:
    decoder = form.decoders[precision]
    first, states = decoder.run(form.frames[:cut], decoder.initial_states())
    second, _ = decoder.run(form.frames[cut:60], states)
    assert np.concatenate([first, second]).tobytes() == decoder.stream(form.frames[:60]).tobytes()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_host_twin_and_core_are_the_reference_bit_for_bit(form: Form, precision: str, tmp_path: Path) -> None:
    decoder = form.decoders[precision]
    generate_foreign_program(decoder.graph, tmp_path / "c")
    twin = compile_foreign_host(tmp_path / "c", tmp_path / "host.so", "gcc", "1")
    seen = form.frames * np.where(np.arange(len(form.frames)) % 10 == 9, 40, 1)[:, None].astype(np.float32)
    outputs, states = decoder.run(seen, decoder.initial_states())
    assert twin.run(as_counts(seen)).outputs.tobytes() == outputs.tobytes()
    for name, state in states.items():
        assert twin.state(name).tobytes() == state.tobytes(), name
    elf = compile_foreign_target(tmp_path / "c", tmp_path / "firmware.elf")
    run = run_foreign_on_target(elf, seen[:25], decoder.graph.n_outputs)
    twin.run(as_counts(seen[:25]))
    assert run.outputs.tobytes() == outputs[:25].tobytes()
    assert run.state == twin.state_bytes()


def test_a_reset_starts_the_stream_anew(form: Form, tmp_path: Path) -> None:
    generate_foreign_program(form.quantized.graph, tmp_path / "c")
    twin = compile_foreign_host(tmp_path / "c", tmp_path / "host.so", "gcc", "1")
    first = twin.push(as_counts(form.frames[:20])).outputs
    twin.reset()
    assert twin.push(as_counts(form.frames[:20])).outputs.tobytes() == first.tobytes()
    resets = np.arange(40) == 20
    twice = form.quantized.stream(np.tile(form.frames[:20], (2, 1)), resets)
    assert twice.tobytes() == first.tobytes() * 2


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_saved_decoder_is_the_same_decoder(form: Form, precision: str, tmp_path: Path) -> None:
    decoder = form.decoders[precision]
    for name in ("a", "b"):
        decoder.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    again = ForeignDecoder.load(tmp_path / "a")
    assert again.stream(form.frames).tobytes() == decoder.stream(form.frames).tobytes()
    assert (again.graph.inputs, again.graph.outputs) == (decoder.graph.inputs, decoder.graph.outputs)


def test_a_norm_before_a_dense_layer_costs_no_layer_and_biases_no_nodes() -> None:
    operators = [node.operator for node in lower(MODELS["dense"](), {}).nodes]
    assert operators == ["multiply", "add", "dense", "relu", "dense", "copy"]


def test_a_depthwise_convolution_is_a_dense_layer_in_groups() -> None:
    model = MODELS["conv"]()
    sizes = [node.sizes for node in lower(model, find_states(model)).nodes if node.operator == "dense"]
    assert sizes == [(1, 1, 12, 32), (1, 12, 1, 1), (1, 1, 2, 12)]


def test_an_export_is_verified_over_thousands_of_steps_with_resets() -> None:
    short, long = VerificationStream.of(frames(300), None), VerificationStream.of(frames(9000), None)
    assert len(short.frames) == 1200
    assert np.flatnonzero(short.reset_before).tolist() == list(range(0, 1200, 150))
    assert len(long.frames) == 4096
    given = VerificationStream.of(frames(1100), np.arange(1100) == 70)
    assert np.flatnonzero(given.reset_before).tolist() == [0, 70, 550]


def test_another_weight_is_found_with_the_tensor_and_the_step() -> None:
    model, other = gru_model(), gru_model(seed=9)
    states = find_states(model)
    graph = lower(other, states)
    stream = VerificationStream.of(frames(300), None)
    with pytest.raises(VerificationError, match=r"the model as it came: \S+ differs at step 0 by"):
        verify_foreign_float(model, states, ForeignDecoder(graph), foreign_onnx(graph), stream)


def test_what_a_recipe_asks_for_and_cannot_have_is_refused() -> None:
    graph = lower(MODELS["dense"](), {})
    with pytest.raises(InputError, match="int8 weights and int16 states, without smoothing"):
        quantize_foreign(graph, frames(100), QuantizationRecipe(widths={"readout": 4}))


def test_an_output_that_never_changes_is_refused() -> None:
    with pytest.raises(InputError, match=r"outputs velocity\.0, velocity\.1 never change over 100 calibration frames"):
        quantize_foreign(lower(MODELS["dense"](), {}), np.zeros((100, 8), np.float32))


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (frames(10), "10 calibration frames are too few to know ranges from, needed are 32"),
        (frames(100)[:, :5], r"shape \(100, 5\) where the model takes 8 values a frame \(x \[1, 8\]\)"),
        (np.where(np.arange(800).reshape(100, 8) == 333, np.nan, frames(100)), "calibration frame 41 holds NaN"),
    ],
)
def test_calibration_frames_that_cannot_be_used_are_refused(seen: F32, sentence: str) -> None:
    model = gru_model()
    with pytest.raises(InputError, match=sentence):
        quantize_foreign(lower(model, find_states(model)), seen.astype(np.float32))
