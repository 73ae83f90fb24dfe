"""What `int8` means, counted: the share of the MACs that multiply int8 weights by int8 activations.

A MAC with a weight is one of a dense layer or of a convolution. The recurrence, its injection and its readout multiply
states by what is computed at each step and have no weights: what `int8` asks of them is a state of 16 bits or less.
Their MACs are counted and shown beside the others, so that nobody has to guess what the share is a share of.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.documents import Document
from edgebci.errors import VerificationError
from edgebci.operators.cells import cell_of
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.quantized_decoder import QuantizedDecoder

SMALLEST_INT8_SHARE = 0.95
WIDEST_STATE_BITS = 16
_MEAN_PREFIXES = ("mean.", "weight.")
"""Slow statistics of a tokenizer: they average for months and are no recurrence of the decoder."""


class TensorMacs(Document):
    """One tensor of weights and what it costs in a step."""

    name: str
    macs: int
    weight_bits: int
    activation_bits: int

    @property
    def in_int8(self) -> bool:
        """Whether both factors have exactly eight bits."""
        return self.weight_bits == self.activation_bits == 8


class StateBits(Document):
    """One state and the width that it is stored in."""

    name: str
    bits: int


class Int8Share(Document):
    """How much of a step is int8 by int8, tensor by tensor."""

    tensors: tuple[TensorMacs, ...]
    state_macs: int
    """Of the recurrences, which have no weights."""
    states: tuple[StateBits, ...]

    @property
    def weight_macs(self) -> int:
        """All MACs with a weight."""
        return sum(tensor.macs for tensor in self.tensors)

    @property
    def int8_macs(self) -> int:
        """Those of int8 weights with int8 activations."""
        return sum(tensor.macs for tensor in self.tensors if tensor.in_int8)

    @property
    def share(self) -> float:
        """Of the MACs with a weight."""
        return self.int8_macs / self.weight_macs

    @property
    def share_of_all(self) -> float:
        """Of all MACs, those of the recurrences among them."""
        return self.int8_macs / (self.weight_macs + self.state_macs)

    def sentence(self) -> str:
        """One line to print."""
        widest = max(state.bits for state in self.states)
        return (
            f"{self.int8_macs:,} of {self.weight_macs:,} MACs with a weight are int8 by int8 ({self.share:.1%}; "
            f"{self.share_of_all:.1%} with the {self.state_macs:,} of the recurrences, whose states have at most "
            f"{widest} bits)"
        )


def int8_share(decoder: QuantizedDecoder) -> Int8Share:
    """Count the MACs of one step by the widths that the decoder's tensors really have."""
    spec, tensors = decoder.spec, decoder.tensors()
    entry, layer = spec.entry.costs(), spec.layer.costs()
    dense = [_dense(name.removesuffix(".act_scale"), tensors) for name in tensors if _of_dense(name, tensors)]
    convolutions = [("tokenizer.conv", entry.conv_macs)] if entry.conv_macs else []
    convolutions += [(f"layers.{i}.mixer.conv1d", layer.conv_macs) for i in range(spec.n_layers) if layer.conv_macs]
    types = decoder.state_types()
    return Int8Share(
        tensors=(*dense, *(_convolution(name, macs, tensors) for name, macs in convolutions)),
        state_macs=entry.state_macs + spec.n_layers * layer.state_macs,
        states=tuple(
            StateBits(name=name, bits=8 * np.dtype(kind).itemsize)
            for name, kind in types.items()
            if not name.startswith(_MEAN_PREFIXES)
        ),
    )


def possm_int8_share(decoder: QuantizedPossmStep) -> Int8Share:
    """Count the MACs of one step of a decoder of spikes, with as many tokens as it takes.

    Beside dense layers and convolutions, two products have weights: shares times values of tokens, and the float32 keys
    of the ages times what is remembered in int8, which is not int8 by int8.
    """
    spec, tensors = decoder.spec, decoder.tensors()
    costs = cell_of(spec.backbone, spec.block).costs()
    dense = [_dense(name.removesuffix(".act_scale"), tensors) for name in tensors if _of_dense(name, tensors)]
    convolutions = [(f"layers.{i}.mixer.conv1d", costs.conv_macs) for i in range(spec.n_layers) if costs.conv_macs]
    remembered = spec.memory_chunks * spec.hidden
    values = TensorMacs(
        name="tokens.value",
        macs=spec.max_tokens * spec.dim,
        weight_bits=_bits(tensors["tokens.value"]),
        activation_bits=_bits(tensors["tokens.share"]),
    )
    ages = TensorMacs(name="memory.age", macs=remembered, weight_bits=32, activation_bits=8)
    return Int8Share(
        tensors=(values, *dense, *(_convolution(name, macs, tensors) for name, macs in convolutions), ages),
        state_macs=spec.n_layers * costs.state_macs + remembered,
        states=tuple(
            StateBits(name=name, bits=8 * state.dtype.itemsize) for name, state in decoder.initial_states().items()
        ),
    )


def require_int8(decoder: QuantizedDecoder | QuantizedPossmStep) -> Int8Share:
    """The share, where the decoder may be called int8.

    Raises:
        VerificationError: under 95 % of the MACs are int8 by int8, or a state has more than 16 bits; names the tensors.
    """
    found = possm_int8_share(decoder) if isinstance(decoder, QuantizedPossmStep) else int8_share(decoder)
    wide = [f"{state.name} ({state.bits} bits)" for state in found.states if state.bits > WIDEST_STATE_BITS]
    short = [
        f"{tensor.name} ({tensor.weight_bits}-bit weights by {tensor.activation_bits}-bit activations, "
        f"{tensor.macs:,} MACs)"
        for tensor in found.tensors
        if not tensor.in_int8
    ]
    if found.share < SMALLEST_INT8_SHARE or wide:
        fallen = [*(short if found.share < SMALLEST_INT8_SHARE else []), *wide]
        raise VerificationError(
            f"{found.share:.2%} of the MACs with a weight are int8 by int8 where int8 needs {SMALLEST_INT8_SHARE:.0%} "
            f"and states of {WIDEST_STATE_BITS} bits: {', '.join(fallen)} fall short; export with --precision mixed"
        )
    return found


def _of_dense(name: str, tensors: dict[str, NDArray[Any]]) -> bool:
    stem = name.removesuffix(".act_scale")
    return stem != name and f"{stem}.weight_scale" in tensors


def _dense(name: str, tensors: dict[str, NDArray[Any]]) -> TensorMacs:
    weight, bits = next(
        (tensors[f"{name}.{part}"], bits)
        for part, bits in (("weight", 8), ("weight_int4", 4), ("weight_int16", 16))
        if f"{name}.{part}" in tensors
    )
    return TensorMacs(name=name, macs=weight.size, weight_bits=bits, activation_bits=8)


def _convolution(name: str, macs: int, tensors: dict[str, NDArray[Any]]) -> TensorMacs:
    # Its window is a state, and its inputs are what the state holds: int16.
    return TensorMacs(name=name, macs=macs, weight_bits=_bits(tensors[f"{name}.weight"]), activation_bits=16)


def _bits(values: NDArray[Any]) -> int:
    return 8 * values.dtype.itemsize
