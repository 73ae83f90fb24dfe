"""The whole decoder's twin: it computes what a `QuantizedDecoder` computes, and can be trained.

It begins as a decoder that was quantized after training, with that decoder's steps; `quantized` gives back a
`QuantizedDecoder` at any time. Which dense layers have 4 or 16 bits and which states 8 is taken over and stays.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor

from edgebci.decoder_float import Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.operators.cell import within
from edgebci.operators.stack import STACK
from edgebci.operators.tokenizer import TokenizerEntry
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.training.quantization_aware.cell import Tap, TwinCell
from edgebci.training.quantization_aware.counting import INT8, Limits, Tensors, Values
from edgebci.training.quantization_aware.dense import Arrays, Dense, rms_norm
from edgebci.training.quantization_aware.entry import LinearTwin, TokenizerTwin, TwinEntry
from edgebci.training.quantization_aware.learned_steps import (
    LearnedSteps,
    Steps,
    layer_state_steps,
    limits_of,
    no_tap,
    run_layer,
    stacked,
    twin_cell,
)

_READOUT = Dense("readout", "readout.weight", "readout.bias")


class QuantizedTwin(LearnedSteps):
    """The decoder of frames."""

    def __init__(
        self, spec: DecoderSpec, weights: Arrays, steps: Steps, largest: dict[str, int], states: dict[str, Limits]
    ) -> None:
        super().__init__(spec.block, weights, steps, largest, states)
        self.spec, self.entry, self.cell = spec, _entry(spec), twin_cell(spec.cell, spec.block)

    @classmethod
    def of(cls, parameters: Parameters, decoder: QuantizedDecoder) -> Self:
        """The twin of `decoder`, which `parameters` were rounded to."""
        spec, tensors = decoder.spec, decoder.tensors()
        steps, largest = Steps({}, {}), {}
        parts: list[tuple[str, TwinEntry | TwinCell]] = [("", _entry(spec))]
        parts += [(f"layers.{i}.mixer.", twin_cell(spec.cell, spec.block)) for i in range(spec.n_layers)]
        for place, twin in parts:
            own = within(tensors, place.removesuffix(".")) if place else tensors
            steps.add(place, twin.starts(own), {name: own[name] for name in twin.fixed})
            for dense in twin.dense:
                steps.add(place, dense.steps(own), {})
                largest[f"{place}{dense.name}"] = dense.largest(own)
        steps.add("", _READOUT.steps(tensors), {})
        largest[_READOUT.name] = _READOUT.largest(tensors)
        weights = {name: np.asarray(parameters[name], np.float32) for name in spec.parameter_shapes()}
        return cls(spec, weights, steps, largest, limits_of(decoder.initial_states()))

    def shared(self, name: str) -> int:
        """See `LearnedSteps.shared`; a tokenizer's convolution has taps of its own."""
        tokenizer = self.spec.tokenizer
        if tokenizer and name.startswith("tokenizer") and name.endswith(("conv1d.weight_scale", "conv.weight_scale")):
            return tokenizer.conv_taps
        return super().shared(name)

    def quantized_states(self, states: Parameters, values: Values | None = None) -> dict[str, Tensor]:
        """Float states of b streams, (b, *shape) by the names of `DecoderSpec.state_shapes`, to counts."""
        values = values or self.values()
        steps = self.entry.state_steps(values) | layer_state_steps(self.cell, self.spec.n_layers, values)
        if self.spec.readout_lags:
            steps[STACK] = values.steps["readout.act_scale"]
        return self.counted(states, steps)

    def initial_states(self, batch: int) -> dict[str, Tensor]:
        """Zeros."""
        return {name: torch.zeros(batch, *shape) for name, shape in self.spec.state_shapes().items()}

    def run(
        self, frames: Tensor, states: Tensors, values: Values | None = None, tap: Tap = no_tap
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Frames (b, T, n_inputs) and the counts of the states before them, to outputs (b, T, D) and states after.

        `tap` sees what `QuantizedDecoder.run` shows, (b, T, ...).
        """
        values, following = values or self.values(), dict(states)
        x, after = self.entry.run(values, frames, states, tap)
        following |= after
        for i in range(self.spec.n_layers):
            x, after = self._layer(i, values, x, states, tap)
            following |= after
        q = _READOUT.quantize(values, self._normed(values, x, "norm"))
        tap("norm_q", q)
        if self.spec.readout_lags:
            q, following[STACK] = stacked(states[STACK], q)
        return _READOUT(values, q), following

    def _layer(self, i: int, values: Values, x: Tensor, states: Tensors, tap: Tap) -> tuple[Tensor, dict[str, Tensor]]:
        place, cell = f"layers.{i}", self.cell
        own = values.within(f"{place}.mixer", i)
        q = own.quantized(self._normed(values, x, f"{place}.norm"), cell.input_step)
        tap(f"{place}.norm_q", q)
        mixed, after = run_layer(cell, i, own, q, states, tap)
        return x + mixed, after

    def _normed(self, values: Values, x: Tensor, name: str) -> Tensor:
        return rms_norm(x, values.weights[f"{name}.weight"], self.spec.norm_epsilon)

    @torch.no_grad()
    def quantized(self) -> QuantizedDecoder:
        """The decoder in integers, as the weights and steps are now."""
        values = self.values()
        tensors = self.entry.tensors(values) | _READOUT.tensors(values) | {"norm.weight": values.weights["norm.weight"]}
        for i in range(self.spec.n_layers):
            norm, place = f"layers.{i}.norm.weight", f"layers.{i}.mixer"
            own = self.cell.tensors(values.within(place, i))
            tensors |= {norm: values.weights[norm]} | {f"{place}.{name}": value for name, value in own.items()}
        arrays = {name: value.detach().numpy().copy() for name, value in tensors.items()}
        # Of the layers' states alone: a readout over lags keeps counts of its own in int8 anyway.
        types = self.spec.state_types()
        narrow = tuple(n for n, limits in self.limits.items() if limits == INT8 and types[n] != "int8")
        return QuantizedDecoder.from_tensors(self.spec, arrays, narrow)


def _entry(spec: DecoderSpec) -> TwinEntry:
    entry = spec.entry
    return TokenizerTwin(entry) if isinstance(entry, TokenizerEntry) else LinearTwin()
