"""What one output of a REALM student costs, counted exactly from its sizes: nothing is estimated or measured.

A MAC is one multiplication whose product is added. Counted are dense layers, convolutions, gates, rotations and the
state (decay, injection, readout of h). What is done once per element (activations, norms, exp) is left out, as usual.
"""

from __future__ import annotations

from edgebci.documents import Document
from edgebci.training.realm.spec import EncoderSpec

EDGE_MACS = 100_000
"""Most MACs per output beyond the tokenizer that an edge student may need."""
EDGE_FLASH_BYTES = 256 * 1024
_FLOAT32 = 4


class RealmWorkload(Document):
    """Counts per frame, and bytes with int8 weights."""

    tokenizer_macs: int
    beyond_macs: int
    """Layers and readout."""
    weight_bytes: int
    """int8 matrices with a scale and a bias per row in float32, and every vector in float32."""
    state_values: int
    """Numbers that a stream carries from frame to frame."""

    @property
    def macs(self) -> int:
        """All of them, per frame."""
        return self.tokenizer_macs + self.beyond_macs

    @property
    def fits_edge(self) -> bool:
        """Whether both limits of an edge student hold."""
        return self.beyond_macs <= EDGE_MACS and self.weight_bytes <= EDGE_FLASH_BYTES

    def summary(self) -> str:
        """One line for a report."""
        return (
            f"{self.tokenizer_macs:,} MACs per output in the tokenizer and {self.beyond_macs:,} beyond it, "
            f"{self.weight_bytes:,} bytes of weights, {self.state_values:,} state values"
        )


def realm_workload(spec: EncoderSpec, n_outputs: int) -> RealmWorkload:
    """Count one step of a causal student with a linear head of `n_outputs`."""
    layers, block = spec.n_layers, spec.block_spec
    state = block.d_inner * block.d_state
    rotated = 4 * block.d_state if block.rotary else 0  # two pairs of products for each of B and C
    per_layer = sum(r * c for r, c in _block_matrices(spec)) + _conv_width(spec) * spec.d_conv + 3 * state + rotated
    return RealmWorkload(
        tokenizer_macs=_tokenizer_macs(spec),
        beyond_macs=layers * per_layer + n_outputs * spec.d_model,
        weight_bytes=_tokenizer_bytes(spec) + layers * _layer_bytes(spec) + _head_bytes(spec, n_outputs),
        state_values=_tokenizer_state(spec) + layers * (state + _conv_width(spec) * (spec.d_conv - 1)),
    )


def _tokenizer_macs(spec: EncoderSpec) -> int:
    if spec.tokenizer == "linear":
        return spec.n_channels * spec.d_model
    features = spec.n_channels * spec.channel_features
    return features * spec.conv_taps + spec.n_channels * spec.attention_taps + features + features * spec.d_model


def _tokenizer_state(spec: EncoderSpec) -> int:
    if spec.tokenizer == "linear":
        return 0
    return spec.n_channels * (spec.conv_taps - 1) + spec.n_channels + 1  # frames, means, and the frames counted so far


def _tokenizer_bytes(spec: EncoderSpec) -> int:
    if spec.tokenizer == "linear":
        return _dense_bytes(spec.d_model, spec.n_channels)
    small = spec.channel_features * (spec.conv_taps + 1) + spec.attention_taps
    return _dense_bytes(spec.d_model, spec.n_channels * spec.channel_features) + _FLOAT32 * small + _norm_bytes(spec)


def _layer_bytes(spec: EncoderSpec) -> int:
    block = spec.block_spec
    conv = _conv_width(spec) * (spec.d_conv + 3 * _FLOAT32)  # int8 taps; two scales and a bias per channel
    vectors = _FLOAT32 * (3 * block.n_heads + (block.d_inner if block.gated_norm else 0))
    return sum(_dense_bytes(r, c) for r, c in _block_matrices(spec)) + conv + vectors + _norm_bytes(spec)


def _head_bytes(spec: EncoderSpec, n_outputs: int) -> int:
    return _norm_bytes(spec) + _dense_bytes(n_outputs, spec.d_model)


def _dense_bytes(rows: int, columns: int) -> int:
    return rows * columns + _FLOAT32 * (2 * rows + 1)


def _norm_bytes(spec: EncoderSpec) -> int:
    return _FLOAT32 * spec.d_model * (2 if spec.norm == "layer" else 1)


def _conv_width(spec: EncoderSpec) -> int:
    block = spec.block_spec
    return block.d_inner if block.late_projections else block.d_inner + 2 * block.d_state


def _block_matrices(spec: EncoderSpec) -> list[tuple[int, int]]:
    """(rows, columns) of each dense layer of a block."""
    block = spec.block_spec
    out = (spec.d_model, block.d_inner)
    if not block.late_projections:
        return [(2 * block.d_inner + 2 * block.d_state + block.n_heads, spec.d_model), out]
    return [
        (2 * block.d_inner, spec.d_model),
        (2 * block.d_state, block.d_inner),
        (block.n_heads, block.d_inner),
        out,
    ]
