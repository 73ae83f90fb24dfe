"""The counts of one step, pinned for the decoder that every figure of the project refers to."""

from __future__ import annotations

import pytest

from edgebci.decoder_spec import DecoderSpec
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.quantization import quantize
from edgebci.workload import workload

EDGE_STUDENT = DecoderSpec(n_inputs=384, output_names=("x", "y"), output_unit="cm/s")


def test_counts_of_the_edge_student() -> None:
    counts = workload(EDGE_STUDENT)
    assert counts.dense_macs == 64 * 384 + 2 * (292 * 64 + 64 * 128) + 2 * 64
    assert counts.conv_macs == 2 * 160 * 4
    assert counts.state_macs == 2 * 3 * 4 * 32 * 16
    assert counts.macs == 92_032
    assert counts.state_bytes == 2 * 2 * (160 * 3 + 4 * 32 * 16)
    assert counts.int8_share == pytest.approx(78_464 / 92_032)


@pytest.mark.parametrize("n_layers", [1, 3])
def test_bytes_are_those_of_the_quantized_tensors(n_layers: int) -> None:
    spec = DecoderSpec(n_inputs=12, output_names=("x",), output_unit="1", d_model=8, n_layers=n_layers, headdim=4)
    decoder = quantize(spec, random_parameters(spec, 1), random_frames(spec, 64, 2))
    counts = workload(spec)
    assert counts.weight_bytes == sum(tensor.nbytes for tensor in decoder.tensors().values())
    assert counts.state_bytes == sum(state.nbytes for state in decoder.initial_states().values())
