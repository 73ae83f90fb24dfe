"""What one step of a decoder costs, counted exactly from its sizes: no estimate, no measurement.

A MAC is one multiplication whose product is added. Counted are the dense layers, the convolution and the state
(recurrence, injection and readout of h); what is done once per element (norms, gates, SiLU, exp) is left out, as usual.
"""

from __future__ import annotations

import math

from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document

_FLOAT32 = 4
_STATE_BYTES = {"int16": 2, "int32": 4}


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
    """int16 states of one stream."""

    @property
    def macs(self) -> int:
        """All of them, per step."""
        return self.dense_macs + self.conv_macs + self.state_macs

    @property
    def int8_share(self) -> float:
        """Share of the MACs that multiply int8 by int8."""
        return self.dense_macs / self.macs


def workload(spec: DecoderSpec) -> Workload:
    """Count one step of `spec`."""
    entry, layer, types = spec.entry.costs(), spec.layer.costs(), spec.state_types()
    return Workload(
        dense_macs=sum(rows * columns for rows, columns in dense_shapes(spec)),
        conv_macs=entry.conv_macs + spec.n_layers * layer.conv_macs,
        state_macs=entry.state_macs + spec.n_layers * layer.state_macs,
        weight_bytes=_weight_bytes(spec),
        state_bytes=sum(_STATE_BYTES[types[name]] * math.prod(shape) for name, shape in spec.state_shapes().items()),
    )


def dense_shapes(spec: DecoderSpec) -> list[tuple[int, int]]:
    """(rows, columns) of each dense layer in the order of computation."""
    layers = spec.n_layers * spec.layer.costs().dense
    return [*spec.entry.costs().dense, *layers, (spec.n_outputs, spec.d_model)]


def _weight_bytes(spec: DecoderSpec) -> int:
    # A dense layer: weights, then per row a scale and a bias, and the scale of its input.
    dense = sum(rows * columns + _FLOAT32 * (2 * rows + 1) for rows, columns in dense_shapes(spec))
    norms = _FLOAT32 * (spec.n_layers + 1) * spec.d_model
    return dense + norms + spec.entry.costs().vector_bytes + spec.n_layers * spec.layer.costs().vector_bytes
