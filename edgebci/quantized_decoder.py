"""The quantized decoder, bit for bit: what the host twin and the emulated cores must equal.

int8 weights (one scale per output row) and activations (one scale per tensor), int32 sums, int16 states, float32 for
what stands between two quantizers; weights in int4 or int16 and states in int8 where a recipe asks for them. Every
operation is one of `edgebci.arithmetic` or `edgebci.operators`, in the order written here and there; q() is
`quantize_int8` with the reciprocal scale, rounded to float32:

    x = entry(frame)
    for each layer:
        x = x + cell(q(rms_norm(x)))
    output = dense(q(rms_norm(x)), readout), or of that of the last frames, side by side

`run` takes many frames at once: what does not depend on the previous step is computed for all of them together, element
by element the same, so any chunking of a stream gives the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import SerializerFunctionWrapHandler, model_serializer

from edgebci.arithmetic import F32, I8
from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.decoder_float import segments
from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document
from edgebci.operators.cell import Integers, QuantizedCell, Tap, layer_tap, within
from edgebci.operators.dense import QuantizedDense, dense_of, dense_tensors, rms_norm_quantize
from edgebci.operators.entry import QuantizedEntry
from edgebci.operators.stack import STACK, stacked

CHUNK = 256

QuantizedStates = dict[str, Integers]


class QuantizedHeader(Document):
    """Header of the file of a quantized decoder."""

    schema_version: Literal["edgebci.quantized_decoder/1"] = "edgebci.quantized_decoder/1"
    spec: DecoderSpec
    int8_states: tuple[str, ...] = ()
    """Left out of files where it is empty."""

    @model_serializer(mode="wrap")
    def _without_int8_states(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        return {name: value for name, value in written.items() if name != "int8_states" or value}


def no_tap(name: str, values: NDArray[Any]) -> None:
    """Look at nothing."""


@dataclass(frozen=True)
class QuantizedLayer:
    """x + cell(q(rms_norm(x)))."""

    norm_weight: F32  # (d_model,)
    cell: QuantizedCell


@dataclass(frozen=True)
class QuantizedDecoder:
    """Integer weights, scales and the spec they belong to."""

    spec: DecoderSpec
    entry: QuantizedEntry
    layers: tuple[QuantizedLayer, ...]
    norm_weight: F32
    readout: QuantizedDense
    int8_states: tuple[str, ...] = ()
    """States of layers that are stored in int8, not int16: `ssm.0`, `modes.1`, `hidden.0`."""

    def state_types(self) -> dict[str, str]:
        """Type of each state: those of the spec, or narrower."""
        return self.spec.state_types() | dict.fromkeys(self.int8_states, "int8")

    def initial_states(self) -> QuantizedStates:
        """All zero: the state at power-on and after a reset."""
        types = self.state_types()
        return {name: np.zeros(shape, types[name]) for name, shape in self.spec.state_shapes().items()}

    def step(self, frame: F32, states: QuantizedStates) -> tuple[F32, QuantizedStates]:
        """Decode one frame (n_inputs,): returns the output (n_outputs,) and the next states."""
        outputs, states = self.run(frame[None], states)
        return outputs[0], states

    def stream(self, frames: F32, reset_before: NDArray[np.bool_] | None = None, tap: Tap = no_tap) -> F32:
        """Decode (T, n_inputs) from zero states, which `reset_before` (T,) restores: returns (T, n_outputs)."""
        outputs = np.zeros((len(frames), self.spec.n_outputs), np.float32)
        states = self.initial_states()
        for start, stop, reset in segments(len(frames), reset_before, CHUNK):
            states = self.initial_states() if reset else states
            outputs[start:stop], states = self.run(frames[start:stop], states, tap)
        return outputs

    def run(self, frames: F32, states: QuantizedStates, tap: Tap = no_tap) -> tuple[F32, QuantizedStates]:
        """Decode frames (T, n_inputs) that follow each other, from `states` on.

        `tap` sees what each quantizer gave, in the order of computation: those of the entry; for each layer
        `layers.{i}.norm_q`, the cell's own as `layers.{i}.{name}` and its states as `{state}.{i}.next`; and `norm_q`.
        """
        following, cell_states = dict(states), self.spec.layer.state_shapes()
        x, after = self.entry.run(frames.astype(np.float32), states, tap)
        following |= after
        for i, layer in enumerate(self.layers):
            q = self._norm(x, layer.norm_weight, layer.cell.act_scale)
            tap(f"layers.{i}.norm_q", q)
            before = {name: states[f"{name}.{i}"] for name in cell_states}
            mixed, after = layer.cell.run(q, before, layer_tap(tap, i))
            following |= {f"{name}.{i}": values for name, values in after.items()}
            x = x + mixed
        q = self._norm(x, self.norm_weight, self.readout.act_scale)
        tap("norm_q", q)
        if self.spec.readout_lags:
            q, stack = stacked(states[STACK].astype(np.int8), q)
            tap(f"{STACK}.next", stack)
            following[STACK] = stack[-1].copy()
        return self.readout(q), following

    def _norm(self, x: F32, gamma: F32, scale: F32) -> I8:
        return rms_norm_quantize(x, gamma, np.float32(self.spec.norm_epsilon), np.float32(1.0 / scale))

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by the name that it has in the ONNX graph and in the file."""
        tensors = self.entry.tensors()
        for i, layer in enumerate(self.layers):
            tensors[f"layers.{i}.norm.weight"] = layer.norm_weight
            tensors |= {f"layers.{i}.mixer.{name}": values for name, values in layer.cell.tensors().items()}
        return tensors | {"norm.weight": self.norm_weight} | dense_tensors("readout", self.readout)

    @classmethod
    def from_tensors(
        cls, spec: DecoderSpec, tensors: Mapping[str, NDArray[Any]], int8_states: tuple[str, ...] = ()
    ) -> QuantizedDecoder:
        """Build from what `tensors` gave."""
        cell = spec.layer
        layers = tuple(
            QuantizedLayer(tensors[f"layers.{i}.norm.weight"], cell.quantized(within(tensors, f"layers.{i}.mixer")))
            for i in range(spec.n_layers)
        )
        entry, readout = spec.entry.quantized(tensors), dense_of(tensors, "readout")
        return cls(spec, entry, layers, tensors["norm.weight"], readout, int8_states)

    def save(self, path: Path) -> None:
        """Write a safetensors file; the same decoder gives the same bytes."""
        write_tensors(path, self.tensors(), QuantizedHeader(spec=self.spec, int8_states=self.int8_states))

    @classmethod
    def load(cls, path: Path) -> QuantizedDecoder:
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        tensors, header = read_tensors(path, QuantizedHeader)
        return cls.from_tensors(header.spec, tensors, header.int8_states)
