"""The decoder in fixed point: one arithmetic in NumPy, ONNX Runtime, C on the host and C on cores, and little lost."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgebci.arithmetic import F32
from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.fixed_graph import fixed_step_graph
from edgebci.export.fixed_quantization import quantize_fixed, rounded_parameters
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.features.cases import front_end_case
from edgebci.firmware_sim.host_twin import DeviceRun, HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_host, compile_target
from edgebci.fixed_decoder import FixedDecoder
from edgebci.operators.fixed_point import looked_up, silu_table

PROBE = Path(__file__).resolve().parent / "native" / "step_probe.c"
CASE = front_end_case("clean")
SPEC = DecoderSpec(
    n_inputs=CASE.front_end.n_features, output_names=("x", "y"), output_unit="1", d_model=16, d_state=8, headdim=8,
    d_conv=3,
)  # fmt: skip
"""Odd taps, in_proj rows that are no multiple of 4, two heads of each turn."""


@dataclass(frozen=True)
class Program:
    """The same decoder everywhere."""

    decoder: FixedDecoder
    graph: Path
    sources: Path
    host: ctypes.CDLL

    def run(self, frames: F32) -> F32:
        """Frames from power-on through the C on this machine."""
        outputs = np.zeros((len(frames), SPEC.n_outputs), np.float32)
        self.host.probe_init()
        for frame, output in zip(np.ascontiguousarray(frames, np.float32), outputs, strict=True):
            self.host.probe_step(ctypes.c_void_p(frame.ctypes.data), ctypes.c_void_p(output.ctypes.data))
        return outputs


def generated(spec: DecoderSpec, folder: Path) -> FixedDecoder:
    """A decoder with random weights, its graph and its C in `folder`."""
    decoder = quantize_fixed(spec, random_parameters(spec, 1), random_frames(spec, 300, 2))
    onnx.save(fixed_step_graph(decoder), folder / "fixed.onnx")
    generate(folder / "fixed.onnx", CASE.front_end, folder / "firmware", "cortex-m4f")
    return decoder


def programmed(spec: DecoderSpec, folder: Path) -> Program:
    """`generated` with a library of its C."""
    decoder = generated(spec, folder)
    library = compile_host(folder / "firmware", folder / "probe.so", "gcc", "2", PROBE)
    return Program(decoder, folder / "fixed.onnx", folder / "firmware", ctypes.CDLL(str(library)))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return programmed(SPEC, tmp_path_factory.mktemp("fixed"))


def test_onnx_runtime_and_c_give_the_bits_of_the_reference(program: Program) -> None:
    frames = random_frames(SPEC, 120, 3)
    expected = program.decoder.stream(frames)
    assert expected.std() > 0.1
    np.testing.assert_array_equal(program.run(frames).view(np.uint32), expected.view(np.uint32))
    np.testing.assert_array_equal(OnnxStepRunner(program.graph).stream(frames), expected)


def test_a_window_of_more_than_four_taps_gives_the_same_bits(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"d_conv": 6, "d_model": 8, "n_layers": 1})
    wide, frames = programmed(spec, tmp_path), random_frames(spec, 30, 5)
    expected = wide.decoder.stream(frames)
    assert wide.decoder.state_shapes()["conv.0"][0] == 8
    np.testing.assert_array_equal(wide.run(frames).view(np.uint32), expected.view(np.uint32))
    np.testing.assert_array_equal(OnnxStepRunner(wide.graph).stream(frames), expected)


@pytest.fixture(scope="module")
def twin(program: Program) -> DeviceRun:
    """Twelve frames of the whole device program on this machine."""
    library = compile_host(program.sources, program.sources.parent / "twin.so", "gcc", "0")
    return HostTwin(library).run(CASE.counts[: 12 * CASE.front_end.spec.samples_per_frame])


@pytest.mark.parametrize("core", ["cortex-m4f", "cortex-m7", "cortex-m33"])
def test_cores_with_packed_multiplication_give_the_same_bits(
    program: Program, twin: DeviceRun, tmp_path: Path, core: str
) -> None:
    step, n_channels = CASE.front_end.spec.samples_per_frame, CASE.front_end.n_channels
    counts = CASE.counts[: 12 * step]
    elf = compile_target(program.sources, tmp_path / "core.elf", core)
    found = run_on_target(elf, counts, None, n_channels, step, SPEC.n_outputs)
    np.testing.assert_array_equal(found.outputs.view(np.uint32), twin.outputs.view(np.uint32))
    np.testing.assert_array_equal(twin.outputs, program.decoder.stream(twin.features))


def test_a_convolution_wider_than_a_load_reaches_has_the_same_bits(twin: DeviceRun, tmp_path: Path) -> None:
    """Beyond 682 channels the last slot of the ring lies outside the offset of a load: a plain loop takes over."""
    spec = SPEC.model_copy(update={"expand": 32, "d_state": 96, "headdim": 16, "d_conv": 4, "n_layers": 1})
    assert spec.block.conv_dim > 682
    wide, step = generated(spec, tmp_path), CASE.front_end.spec.samples_per_frame
    elf = compile_target(tmp_path / "firmware", tmp_path / "core.elf", "cortex-m4f")
    found = run_on_target(elf, CASE.counts[: 6 * step], None, CASE.front_end.n_channels, step, SPEC.n_outputs)
    expected = wide.stream(twin.features[:6])  # the front end is the same
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(found.outputs.view(np.uint32), expected.view(np.uint32))


def extremes(n: int) -> F32:
    """Frames that drive every sum as far as it goes: rails of one sign, of each weight's sign, and turning ones."""
    rng = np.random.default_rng(4)
    signs = np.sign(rng.standard_normal((n, SPEC.n_inputs)))
    signs[: n // 4] = 1.0
    signs[n // 4 : n // 2] = signs[n // 4]
    signs[n // 2 : 3 * n // 4 : 2] = -signs[n // 2]
    return (1e30 * signs).astype(np.float32)


def test_no_input_makes_a_sum_overflow(program: Program) -> None:
    # The reference sums in 64 bits, the C in 32 that wrap: equal bits mean that nothing wrapped.
    frames = extremes(160)
    np.testing.assert_array_equal(program.run(frames).view(np.uint32), program.decoder.stream(frames).view(np.uint32))


def test_less_than_a_hundredth_is_lost_beside_the_rounding_of_weights() -> None:
    spec = SPEC.model_copy(update={"d_model": 32, "headdim": 16, "n_inputs": 48})
    parameters, frames = random_parameters(spec, 6), random_frames(spec, 500, 7)
    fixed = quantize_fixed(spec, parameters, frames[:300])
    rounded = FloatDecoder.of(spec, rounded_parameters(spec, parameters)).stream(frames[300:])
    error = fixed.stream(frames[300:]) - rounded
    assert (np.sqrt((error**2).mean(axis=0) / rounded.var(axis=0)) < 0.01).all()


def test_a_step_keeps_the_shapes_and_types_of_all_states(program: Program) -> None:
    before = program.decoder.initial_states()
    _, after = program.decoder.step(random_frames(SPEC, 1, 8)[0], before)
    described = [{name: (v.dtype, v.shape) for name, v in states.items()} for states in (before, after)]
    assert described[0] == described[1]
    assert all(values.any() for values in after.values())


def test_the_table_of_silu_is_within_a_thousandth() -> None:
    counts = np.arange(-32768, 32768).astype(np.int16)
    x = counts / 2048.0
    assert np.abs(looked_up(silu_table(), counts) / 2048.0 - x / (1 + np.exp(-x))).max() < 1e-3


def test_a_file_keeps_the_decoder(program: Program, tmp_path: Path) -> None:
    program.decoder.save(tmp_path / "fixed.safetensors")
    frames = random_frames(SPEC, 9, 9)
    loaded = FixedDecoder.load(tmp_path / "fixed.safetensors")
    np.testing.assert_array_equal(loaded.stream(frames), program.decoder.stream(frames))


def test_a_decoder_without_a_fixed_form_is_refused() -> None:
    spec = SPEC.model_copy(update={"cell": "gru"})
    with pytest.raises(InputError, match="arithmetic"):
        quantize_fixed(spec, random_parameters(spec, 1), random_frames(spec, 50, 2))
