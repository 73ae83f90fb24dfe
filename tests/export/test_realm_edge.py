"""REALM's edge student, with its tokenizer: counts, the flash that the program takes, and a mean kept for months."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgebci.arithmetic import F32
from edgebci.decoder_spec import DecoderSpec
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.features.cases import front_end_for
from edgebci.features.specification import FeatureSpec, LowPass
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_host, compile_target
from edgebci.operators.tokenizer import MEAN, WEIGHT, TokenizerSpec
from edgebci.workload import workload

RECIPE = Path(__file__).resolve().parents[2] / "examples" / "recipes" / "realm_edge.toml"
MOST_MACS, FLASH_BYTES = 100_000, 256 * 1024
N_CHANNELS = 96


def edge_spec(**tokenizer: float) -> DecoderSpec:
    """The student of the recipe for an implant."""
    student = tomllib.loads(RECIPE.read_text())["student"]
    sizes = {name: student[name] for name in ("d_model", "n_layers", "d_state", "headdim", "expand", "d_conv")}
    own = {name: student[name] for name in ("channel_features", "conv_taps", "attention_taps", "activation")}
    own["mean_frames"] = student["attention_s"] * student["frame_rate_hz"]
    return DecoderSpec(
        n_inputs=N_CHANNELS,
        output_names=("vx", "vy"),
        output_unit="cm/s",
        tokenizer=TokenizerSpec.model_validate(own | tokenizer),
        **sizes,
    )


def test_the_counts_tell_the_tokenizer_and_the_rest_apart() -> None:
    counts = workload(edge_spec())
    assert counts.tokenizer_macs == 96 * 2 * 3 + 96 * 5 + 96 * 2 + 192 * 64
    assert counts.macs == counts.tokenizer_macs + counts.beyond_macs
    assert counts.beyond_macs == 67_456 <= MOST_MACS
    assert "80,992 MACs per output (13,536 in the tokenizer, 67,456 beyond it)" in counts.summary()


def test_a_decoder_without_a_tokenizer_keeps_the_words_of_its_files() -> None:
    plain = edge_spec().model_copy(update={"tokenizer": None})
    assert "tokenizer" not in plain.model_dump_json()
    assert "cell" not in plain.model_dump_json()
    assert "tokenizer_macs" not in workload(plain).model_dump_json()
    assert workload(plain).beyond_macs == workload(plain).macs
    assert DecoderSpec.model_validate_json(edge_spec().model_dump_json()) == edge_spec()


def test_the_whole_program_fits_the_flash_and_runs_alike_on_host_and_core(tmp_path: Path) -> None:
    front_end = front_end_for(
        FeatureSpec(rate_hz=1000, frame_rate_hz=100, raw=LowPass(corner_hz=40, order=4)), np.ones(N_CHANNELS, bool)
    )
    spec = edge_spec()
    decoder = quantize(spec, random_parameters(spec, 1), random_frames(spec, 300, 2))
    onnx.save(quantized_step_graph(decoder), tmp_path / "decoder_int8.onnx")
    generate(tmp_path / "decoder_int8.onnx", front_end, tmp_path / "firmware")
    counts = np.random.default_rng(0).integers(-2000, 2000, (30, N_CHANNELS)).astype(np.int16)
    elf = compile_target(tmp_path / "firmware", tmp_path / "firmware.elf")
    run = run_on_target(elf, counts, None, N_CHANNELS, front_end.spec.samples_per_frame, spec.n_outputs)
    assert run.memory.flash_bytes <= FLASH_BYTES
    assert run.memory.flash_bytes > workload(spec).weight_bytes
    host = HostTwin(compile_host(tmp_path / "firmware", tmp_path / "host.so", "gcc", "1"))
    assert run.outputs.tobytes() == host.run(counts).outputs.tobytes()


def drifting(spec: DecoderSpec, n_frames: int) -> F32:
    """Frames whose mean rises over the stream by three of their standard deviations."""
    drift = np.linspace(0.0, 3.0, n_frames, dtype=np.float32)[:, None]
    frames: F32 = (random_frames(spec, n_frames, 3) + drift).astype(np.float32)
    return frames


@pytest.mark.parametrize("mean_frames", [20.0, 1000.0])
def test_the_integer_mean_follows_the_float_one_and_its_weight_settles(mean_frames: float) -> None:
    spec = edge_spec(mean_frames=mean_frames).model_copy(update={"n_layers": 1})
    parameters, frames = random_parameters(spec, 1), drifting(spec, 4000)
    decoder = quantize(spec, parameters, frames)
    seen: dict[str, list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]] = {MEAN: [], WEIGHT: []}

    def look(name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
        if name.removesuffix(".next") in seen:
            seen[name.removesuffix(".next")].append(values)

    decoder.stream(frames, tap=look)
    means, weights = (np.concatenate(seen[name]) for name in (MEAN, WEIGHT))
    exact: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = []
    values = spec.entry
    values.run(
        {name: array.astype(np.float64) for name, array in parameters.items()},
        frames.astype(np.float64),
        {name: np.zeros(shape) for name, shape in values.state_shapes().items()},
        lambda name, array: exact.append(array) if name == f"{MEAN}.next" else None,
    )
    tensors = decoder.tensors()
    largest = np.abs(exact[0]).max()
    # Taps of 8 bits are off by 0.4 % of the largest tap, and a mean averages the rest away.
    assert np.abs(means * tensors["tokenizer.mean_scale"] - exact[0]).max() < 0.01 * largest
    limit = tensors["tokenizer.unit"] / (1 - np.exp(-1 / mean_frames))
    start_up = 1 - np.exp(-len(frames) / mean_frames)
    # Where the weight gains less than half a count it stands still: half a time constant of counts below its limit.
    assert limit * start_up - 0.6 * mean_frames < weights[-1, 0] <= limit + 1
