"""The whole decoder's twin: it computes what a `QuantizedDecoder` computes, and can be trained.

It begins as a decoder that was quantized after training, with that decoder's steps; `quantized` gives back a
`QuantizedDecoder` at any time. Which dense layers have 4 or 16 bits and which states 8 is taken over and stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgebci.arithmetic import F32
from edgebci.decoder_float import Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.operators.cell import layer_tap, within
from edgebci.operators.cells import CellKind
from edgebci.operators.stack import STACK
from edgebci.operators.tokenizer import TokenizerEntry
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.training.quantization_aware.cell import Tap, TwinCell
from edgebci.training.quantization_aware.counting import INT8, Limits, Tensors, Values, count, learned_step
from edgebci.training.quantization_aware.dense import Arrays, Dense, rms_norm
from edgebci.training.quantization_aware.entry import LinearTwin, TokenizerTwin, TwinEntry
from edgebci.training.quantization_aware.gru import GruTwin
from edgebci.training.quantization_aware.mamba2 import Mamba2Twin
from edgebci.training.quantization_aware.s4d import S4DTwin

_CELLS: dict[CellKind, Any] = {"mamba2": Mamba2Twin, "s4d": S4DTwin, "gru": GruTwin}
_READOUT = Dense("readout", "readout.weight", "readout.bias")


def no_tap(name: str, values: Tensor) -> None:
    """Look at nothing."""


@dataclass(frozen=True)
class _Steps:
    """Steps by their names in the whole decoder."""

    learned: dict[str, NDArray[Any]]
    fixed: dict[str, NDArray[Any]]

    def add(self, place: str, learned: Arrays, fixed: Arrays) -> None:
        self.learned.update({f"{place}{name}": values for name, values in learned.items()})
        self.fixed.update({f"{place}{name}": values for name, values in fixed.items()})


class QuantizedTwin(nn.Module):
    """Float weights, and the steps of every quantizer.

    Names of parameters have slashes where a checkpoint has dots, which torch keeps for itself.
    """

    def __init__(
        self, spec: DecoderSpec, weights: Arrays, steps: _Steps, largest: dict[str, int], states: dict[str, Limits]
    ) -> None:
        super().__init__()
        self.spec, self.largest, self.limits = spec, largest, states
        self.entry, self.cell = _entry(spec), _cell(spec)
        self.weights = nn.ParameterDict({_key(name): _tensor(values) for name, values in weights.items()})
        self.starts = {_key(name): _tensor(values) for name, values in steps.learned.items()}
        self.fixed = {name: _tensor(values) for name, values in steps.fixed.items()}
        self.changes = nn.ParameterDict({name: torch.zeros_like(start) for name, start in self.starts.items()})

    @classmethod
    def of(cls, parameters: Parameters, decoder: QuantizedDecoder) -> Self:
        """The twin of `decoder`, which `parameters` were rounded to."""
        spec, tensors = decoder.spec, decoder.tensors()
        steps, largest = _Steps({}, {}), {}
        parts: list[tuple[str, TwinEntry | TwinCell]] = [("", _entry(spec))]
        parts += [(f"layers.{i}.mixer.", _cell(spec)) for i in range(spec.n_layers)]
        for place, twin in parts:
            own = within(tensors, place.removesuffix(".")) if place else tensors
            steps.add(place, twin.starts(own), {name: own[name] for name in twin.fixed})
            for dense in twin.dense:
                steps.add(place, dense.steps(own), {})
                largest[f"{place}{dense.name}"] = dense.largest(own)
        steps.add("", _READOUT.steps(tensors), {})
        largest[_READOUT.name] = _READOUT.largest(tensors)
        limits = {name: _limits(state) for name, state in decoder.initial_states().items()}
        weights = {name: np.asarray(parameters[name], np.float32) for name in spec.parameter_shapes()}
        return cls(spec, weights, steps, largest, limits)

    @property
    def quantizers(self) -> tuple[str, ...]:
        """The names of all steps, those that are not learned included."""
        return (*map(_name, self.starts), *self.fixed)

    def values(self, exact: frozenset[str] = frozenset()) -> Values:
        """Weights and steps as they are now; the quantizers `exact` pass on what they are given."""
        weights = {_name(key): value for key, value in self.weights.items()}
        steps = {_name(key): self._step(key) for key in self.starts} | self.fixed
        return Values(weights, steps, self.largest, self.limits, exact)

    def _step(self, key: str) -> Tensor:
        # The divisor of int8 for every width: Adam's updates do not depend on a constant factor.
        return learned_step(self.starts[key], self.changes[key], self._shared(key), INT8[1])

    def _shared(self, key: str) -> int:
        """How many numbers share a step: a row of weights, or an activation's features or a state's elements."""
        spec, name = self.spec, _name(key)
        if name.endswith(("conv1d.weight_scale", "conv.weight_scale")):
            return spec.tokenizer.conv_taps if spec.tokenizer and name.startswith("tokenizer") else spec.d_conv
        if name.endswith("weight_scale"):
            weight = _key(f"{name.removesuffix('.weight_scale')}.weight")
            return self.weights[weight].shape[1] if weight in self.weights else spec.d_model
        if name.endswith("ssm_scale"):
            return spec.headdim * spec.d_state
        return spec.d_model if self.starts[key].dim() == 0 else 1

    def quantized_states(self, states: Parameters, values: Values | None = None) -> dict[str, Tensor]:
        """Float states of b streams, (b, *shape) by the names of `DecoderSpec.state_shapes`, to counts."""
        values = values or self.values()
        steps = self.entry.state_steps(values)
        for i in range(self.spec.n_layers):
            own = self.cell.state_steps(values.within(f"layers.{i}.mixer", i))
            steps |= {f"{name}.{i}": step for name, step in own.items()}
        if self.spec.readout_lags:
            steps[STACK] = values.steps["readout.act_scale"]
        return {
            name: count(torch.as_tensor(np.asarray(states[name], np.float32)) / step, self.limits[name])
            for name, step in steps.items()
        }

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
            q, following[STACK] = _stacked(states[STACK], q)
        return _READOUT(values, q), following

    def _layer(self, i: int, values: Values, x: Tensor, states: Tensors, tap: Tap) -> tuple[Tensor, dict[str, Tensor]]:
        place, cell = f"layers.{i}", self.cell
        own = values.within(f"{place}.mixer", i)
        q = own.quantized(self._normed(values, x, f"{place}.norm"), cell.input_step)
        tap(f"{place}.norm_q", q)
        before = {name.removesuffix(f".{i}"): state for name, state in states.items() if name.endswith(f".{i}")}
        mixed, after = cell.run(own, q, before, _torch_tap(tap, i))
        return x + mixed, {f"{name}.{i}": state for name, state in after.items()}

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

    def parameters_by_name(self) -> dict[str, F32]:
        """The float weights under their names in a checkpoint."""
        return {_name(key): value.detach().numpy().copy() for key, value in self.weights.items()}


def _cell(spec: DecoderSpec) -> TwinCell:
    twin: TwinCell = _CELLS[spec.cell](spec.block)
    return twin


def _entry(spec: DecoderSpec) -> TwinEntry:
    entry = spec.entry
    return TokenizerTwin(entry) if isinstance(entry, TokenizerEntry) else LinearTwin()


def _stacked(before: Tensor, newest: Tensor) -> tuple[Tensor, Tensor]:
    """Rows side by side (b, T, (lags + 1) H), newest first, and the state (b, lags, H) after the last step."""
    lags, frames = before.shape[1], newest.shape[1]
    rows = torch.cat([before.flip(1), newest], dim=1)
    beside = torch.cat([rows[:, lags - age : lags - age + frames] for age in range(lags + 1)], dim=-1)
    return beside, rows[:, -lags:].flip(1)


def _torch_tap(tap: Tap, layer: int) -> Tap:
    return layer_tap(tap, layer)  # type: ignore[arg-type, return-value]  # names only; it hands on what it is given


def _limits(state: NDArray[Any]) -> Limits:
    kind = np.iinfo(state.dtype)
    return float(kind.min), float(kind.max)


def _key(name: str) -> str:
    return name.replace(".", "/")


def _name(key: str) -> str:
    return key.replace("/", ".")


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.tensor(np.asarray(values, np.float32))
