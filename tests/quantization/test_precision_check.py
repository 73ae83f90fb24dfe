"""int8 is counted, tensor by tensor, and never promised where it is not."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import VerificationError
from edgebci.example_decoder import draw_parameters, random_frames, random_parameters
from edgebci.export.possm_step import quantize_possm
from edgebci.export.precision_check import int8_share, possm_int8_share, require_int8
from edgebci.export.quantization import QuantizationRecipe, quantize
from edgebci.operators.cells import CellKind, cell_of
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.training.possm.workload import possm_workload
from edgebci.workload import workload
from tests.small_specs import TOKENIZER, small_spike_decoder

EDGE_STUDENT = DecoderSpec(n_inputs=384, output_names=("x", "y"), output_unit="cm/s")


def decoder(spec: DecoderSpec, widths: dict[str, int]) -> QuantizedDecoder:
    recipe = QuantizationRecipe.model_validate({"widths": widths})
    return quantize(spec, random_parameters(spec, 1), random_frames(spec, 50, 2), recipe)


@pytest.mark.parametrize("cell", ["mamba2", "s4d", "gru"])
def test_macs_are_those_of_the_workload(cell: CellKind) -> None:
    spec = EDGE_STUDENT.model_copy(update={"cell": cell, "n_inputs": 16})
    found, counts = int8_share(decoder(spec, {})), workload(spec)
    assert found.int8_macs == counts.dense_macs
    assert found.weight_macs == counts.dense_macs + counts.conv_macs
    assert found.weight_macs + found.state_macs == counts.macs
    assert found.share_of_all == pytest.approx(counts.int8_share)


def test_a_tokenizer_counts_its_convolution_and_not_its_slow_means() -> None:
    spec = DecoderSpec.model_validate(EDGE_STUDENT.model_dump() | {"n_inputs": 16, "tokenizer": TOKENIZER})
    found, counts = int8_share(decoder(spec, {})), workload(spec)
    assert (found.int8_macs, found.weight_macs) == (counts.dense_macs, counts.dense_macs + counts.conv_macs)
    assert max(state.bits for state in found.states) == 16


def test_the_edge_student_is_int8() -> None:
    found = require_int8(decoder(EDGE_STUDENT, {}))
    assert found.share > 0.98
    assert "78,464 of 79,744 MACs with a weight are int8 by int8 (98.4%" in found.sentence()


@pytest.mark.parametrize("bits", [4, 16])
def test_a_wide_or_narrow_tensor_is_named(bits: int) -> None:
    with pytest.raises(VerificationError, match=rf"input \({bits}-bit weights by 8-bit activations, 24,576 MACs\)"):
        require_int8(decoder(EDGE_STUDENT, {"input": bits}))


def test_a_small_tensor_in_sixteen_bits_leaves_the_decoder_int8_and_is_counted() -> None:
    found = require_int8(decoder(EDGE_STUDENT, {"readout": 16}))
    assert [tensor.weight_bits for tensor in found.tensors if tensor.name == "readout"] == [16]
    assert found.int8_macs == 78464 - 128


@pytest.mark.parametrize("backbone", ["gru", "mamba2"])
def test_macs_of_a_decoder_of_spikes_are_those_of_its_workload(backbone: Literal["gru", "mamba2"]) -> None:
    small = {"n_units": 6, "n_time_steps": 2, "max_tokens": 8, "dim": 8, "feed_forward_hidden": 16, "hidden": 12}
    spec = small_spike_decoder(backbone, **small, output_names=("x",))
    chunks = np.random.default_rng(0).integers((0, 0), (6, 2), (40, 8, 2)).astype(np.int32)
    found = possm_int8_share(quantize_possm(spec, draw_parameters(spec.parameter_shapes(), 1), chunks))
    counts = possm_workload(spec)
    assert found.weight_macs + found.state_macs == counts.token_macs + counts.beyond_macs
    assert {tensor.name for tensor in found.tensors if not tensor.in_int8} >= {"memory.age"}
    assert next(tensor.in_int8 for tensor in found.tensors if tensor.name == "tokens.value")
    convolved = 2 * cell_of(backbone, spec.block).costs().conv_macs
    assert found.weight_macs - found.int8_macs == 3 * 12 + convolved
    assert {state.bits for state in found.states} == {8, 16}
