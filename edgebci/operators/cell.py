"""What every recurrent cell of a decoder offers: sizes, a float form, a bit-exact form, and costs.

A layer is x + cell(rms_norm(x)). To add a cell, write one module beside this one, enter it in
`edgebci.operators.cells`, and give it a module of the same name in `edgebci.export.operators`, entered in its `forms`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32, I8
from edgebci.block_spec import BlockSpec, Shape

F64 = NDArray[np.float64]
Integers = NDArray[np.signedinteger]
Tap = Callable[[str, NDArray[Any]], None]
"""Sees a named intermediate tensor (T, ...) of each stretch that runs.

A cell names its quantizers as it likes and the state after each step `{state}.next`; a state whose name begins with
`conv` is a window of the last inputs, of which float forms show the newest column only.
"""


@dataclass(frozen=True)
class Costs:
    """What one step takes, and what its constants take."""

    dense: tuple[tuple[int, int], ...]
    """(rows, columns) of each dense layer, int8 times int8, in the order of computation."""
    conv_macs: int
    """int8 weights times int16 inputs."""
    state_macs: int
    """Of the recurrence, its input and its readout."""
    vector_bytes: int
    """Constants outside the dense layers."""


class QuantizedCell(ABC):
    """A cell in integers; its fields are the arrays of the file and of the ONNX graph."""

    @property
    @abstractmethod
    def act_scale(self) -> F32:
        """() one count of the input."""

    @abstractmethod
    def run(self, q: I8, states: Mapping[str, Integers], tap: Tap) -> tuple[F32, dict[str, Integers]]:
        """Steps one after another.

        Args:
            q: (T, d_model) int8, what the norm gave.
            states: before the first step, by the names of `Cell.state_shapes`; left alone.
            tap: sees every quantizer in the order of computation.

        Returns:
            What the layer adds to the residual stream (T, d_model), and the states after the last step.
        """

    @abstractmethod
    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by its name within the layer's `mixer`."""


class Cell(ABC):
    """One kind of cell in one size."""

    input_scale: ClassVar[str]
    """Name, within the layer's `mixer`, of the scale of its input."""

    def __init__(self, block: BlockSpec) -> None:
        self.block = block

    @abstractmethod
    def parameter_shapes(self) -> dict[str, Shape]:
        """Shape of each trained tensor by its name within the layer's `mixer`."""

    @abstractmethod
    def state_shapes(self) -> dict[str, Shape]:
        """Shape of each state, int16 in the quantized form, in the order in which the step takes them."""

    @abstractmethod
    def costs(self) -> Costs:
        """MACs and bytes of one layer, its norm and residual apart."""

    @abstractmethod
    def run(
        self, weights: Mapping[str, F64], u: F64, states: Mapping[str, F64], tap: Tap
    ) -> tuple[F64, dict[str, F64]]:
        """The float form of `QuantizedCell.run`, for normalised inputs u (T, d_model).

        `tap` sees the input of each inner quantizer, and `{state}.next`.
        """

    @abstractmethod
    def quantized(self, tensors: Mapping[str, NDArray[Any]]) -> QuantizedCell:
        """Build from what `QuantizedCell.tensors` gave."""


def silu(x: F64) -> F64:
    """x / (1 + e^-x), without overflow."""
    result: F64 = x * 0.5 * (1.0 + np.tanh(0.5 * x))
    return result


def sigmoid(x: F64) -> F64:
    """1 / (1 + e^-x), without overflow."""
    result: F64 = 0.5 * (1.0 + np.tanh(0.5 * x))
    return result


def within(tensors: Mapping[str, NDArray[Any]], place: str) -> dict[str, NDArray[Any]]:
    """The tensors whose names begin with `place` and a dot, by the rest of their names."""
    return {name[len(place) + 1 :]: values for name, values in tensors.items() if name.startswith(f"{place}.")}


def layer_tap(tap: Tap, layer: int) -> Tap:
    """A tap for a cell: `conv.next` becomes `conv.0.next`, and `gated_q` becomes `layers.0.gated_q`."""

    def seen(name: str, values: NDArray[Any]) -> None:
        state, dot, after = name.rpartition(".next")
        tap(f"{state}.{layer}.next" if dot and not after else f"layers.{layer}.{name}", values)

    return seen
