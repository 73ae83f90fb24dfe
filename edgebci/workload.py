"""What one step of a decoder costs, counted exactly from its sizes: no estimate, no measurement.

A MAC is one multiplication whose product is added. Counted are the dense layers, the convolution and the state
(recurrence, injection and readout of h); what is done once per element (norms, gates, SiLU, exp) is left out, as usual.
"""

from __future__ import annotations

import math
from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document
from edgebci.operators.cell import Costs

_FLOAT32 = 4
_STATE_BYTES = {"int8": 1, "int16": 2, "int32": 4}


class Workload(Document):
    """Counts per step, and bytes of the quantized decoder."""

    dense_macs: int
    """int8 weights times int8 activations."""
    conv_macs: int
    """int8 weights times int16 inputs."""
    state_macs: int
    """Three per element of h: decay, injection, readout."""
    weight_bytes: int
    """int8 weights with their scales, and every float32 vector."""
    state_bytes: int
    """Integer states of one stream."""
    tokenizer_macs: int | None = None
    """Of all MACs, those of the tokenizer; None where a frame goes through one matrix, which then counts with the rest.
    Left out of files where it is None."""

    @model_serializer(mode="wrap")
    def _without_a_tokenizer(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        return {name: value for name, value in written.items() if name != "tokenizer_macs" or value is not None}

    @property
    def beyond_macs(self) -> int:
        """MACs per step beyond the tokenizer."""
        return self.macs - (self.tokenizer_macs or 0)

    @property
    def macs(self) -> int:
        """All of them, per step."""
        return self.dense_macs + self.conv_macs + self.state_macs

    @property
    def int8_share(self) -> float:
        """Share of the MACs that multiply int8 by int8."""
        return self.dense_macs / self.macs

    def summary(self) -> str:
        """One line for a report."""
        apart = ""
        if self.tokenizer_macs is not None:
            apart = f" ({self.tokenizer_macs:,} in the tokenizer, {self.beyond_macs:,} beyond it)"
        return (
            f"{self.macs:,} MACs per output{apart}, {self.int8_share:.1%} of them int8 by int8, "
            f"{self.weight_bytes:,} bytes of weights, {self.state_bytes:,} bytes of state"
        )


def workload(spec: DecoderSpec) -> Workload:
    """Count one step of `spec`."""
    entry, layer, types = spec.entry.costs(), spec.layer.costs(), spec.state_types()
    return Workload(
        dense_macs=sum(rows * columns for rows, columns in dense_shapes(spec)),
        conv_macs=entry.conv_macs + spec.n_layers * layer.conv_macs,
        state_macs=entry.state_macs + spec.n_layers * layer.state_macs,
        weight_bytes=_weight_bytes(spec),
        state_bytes=sum(_STATE_BYTES[types[name]] * math.prod(shape) for name, shape in spec.state_shapes().items()),
        tokenizer_macs=_macs(entry) if spec.tokenizer else None,
    )


def _macs(costs: Costs) -> int:
    return sum(rows * columns for rows, columns in costs.dense) + costs.conv_macs + costs.state_macs


def dense_shapes(spec: DecoderSpec) -> list[tuple[int, int]]:
    """(rows, columns) of each dense layer in the order of computation."""
    layers = spec.n_layers * spec.layer.costs().dense
    return [*spec.entry.costs().dense, *layers, (spec.n_outputs, (spec.readout_lags + 1) * spec.d_model)]


def _weight_bytes(spec: DecoderSpec) -> int:
    # A dense layer: weights, then per row a scale and a bias, and the scale of its input.
    dense = sum(rows * columns + _FLOAT32 * (2 * rows + 1) for rows, columns in dense_shapes(spec))
    norms = _FLOAT32 * (spec.n_layers + 1) * spec.d_model
    return dense + norms + spec.entry.costs().vector_bytes + spec.n_layers * spec.layer.costs().vector_bytes
