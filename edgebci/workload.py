"""What one step of a decoder costs, counted exactly from its sizes: no estimate, no measurement.

A MAC is one multiplication whose product is added. Counted are the dense layers, the convolution and the state
(recurrence, injection and readout of h); what is done once per element (norms, gates, SiLU, exp) is left out, as usual.
"""

from __future__ import annotations

from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document

_INT8, _INT16, _FLOAT32 = 1, 2, 4


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
    layers, state = spec.n_layers, spec.n_heads * spec.headdim * spec.d_state
    return Workload(
        dense_macs=sum(rows * columns for rows, columns in dense_shapes(spec)),
        conv_macs=layers * spec.conv_dim * spec.d_conv,
        state_macs=layers * 3 * state,
        weight_bytes=_weight_bytes(spec),
        state_bytes=layers * _INT16 * (spec.conv_dim * (spec.d_conv - 1) + state),
    )


def dense_shapes(spec: DecoderSpec) -> list[tuple[int, int]]:
    """(rows, columns) of each dense layer in the order of computation."""
    block = [(spec.d_in_proj, spec.d_model), (spec.d_model, spec.d_inner)]
    return [(spec.d_model, spec.n_inputs), *block * spec.n_layers, (spec.n_outputs, spec.d_model)]


def _weight_bytes(spec: DecoderSpec) -> int:
    # A dense layer: weights, then per row a scale and a bias, and the scale of its input.
    dense = sum(_INT8 * rows * columns + _FLOAT32 * (2 * rows + 1) for rows, columns in dense_shapes(spec))
    # The mixer besides: taps; two scales and a bias per channel; dt_bias, A, D and a scale per head.
    mixer = _INT8 * spec.conv_dim * spec.d_conv + _FLOAT32 * (3 * spec.conv_dim + 4 * spec.n_heads)
    norms = _FLOAT32 * (spec.n_layers * (spec.d_model + spec.d_inner) + spec.d_model)
    return dense + spec.n_layers * mixer + norms
