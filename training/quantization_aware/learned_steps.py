"""What every trainable twin has: float weights, and the steps of its quantizers, learned in the logarithm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgebci.arithmetic import F32
from edgebci.block_spec import BlockSpec
from edgebci.decoder_float import Parameters
from edgebci.operators.cell import layer_tap
from edgebci.operators.cells import CellKind
from edgebci.training.quantization_aware.cell import Tap, TwinCell
from edgebci.training.quantization_aware.counting import INT8, Limits, Tensors, Values, count, learned_step
from edgebci.training.quantization_aware.dense import Arrays
from edgebci.training.quantization_aware.gru import GruTwin
from edgebci.training.quantization_aware.mamba2 import Mamba2Twin
from edgebci.training.quantization_aware.s4d import S4DTwin

_CELLS: dict[CellKind, Any] = {"mamba2": Mamba2Twin, "s4d": S4DTwin, "gru": GruTwin}


@dataclass(frozen=True)
class Steps:
    """Steps by their names in the whole decoder."""

    learned: dict[str, NDArray[Any]]
    fixed: dict[str, NDArray[Any]]

    def add(self, place: str, learned: Arrays, fixed: Arrays) -> None:
        """Those of one part; `place` is what its names begin with."""
        self.learned.update({f"{place}{name}": values for name, values in learned.items()})
        self.fixed.update({f"{place}{name}": values for name, values in fixed.items()})


class LearnedSteps(nn.Module):
    """Float weights, and the steps of every quantizer.

    Names of parameters have slashes where a checkpoint has dots, which torch keeps for itself.
    """

    def __init__(
        self, block: BlockSpec, weights: Arrays, steps: Steps, largest: dict[str, int], states: dict[str, Limits]
    ) -> None:
        super().__init__()
        self.block, self.largest, self.limits = block, largest, states
        self.weights = nn.ParameterDict({key_of(name): _tensor(values) for name, values in weights.items()})
        self.starts = {key_of(name): _tensor(values) for name, values in steps.learned.items()}
        self.fixed = {name: _tensor(values) for name, values in steps.fixed.items()}
        self.changes = nn.ParameterDict({name: torch.zeros_like(start) for name, start in self.starts.items()})

    @property
    def quantizers(self) -> tuple[str, ...]:
        """The names of all steps, those that are not learned included."""
        return (*map(name_of, self.starts), *self.fixed)

    def values(self, exact: frozenset[str] = frozenset()) -> Values:
        """Weights and steps as they are now; the quantizers `exact` pass on what they are given."""
        weights = {name_of(key): value for key, value in self.weights.items()}
        steps = {name_of(key): self._step(key) for key in self.starts} | self.fixed
        return Values(weights, steps, self.largest, self.limits, exact)

    def parameters_by_name(self) -> dict[str, F32]:
        """The float weights under the names that they were given with."""
        return {name_of(key): value.detach().numpy().copy() for key, value in self.weights.items()}

    def counted(self, states: Parameters, steps: Tensors) -> dict[str, Tensor]:
        """Float states of b streams, (b, *shape), to counts of their steps."""
        return {
            name: count(torch.as_tensor(np.asarray(states[name], np.float32)) / step, self.limits[name])
            for name, step in steps.items()
        }

    def shared(self, name: str) -> int:
        """How many numbers share a step: a row of weights, or an activation's features or a state's elements."""
        block = self.block
        if name.endswith("conv1d.weight_scale"):
            return block.d_conv
        if name.endswith("weight_scale"):
            weight = key_of(f"{name.removesuffix('.weight_scale')}.weight")
            return self.weights[weight].shape[1] if weight in self.weights else block.d_model
        if name.endswith("ssm_scale"):
            return block.headdim * block.d_state
        return block.d_model if self.starts[key_of(name)].dim() == 0 else 1

    def _step(self, key: str) -> Tensor:
        # The divisor of int8 for every width: Adam's updates do not depend on a constant factor.
        return learned_step(self.starts[key], self.changes[key], self.shared(name_of(key)), INT8[1])


def twin_cell(kind: CellKind, block: BlockSpec) -> TwinCell:
    """The twin of a recurrent cell."""
    twin: TwinCell = _CELLS[kind](block)
    return twin


def layer_state_steps(cell: TwinCell, n_layers: int, values: Values) -> dict[str, Tensor]:
    """One count of each state of all layers, by its name in the whole decoder."""
    each = [cell.state_steps(values.within(f"layers.{i}.mixer", i)) for i in range(n_layers)]
    return {f"{name}.{i}": step for i, own in enumerate(each) for name, step in own.items()}


def run_layer(
    cell: TwinCell, layer: int, values: Values, q: Tensor, states: Tensors, tap: Tap
) -> tuple[Tensor, dict[str, Tensor]]:
    """One layer's cell; states are named as in the whole decoder, `{name}.{layer}`."""
    end = f".{layer}"
    before = {name.removesuffix(end): state for name, state in states.items() if name.endswith(end)}
    mixed, after = cell.run(values, q, before, _torch_tap(tap, layer))
    return mixed, {f"{name}{end}": state for name, state in after.items()}


def stacked(before: Tensor, newest: Tensor) -> tuple[Tensor, Tensor]:
    """Rows side by side (b, T, (lags + 1) H), newest first, and the state (b, lags, H) after the last step."""
    lags, frames = before.shape[1], newest.shape[1]
    rows = torch.cat([before.flip(1), newest], dim=1)
    beside = torch.cat([rows[:, lags - age : lags - age + frames] for age in range(lags + 1)], dim=-1)
    return beside, rows[:, -lags:].flip(1)


def limits_of(states: Mapping[str, NDArray[Any]]) -> dict[str, Limits]:
    """What the types of quantized states can hold."""
    kinds = {name: np.iinfo(state.dtype) for name, state in states.items()}
    return {name: (float(kind.min), float(kind.max)) for name, kind in kinds.items()}


def no_tap(name: str, values: Tensor) -> None:
    """Look at nothing."""


def key_of(name: str) -> str:
    """What torch takes for a name with dots."""
    return name.replace(".", "/")


def name_of(key: str) -> str:
    """The other way."""
    return key.replace("/", ".")


def _torch_tap(tap: Tap, layer: int) -> Tap:
    return layer_tap(tap, layer)  # type: ignore[arg-type, return-value]  # names only; it hands on what it is given


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.tensor(np.asarray(values, np.float32))
