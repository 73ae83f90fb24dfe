"""Weights of 4 and 16 bits and states of 8 go all the way: exact integers, ONNX, C on the host and on a core."""

from __future__ import annotations

import ctypes
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto

import edgebci
from edgebci.arithmetic import F32
from edgebci.decoder_spec import DecoderSpec
from edgebci.device_reference import run_reference
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.c_program import with_included
from edgebci.export.operators.dense_widths import packed_int4
from edgebci.export.quantization import QuantizationRecipe, quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.step_runner import evaluator_step, open_session, runtime_step
from edgebci.export.verification import verify_quantized
from edgebci.export.widths import dense_names
from edgebci.features.cases import front_end_case
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_host, compile_target
from edgebci.operators.dense import QuantizedDense
from edgebci.quantized_decoder import QuantizedDecoder, no_tap
from tests.small_specs import small_decoder

CASE = front_end_case("clean")
KERNELS = Path(edgebci.__file__).parent / "export" / "kernels"
PROBE = """
#include "edgebci_dense_int4.h"
#include "edgebci_dense_int16.h"

void probe_int4(uint32_t rows, uint32_t columns, const uint8_t *weight, const float *scale, const float *bias,
                const int8_t *q, int16_t *x, float *y);
void probe_int4(uint32_t rows, uint32_t columns, const uint8_t *weight, const float *scale, const float *bias,
                const int8_t *q, int16_t *x, float *y)
{
    const edgebci_dense_int4_t d = {rows, weight, scale, bias};
    edgebci_dense_int4(&d, columns, q, x, y);
}

void probe_int16(uint32_t rows, uint32_t columns, const int16_t *weight, const float *scale, const float *bias,
                 const int8_t *q, int16_t *x, float *y);
void probe_int16(uint32_t rows, uint32_t columns, const int16_t *weight, const float *scale, const float *bias,
                 const int8_t *q, int16_t *x, float *y)
{
    const edgebci_dense_int16_t d = {rows, weight, scale, bias};
    edgebci_dense_int16(&d, columns, q, x, y);
}
"""
STATES = {"mamba2": "ssm", "s4d": "modes", "gru": "hidden"}


@dataclass(frozen=True)
class Form:
    spec: DecoderSpec
    frames: F32
    decoder: QuantizedDecoder


@pytest.fixture(scope="module", params=list(STATES))
def form(request: pytest.FixtureRequest) -> Form:
    """Two layers, dense layers of 4, 16 and 8 bits in turn, the first layer's state in int8."""
    spec = small_decoder(CASE.front_end.n_features, cell=request.param)
    widths = {name: (4, 16, 8)[k % 3] for k, name in enumerate(dense_names(spec))} | {f"{STATES[request.param]}.0": 8}
    frames = random_frames(spec, 1200, 4)
    recipe = QuantizationRecipe.model_validate({"widths": widths})
    return Form(spec, frames[800:], quantize(spec, random_parameters(spec, 3), frames[:800], recipe))


