"""The twin of POSSM's step: it computes what a `QuantizedPossmStep` computes, and can be trained.

The step's tables are its weights: the score and the value of every unit, and what an output looks for at each age. The
shares of tokens are rounded as on the device; backwards they are the exponentials that the table samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from edgebci.arithmetic import F32
from edgebci.decoder_float import Parameters
from edgebci.operators.cell import within
from edgebci.operators.token_attention import ABSENT, SCORE_SCALE, SHARES
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import PossmStepSpec
from edgebci.possm_stream import GRU_NAMES
from edgebci.training.quantization_aware.cell import Tap
from edgebci.training.quantization_aware.counting import INT8, Limits, Tensors, Values, count
from edgebci.training.quantization_aware.dense import Arrays, Dense, rms_norm
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

_VALUE, _MEMORY = "tokens.value_scale", "memory.scale"
_SCORES: Limits = (-32767.0, 32767.0)
_LAST = float(len(SHARES) - 1)
_INPUT, _READOUT = (Dense(name, f"{name}.weight", f"{name}.bias") for name in ("input", "readout"))
_CONTEXT = Dense("context", "context.weight", "query")


@dataclass(frozen=True)
class _FeedForward:
    """x + down(silu(up(rms_norm(x))))."""

    name: str

    @property
    def dense(self) -> tuple[Dense, Dense]:
        up, down = (f"{self.name}.{part}" for part in ("up", "down"))
        return Dense(up, f"{up}.weight", f"{up}.bias"), Dense(down, f"{down}.weight", f"{down}.bias")

    def run(self, values: Values, x: Tensor, epsilon: float, tap: Tap) -> Tensor:
        up, down = self.dense
        q = up.quantize(values, rms_norm(x, values.weights[f"{self.name}.norm.weight"], epsilon))
        tap(f"{self.name}.norm_q", q)
        hidden = down.quantize(values, functional.silu(up(values, q)))
        tap(f"{self.name}.hidden_q", hidden)
        return x + down(values, hidden)


_ENCODER, _DECODER = _FeedForward("encoder"), _FeedForward("decoder")


class PossmTwin(LearnedSteps):
    """Weights of a layer are named as in its cell, `layers.{i}.mixer.NAME`, GRU layers' too."""

    def __init__(
        self, spec: PossmStepSpec, weights: Arrays, steps: Steps, largest: dict[str, int], states: dict[str, Limits]
    ) -> None:
        super().__init__(spec.block, weights, steps, largest, states)
        self.spec, self.cell = spec, twin_cell(spec.backbone, spec.block)

    @classmethod
    def of(cls, parameters: Parameters, step: QuantizedPossmStep) -> Self:
        """The twin of `step`, which `parameters` were rounded to."""
        spec, tensors = step.spec, step.tensors()
        steps, largest = Steps({name: tensors[name] for name in (_VALUE, _MEMORY)}, {}), {}
        cell = twin_cell(spec.backbone, spec.block)
        for place in (f"layers.{i}.mixer" for i in range(spec.n_layers)):
            own = within(tensors, place)
            steps.add(f"{place}.", cell.starts(own), {name: own[name] for name in cell.fixed})
            for dense in cell.dense:
                steps.add(f"{place}.", dense.steps(own), {})
                largest[f"{place}.{dense.name}"] = dense.largest(own)
        for dense in _own_dense(spec):
            steps.add("", dense.steps(tensors), {})
            largest[dense.name] = dense.largest(tensors)
        return cls(spec, _named_as_in_cells(spec, parameters), steps, largest, limits_of(step.initial_states()))

    def quantized_states(self, states: Parameters, values: Values | None = None) -> dict[str, Tensor]:
        """Float states of b streams, (b, *shape) by the names of `PossmStepSpec.state_shapes`, to counts."""
        values = values or self.values()
        steps = {"memory": values.steps[_MEMORY]} | layer_state_steps(self.cell, self.spec.n_layers, values)
        return self.counted(states, steps)

    def initial_states(self, batch: int) -> dict[str, Tensor]:
        """Zeros."""
        return {name: torch.zeros(batch, *shape) for name, shape in self.spec.state_shapes().items()}

    def run(
        self, chunks: Tensor, states: Tensors, values: Values | None = None, tap: Tap = no_tap
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Tokens (b, T, N, 2) and the counts of the states before them, to outputs (b, T, D) and states after.

        `tap` sees what `QuantizedPossmStep.run` shows, (b, T, ...).
        """
        values, following, epsilon = values or self.values(), dict(states), self.spec.norm_epsilon
        x = _ENCODER.run(values, _attended(values, chunks), epsilon, tap)
        x, after = self._backbone(values, x, states, tap)
        m = values.quantized(rms_norm(x, values.weights["memory.norm.weight"], epsilon), _MEMORY)
        tap("memory.norm_q", m)
        rows, memory = stacked(states["memory"], m)
        following |= after | {"memory": memory}
        q = _CONTEXT.quantize(values, _remembered(values, rows, self.spec.memory_chunks))
        tap("context_q", q)
        x = _DECODER.run(values, _CONTEXT(values, q), epsilon, tap)
        q = _READOUT.quantize(values, x)
        tap("readout_q", q)
        return _READOUT(values, q), following

    def _backbone(self, values: Values, x: Tensor, states: Tensors, tap: Tap) -> tuple[Tensor, dict[str, Tensor]]:
        following, residual = dict[str, Tensor](), self.spec.backbone != "gru"
        if residual:
            q = _INPUT.quantize(values, x)
            tap("input_q", q)
            x = _INPUT(values, q)
        for i in range(self.spec.n_layers):
            own = values.within(f"layers.{i}.mixer", i)
            u = rms_norm(x, values.weights[f"layers.{i}.norm.weight"], self.spec.norm_epsilon) if residual else x
            q = own.quantized(u, self.cell.input_step)
            tap(f"layers.{i}.norm_q", q)
            y, after = run_layer(self.cell, i, own, q, states, tap)
            x, following = x + y if residual else y, following | after
        return x, following

    @torch.no_grad()
    def quantized(self) -> QuantizedPossmStep:
        """The step in integers, as the weights and steps are now."""
        values = self.values()
        weights, scale = values.weights, values.steps[_MEMORY]
        tensors = _table_tensors(values) | {_MEMORY: scale, "memory.age": weights["age"] * scale}
        for dense in _own_dense(self.spec):
            tensors |= dense.tensors(values)
        for i in range(self.spec.n_layers):
            place = f"layers.{i}.mixer"
            own = self.cell.tensors(values.within(place, i))
            tensors |= {f"{place}.{name}": value for name, value in own.items()}
        tensors |= {
            name: value for name, value in weights.items() if name.endswith("norm.weight") and "mixer" not in name
        }
        arrays: dict[str, NDArray[Any]] = {name: value.detach().numpy().copy() for name, value in tensors.items()}
        return QuantizedPossmStep.from_tensors(self.spec, arrays | {"tokens.share": SHARES})

    def parameters_by_name(self) -> dict[str, F32]:
        """The float weights under their names in `PossmStepSpec.parameter_shapes`."""
        named = super().parameters_by_name()
        return {name: named[own] for name, own in _cell_names(self.spec).items()}


def _attended(values: Values, chunks: Tensor) -> Tensor:
    """What the latent finds in tokens (b, T, N, 2): (b, T, dim)."""
    unit, there = chunks[..., 0].clamp(min=0).long(), chunks[..., 0] > ABSENT
    table = values.count(values.weights["score"] / SCORE_SCALE, "tokens.score", _SCORES)
    scores = table[unit, chunks[..., 1].long()]
    largest = scores.masked_fill(~there, -32768.0).amax(dim=-1, keepdim=True)
    below = (largest - scores).clamp(0.0, _LAST).double()
    # In double precision, as the table of shares was made.
    shares = values.count(127.0 * torch.exp(-SCORE_SCALE * below), "tokens.share", (0.0, 127.0)).float() * there
    value = values.quantized(values.weights["value"], _VALUE)
    of_units = shares.new_zeros(*shares.shape[:-1], len(value)).scatter_add(-1, unit, shares)
    # Sums of whole numbers below 2^24 are exact.
    return values.weights["latent"] + (of_units @ value) * (values.steps[_VALUE] / shares.sum(dim=-1, keepdim=True))


def _remembered(values: Values, rows: Tensor, ages: int) -> Tensor:
    """Counts of all ages side by side (b, T, ages H), to (b, T, H)."""
    counts, scale = rows.reshape(*rows.shape[:-1], ages, -1), values.steps[_MEMORY]
    scores = (values.weights["age"] * scale * counts).sum(dim=-1, keepdim=True)
    raised = torch.exp(scores - scores.amax(dim=-2, keepdim=True))
    found: Tensor = (raised * counts).sum(dim=-2) * (scale / raised.sum(dim=-2))
    return found


def _table_tensors(values: Values) -> dict[str, Tensor]:
    step = values.steps[_VALUE]
    return {
        "tokens.score": count(values.weights["score"] / SCORE_SCALE, _SCORES).to(torch.int16),
        "tokens.value": count(values.weights["value"] * (1.0 / step), INT8).to(torch.int8),
        _VALUE: step,
        "tokens.latent": values.weights["latent"],
    }


def _own_dense(spec: PossmStepSpec) -> tuple[Dense, ...]:
    """Dense layers outside of the cells."""
    entering = () if spec.backbone == "gru" else (_INPUT,)
    return (*_ENCODER.dense, *entering, _CONTEXT, *_DECODER.dense, _READOUT)


def _cell_names(spec: PossmStepSpec) -> dict[str, str]:
    """Of each tensor of a step's file its name here."""
    renamed = {own: name for name, own in GRU_NAMES.items()} if spec.backbone == "gru" else {}
    names = {name: name for name in spec.parameter_shapes()}
    for i in range(spec.n_layers):
        names |= {f"layers.{i}.{own}": f"layers.{i}.mixer.{name}" for own, name in renamed.items()}
    return names


def _named_as_in_cells(spec: PossmStepSpec, parameters: Mapping[str, NDArray[Any]]) -> dict[str, F32]:
    return {own: np.asarray(parameters[name], np.float32) for name, own in _cell_names(spec).items()}
