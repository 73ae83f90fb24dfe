"""POSSM's step, bit for bit: what the host twin and the emulated cores must equal.

    x = tokens(chunk)                       x = x + down(q(silu(up(q(rms_norm(x))))))            (encoder)
    gru:     x = cell(q(x)) for each layer
    mamba2:  x = dense(q(x), input), then x = x + cell(q(rms_norm(x))) for each layer
    c = memory(q(rms_norm(x)))              x = dense(q(c), context), whose bias is the query
    x = x + down(q(silu(up(q(rms_norm(x))))))                                                    (decoder)
    output = dense(q(x), readout)

Types and rules are those of `edgebci.quantized_decoder`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgebci import arithmetic
from edgebci.arithmetic import F32
from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.decoder_float import segments
from edgebci.documents import Document
from edgebci.operators.cell import Integers, QuantizedCell, Tap, layer_tap, within
from edgebci.operators.cells import cell_of
from edgebci.operators.dense import QuantizedDense, dense_of, dense_tensors, rms_norm, rms_norm_quantize
from edgebci.operators.memory_attention import QuantizedMemoryAttention
from edgebci.operators.stack import stacked
from edgebci.operators.token_attention import QuantizedTokenAttention, Tokens
from edgebci.possm_spec import PossmStepSpec
from edgebci.quantized_decoder import CHUNK, QuantizedStates, no_tap


def state_type(name: str) -> str:
    """Type of a state: int8 for what the output looks back at, int16 for those of the backbone."""
    return "int8" if name == "memory" else "int16"


class QuantizedPossmHeader(Document):
    """Header of the file of a quantized step."""

    schema_version: Literal["edgebci.quantized_possm/1"] = "edgebci.quantized_possm/1"
    spec: PossmStepSpec


@dataclass(frozen=True)
class QuantizedFeedForward:
    """x + down(q(silu(up(q(rms_norm(x))))))."""

    norm_weight: F32  # (dim,)
    up: QuantizedDense
    down: QuantizedDense

    def run(self, x: F32, epsilon: np.float32, name: str, tap: Tap) -> F32:
        """(T, dim) to the same; `tap` sees `{name}.norm_q` and `{name}.hidden_q`."""
        q = rms_norm_quantize(x, self.norm_weight, epsilon, self.up.inverse_act_scale)
        tap(f"{name}.norm_q", q)
        hidden = arithmetic.quantize_int8(arithmetic.silu(self.up(q)), self.down.inverse_act_scale)
        tap(f"{name}.hidden_q", hidden)
        return x + self.down(hidden)

    def tensors(self, name: str) -> dict[str, NDArray[Any]]:
        """Every array by its name in the decoder."""
        dense = dense_tensors(f"{name}.up", self.up) | dense_tensors(f"{name}.down", self.down)
        return {f"{name}.norm.weight": self.norm_weight} | dense


@dataclass(frozen=True)
class QuantizedPossmLayer:
    """A cell, behind a norm where the backbone has a residual path."""

    norm_weight: F32 | None  # (hidden,)
    cell: QuantizedCell


@dataclass(frozen=True)
class QuantizedPossmStep:
    """Integer weights, tables, scales and the spec they belong to."""

    spec: PossmStepSpec
    tokens: QuantizedTokenAttention
    encoder: QuantizedFeedForward
    input: QuantizedDense | None
    layers: tuple[QuantizedPossmLayer, ...]
    memory_norm: F32  # (hidden,)
    memory: QuantizedMemoryAttention
    context: QuantizedDense
    decoder: QuantizedFeedForward
    readout: QuantizedDense

    @property
    def _epsilon(self) -> np.float32:
        return np.float32(self.spec.norm_epsilon)

    def initial_states(self) -> QuantizedStates:
        """All zero: the state at power-on and after a reset."""
        return {name: np.zeros(shape, state_type(name)) for name, shape in self.spec.state_shapes().items()}

    def stream(self, chunks: Tokens, reset_before: NDArray[np.bool_] | None = None, tap: Tap = no_tap) -> F32:
        """Decode (T, N, 2) from zero states, which `reset_before` (T,) restores: returns (T, n_outputs)."""
        outputs, states = np.zeros((len(chunks), self.spec.n_outputs), np.float32), self.initial_states()
        for start, stop, reset in segments(len(chunks), reset_before, CHUNK):
            states = self.initial_states() if reset else states
            outputs[start:stop], states = self.run(chunks[start:stop], states, tap)
        return outputs

    def run(self, chunks: Tokens, states: QuantizedStates, tap: Tap = no_tap) -> tuple[F32, QuantizedStates]:
        """Decode chunks (T, N, 2) that follow each other, from `states` on; `tap` sees what each quantizer gave."""
        following = dict(states)
        x = self.encoder.run(self.tokens(chunks), self._epsilon, "encoder", tap)
        x, inverse_scale = self._backbone(x, following, tap), np.float32(1.0 / self.memory.scale)
        m = rms_norm_quantize(x, self.memory_norm, self._epsilon, inverse_scale)
        tap("memory.norm_q", m)
        rows, memory = stacked(states["memory"].astype(np.int8), m)
        tap("memory.next", memory)
        following["memory"] = memory[-1].copy()
        x = self._quantized(self.memory(rows), self.context, "context", tap)
        x = self.decoder.run(x, self._epsilon, "decoder", tap)
        return self._quantized(x, self.readout, "readout", tap), following

    def _backbone(self, x: F32, states: dict[str, Integers], tap: Tap) -> F32:
        """All layers; replaces their entries of `states`."""
        names = cell_of(self.spec.backbone, self.spec.block).state_shapes()
        if self.input is not None:
            x = self._quantized(x, self.input, "input", tap)
        for i, layer in enumerate(self.layers):
            u = x if layer.norm_weight is None else rms_norm(x, layer.norm_weight, self._epsilon)
            q = arithmetic.quantize_int8(u, np.float32(1.0 / layer.cell.act_scale))
            tap(f"layers.{i}.norm_q", q)
            y, after = layer.cell.run(q, {name: states[f"{name}.{i}"] for name in names}, layer_tap(tap, i))
            states |= {f"{name}.{i}": values for name, values in after.items()}
            x = y if layer.norm_weight is None else x + y
        return x

    def _quantized(self, x: F32, dense: QuantizedDense, name: str, tap: Tap) -> F32:
        q = arithmetic.quantize_int8(x, dense.inverse_act_scale)
        tap(f"{name}_q", q)
        return dense(q)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by the name that it has in the ONNX graph."""
        tensors = self.tokens.tensors() | self.encoder.tensors("encoder")
        if self.input is not None:
            tensors |= dense_tensors("input", self.input)
        for i, layer in enumerate(self.layers):
            if layer.norm_weight is not None:
                tensors[f"layers.{i}.norm.weight"] = layer.norm_weight
            tensors |= {f"layers.{i}.mixer.{name}": values for name, values in layer.cell.tensors().items()}
        tensors |= {"memory.norm.weight": self.memory_norm, "memory.age": self.memory.age}
        tensors |= {"memory.scale": self.memory.scale} | dense_tensors("context", self.context)
        return tensors | self.decoder.tensors("decoder") | dense_tensors("readout", self.readout)

    @classmethod
    def from_tensors(cls, spec: PossmStepSpec, tensors: Mapping[str, NDArray[Any]]) -> QuantizedPossmStep:
        """Build from what `tensors` gave."""
        return cls(
            spec=spec,
            tokens=QuantizedTokenAttention.of(tensors),
            encoder=_feed_forward(tensors, "encoder"),
            input=dense_of(tensors, "input") if "input.act_scale" in tensors else None,
            layers=tuple(_layer(spec, tensors, i) for i in range(spec.n_layers)),
            memory_norm=tensors["memory.norm.weight"],
            memory=QuantizedMemoryAttention(tensors["memory.age"], tensors["memory.scale"]),
            context=dense_of(tensors, "context"),
            decoder=_feed_forward(tensors, "decoder"),
            readout=dense_of(tensors, "readout"),
        )

    def save(self, path: Path) -> None:
        """Write a safetensors file; the same step gives the same bytes."""
        write_tensors(path, self.tensors(), QuantizedPossmHeader(spec=self.spec))

    @classmethod
    def load(cls, path: Path) -> QuantizedPossmStep:
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        tensors, header = read_tensors(path, QuantizedPossmHeader)
        return cls.from_tensors(header.spec, tensors)


def _feed_forward(tensors: Mapping[str, NDArray[Any]], name: str) -> QuantizedFeedForward:
    return QuantizedFeedForward(
        tensors[f"{name}.norm.weight"], dense_of(tensors, f"{name}.up"), dense_of(tensors, f"{name}.down")
    )


def _layer(spec: PossmStepSpec, tensors: Mapping[str, NDArray[Any]], i: int) -> QuantizedPossmLayer:
    cell = cell_of(spec.backbone, spec.block).quantized(within(tensors, f"layers.{i}.mixer"))
    return QuantizedPossmLayer(tensors.get(f"layers.{i}.norm.weight"), cell)
