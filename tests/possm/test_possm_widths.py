"""Weights of 4 and 16 bits in a decoder of spikes: the graph and the C compute what the reference computes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgebci.errors import InputError, VerificationError
from edgebci.example_decoder import draw_parameters
from edgebci.export.c_spikes import generate_spike_program
from edgebci.export.calibration import QuantizationRecipe, Width
from edgebci.export.possm_step import quantize_possm, quantized_possm_graph
from edgebci.export.possm_widths import possm_dense_names
from edgebci.export.precision_check import require_int8
from edgebci.export.verification import verify_quantized
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.toolchain import SPIKES_HOST, compile_host
from edgebci.operators.token_attention import Tokens
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import PossmStepSpec
from tests.small_specs import small_spike_decoder

MIXED: dict[str, dict[str, Width]] = {
    "gru": {"encoder.up": 4, "layers.0.mixer.ih": 16, "layers.1.mixer.hh": 4, "readout": 16},
    "mamba2": {"input": 4, "layers.0.mixer.in_proj": 16, "context": 4, "decoder.down": 16},
}


@pytest.fixture(scope="module")
def chunks() -> Tokens:
    """(260, 8, 2), from one spike to eight."""
    rng = np.random.default_rng(5)
    made = np.stack([rng.integers(1, 7, (260, 8)), np.sort(rng.integers(0, 2, (260, 8)))], axis=-1).astype(np.int32)
    made[np.arange(8) >= rng.integers(1, 9, 260)[:, None]] = (-1, 0)
    return made


def spec_of(backbone: str) -> PossmStepSpec:
    return small_spike_decoder(backbone, n_units=6, n_time_steps=2, max_tokens=8)


def decoder(backbone: str, chunks: Tokens, widths: dict[str, Width]) -> QuantizedPossmStep:
    spec = spec_of(backbone)
    recipe = QuantizationRecipe(widths=widths)
    return quantize_possm(spec, draw_parameters(spec.parameter_shapes(), 1), chunks[:200], recipe)


@pytest.mark.parametrize("backbone", list(MIXED))
def test_the_graph_of_mixed_widths_agrees_and_the_file_gives_the_same_decoder(
    backbone: str, chunks: Tokens, tmp_path: Path
) -> None:
    mixed = decoder(backbone, chunks, MIXED[backbone])
    found = verify_quantized(quantized_possm_graph(mixed), mixed, chunks[200:])
    assert max(one.largest_lsb for one in found.each_quantizer) <= 1
    mixed.save(tmp_path / "q.safetensors")
    again = QuantizedPossmStep.load(tmp_path / "q.safetensors").stream(chunks[200:])
    assert again.tobytes() == mixed.stream(chunks[200:]).tobytes()
    assert again.tobytes() != decoder(backbone, chunks, {}).stream(chunks[200:]).tobytes()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_the_c_of_mixed_widths_is_the_reference_bit_for_bit(chunks: Tokens, tmp_path: Path) -> None:
    mixed = decoder("gru", chunks, MIXED["gru"])
    onnx.save(quantized_possm_graph(mixed), tmp_path / "decoder_int8.onnx")
    generate_spike_program(tmp_path / "decoder_int8.onnx", mixed.spec, tmp_path / "firmware")
    twin = HostTwin(compile_host(tmp_path / "firmware", tmp_path / "host.so", "gcc", "1", harness=SPIKES_HOST))
    rows = np.zeros((60, 2 * 8, 2), np.int16)  # of a chunk, twice as many as the decoder looks at
    rows[:, :8] = chunks[200:]
    run = twin.run(rows.reshape(-1, 2))
    assert run.outputs.tobytes() == mixed.stream(chunks[200:]).tobytes()


def test_every_dense_layer_has_a_width_and_nothing_else() -> None:
    for backbone in MIXED:
        spec = spec_of(backbone)
        tensors = decoder(backbone, np.zeros((4, 8, 2), np.int32), {}).tensors()
        dense = {name.removesuffix(".weight_scale") for name in tensors if name.endswith(".weight_scale")}
        named = possm_dense_names(spec)
        assert {name for name in dense if f"{name}.act_scale" in tensors} == set(named)
        assert all(tensors[f"{name}.weight"].shape == shape for name, shape in named.items())


def test_what_has_no_width_is_refused_and_narrow_weights_are_no_int8(chunks: Tokens) -> None:
    with pytest.raises(InputError, match="no weights 'memory' whose width can be chosen"):
        decoder("gru", chunks, {"memory": 16})
    with pytest.raises(VerificationError, match=r"encoder\.up \(4-bit weights by 8-bit activations"):
        require_int8(decoder("gru", chunks, {"encoder.up": 4}))