@pytest.fixture(scope="module")
def sources(form: Form, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("widths")
    onnx.save(quantized_step_graph(form.decoder), folder / "decoder_int8.onnx")
    generate(folder / "decoder_int8.onnx", CASE.front_end, folder / "firmware")
    return folder / "firmware"


@pytest.fixture(scope="module")
def library(sources: Path) -> Path:
    return compile_host(sources, sources.parent / "host.so", "gcc", "1")


def test_each_quantizer_of_the_graph_agrees_within_an_lsb(form: Form) -> None:
    found = verify_quantized(quantized_step_graph(form.decoder), form.decoder, form.frames)
    assert max(quantizer.largest_lsb for quantizer in found.each_quantizer) <= 1
    assert {f"{name}.next" for name in form.spec.state_shapes()} < {q.name for q in found.each_quantizer}


def test_the_graph_holds_each_tensor_in_its_width(form: Form) -> None:
    graph = quantized_step_graph(form.decoder).graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert {kinds[n] for n in kinds if n.endswith("weight_int4")} == {TensorProto.INT4}
    assert {kinds[n] for n in kinds if n.endswith("weight_int16")} == {TensorProto.INT16}
    states = {value.name: value.type.tensor_type.elem_type for value in graph.input}
    state = STATES[form.spec.cell]
    assert (states[f"{state}.0"], states[f"{state}.1"]) == (TensorProto.INT8, TensorProto.INT16)


def test_the_host_twin_is_the_reference_bit_for_bit(form: Form, library: Path) -> None:
    twin = HostTwin(library)
    run, expected = twin.run(CASE.counts), run_reference(CASE.front_end, form.decoder, CASE.counts)
    assert len(run.outputs) > 20
    assert run.outputs.tobytes() == expected.outputs.tobytes()
    for name, state in expected.states.items():
        assert twin.state(name).tobytes() == state.tobytes(), name


def test_the_rails_change_no_bit_between_reference_and_host(form: Form, library: Path) -> None:
    rng = np.random.default_rng(0)
    counts = rng.choice(np.array([-32768, 32767], np.int16), CASE.counts.shape)
    twin = HostTwin(library)
    run, expected = twin.run(counts), run_reference(CASE.front_end, form.decoder, counts)
    assert run.outputs.tobytes() == expected.outputs.tobytes()
    for name, state in expected.states.items():
        assert twin.state(name).tobytes() == state.tobytes(), name


def test_the_core_is_the_host_twin_bit_for_bit(form: Form, sources: Path, library: Path, tmp_path: Path) -> None:
    spec, n_channels = CASE.front_end.spec, CASE.front_end.n_channels
    counts = CASE.counts[: 20 * spec.samples_per_frame]
    host = HostTwin(library)
    twin, elf = host.run(counts), compile_target(sources, tmp_path / "firmware.elf")
    run = run_on_target(elf, counts, None, n_channels, spec.samples_per_frame, form.spec.n_outputs)
    assert run.outputs.tobytes() == twin.outputs.tobytes()
    assert run.state == host.state_bytes()


def test_an_int8_state_saturates_on_the_device_as_in_the_reference(tmp_path: Path) -> None:
    spec = DecoderSpec(
        n_inputs=CASE.front_end.n_features, output_names=("x",), output_unit="1", d_model=8, d_state=4, headdim=8
    )
    frames, widths = random_frames(spec, 300, 4), {"ssm.0": 8, "ssm.1": 8}
    recipe = QuantizationRecipe.model_validate({"widths": widths})
    tensors = quantize(spec, random_parameters(spec, 3), frames, recipe).tensors()
    for name in ("layers.0.mixer.ssm_scale", "layers.1.mixer.ssm_scale"):
        tensors[name] = tensors[name] * np.float32(0.2)  # of which a part saturates, and a part does not
    decoder = QuantizedDecoder.from_tensors(spec, tensors, tuple(widths))
    onnx.save(quantized_step_graph(decoder), tmp_path / "decoder_int8.onnx")
    generate(tmp_path / "decoder_int8.onnx", CASE.front_end, tmp_path / "firmware")
    twin = HostTwin(compile_host(tmp_path / "firmware", tmp_path / "host.so", "gcc", "2"))
    ends: list[NDArray[Any]] = []
    expected = run_reference(CASE.front_end, decoder, CASE.counts)
    decoder.stream(expected.features, tap=lambda name, values: ends.append(values) if "ssm" in name else None)
    largest = np.abs(np.concatenate([values.ravel() for values in ends]).astype(int))
    assert 0.001 < np.mean(largest >= 127) < 0.9
    assert twin.run(CASE.counts).outputs.tobytes() == expected.outputs.tobytes()
    for name, state in expected.states.items():
        assert twin.state(name).tobytes() == state.tobytes(), name


@pytest.mark.parametrize("bits", [4, 16])
def test_dense_of_any_width_is_exact_in_both_runtimes(bits: int) -> None:
    # Only dense layers stand between the frame and the first norm, so the residual stream must be the same bits.
    spec = DecoderSpec(
        n_inputs=301, output_names=("x",), output_unit="cm/s", d_model=8, n_layers=1, d_state=4, headdim=8
    )
    frames = 3 * random_frames(spec, 300, 4)
    recipe = QuantizationRecipe.model_validate({"widths": {"input": bits}})
    decoder = quantize(spec, random_parameters(spec, 3), frames[:200], recipe)
    model = quantized_step_graph(decoder)
    model.graph.output.append(onnx.helper.make_tensor_value_info("input.output", TensorProto.FLOAT, [8]))
    expected, _ = decoder.entry.run(frames[200:], {}, no_tap)
    for step, n in ((runtime_step(open_session(model)), 100), (evaluator_step(model), 5)):
        found = [step(_feeds(decoder, frame))["input.output"] for frame in frames[200 : 200 + n]]
        np.testing.assert_array_equal(np.array(found).view(np.uint32), expected[:n].view(np.uint32))


def _feeds(decoder: QuantizedDecoder, frame: F32) -> dict[str, Any]:
    return {"frame": frame, **decoder.initial_states()}


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Both kernels, behind functions that take the shape and, for the form of the DSP extension, work memory."""
    folder = tmp_path_factory.mktemp("dense_widths")
    for name in with_included({"edgebci_kernels.c", "edgebci_dense_int4.h", "edgebci_dense_int16.h"}):
        shutil.copy(KERNELS / name, folder)
    probe = tmp_path_factory.mktemp("probe") / "probe.c"
    probe.write_text(PROBE, encoding="utf-8")
    return ctypes.CDLL(str(compile_host(folder, folder / "probe.so", "gcc", "2", probe)))


@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 16]), st.integers(1, 11), st.integers(1, 9), st.booleans())
@settings(max_examples=60)
def test_kernels_equal_the_reference_for_any_shape(
    kernels: ctypes.CDLL, seed: int, bits: Literal[4, 16], rows: int, columns: int, extreme: bool
) -> None:
    found, expected = kernel_and_reference(kernels, seed, bits, (rows, columns), extreme, packed=False)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 16]), st.integers(1, 11), st.integers(1, 9), st.booleans())
@settings(max_examples=60)
def test_kernels_of_the_dsp_extension_equal_the_reference_for_any_shape(
    kernels: ctypes.CDLL, seed: int, bits: Literal[4, 16], rows: int, groups: int, extreme: bool
) -> None:
    found, expected = kernel_and_reference(
        kernels, seed, bits, (rows, groups if bits == 4 else 2 * groups), extreme, packed=True
    )
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def kernel_and_reference(
    kernels: ctypes.CDLL, seed: int, bits: Literal[4, 16], shape: tuple[int, int], extreme: bool, packed: bool
) -> tuple[F32, F32]:
    """What both make of a dense layer of either width on random weights and activations, or on their extremes alone."""
    rng = np.random.default_rng(seed)
    low, high = (-8, 7) if bits == 4 else (-32768, 32767)
    weight: NDArray[np.signedinteger[Any]] = drawn(rng, low, high, shape, extreme)
    weight = weight.astype(np.int8 if bits == 4 else np.int16)
    q = drawn(rng, -128, 127, shape[1:], extreme).astype(np.int8)
    scale, bias = rng.standard_normal((2, shape[0])).astype(np.float32)
    dense = QuantizedDense(weight, np.ones((), np.float32), scale, bias, bits)
    stored = packed_int4(weight) if bits == 4 else weight
    y, work = np.empty(shape[0], np.float32), np.empty(shape[1] + 7, np.int16)
    at = [ctypes.c_void_p(array.ctypes.data) for array in (stored, scale, bias, q)]
    memory = ctypes.c_void_p(work.ctypes.data) if packed else None
    kernels[f"probe_int{bits}"](*map(ctypes.c_uint32, shape), *at, memory, ctypes.c_void_p(y.ctypes.data))
    return y, dense(q[None])[0]


def drawn(rng: np.random.Generator, low: int, high: int, shape: tuple[int, ...], extreme: bool) -> NDArray[np.int64]:
    """Integers from `low` to `high`, or only these two."""
    return rng.choice([low, high], shape) if extreme else rng.integers(low, high + 1, shape)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 33))
@settings(max_examples=25)
def test_two_weights_lie_in_a_byte_and_come_out_again(seed: int, rows: int, columns: int) -> None:
    weight = np.random.default_rng(seed).integers(-8, 8, (rows, columns)).astype(np.int8)
    packed = packed_int4(weight)
    assert packed.shape == (rows, 4 * ((columns + 7) // 8))
    halves = np.stack([packed & 15, packed >> 4], axis=-1).reshape(rows, -1).astype(np.int8) - 8
    np.testing.assert_array_equal(halves[:, :columns], weight)
    assert not halves[:, columns:].any()
