"""How a frame becomes the first token of the residual stream: one matrix, or a tokenizer with a memory.

To add a tokenizer, write one module beside this one, let `DecoderSpec.entry` choose it, and give it a module of the
same name in `edgebci.export.operators`, entered in its `forms`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.block_spec import Shape
from edgebci.operators.cell import F64, Costs, Integers, Tap


class QuantizedEntry(ABC):
    """An entry in integers; its fields are the arrays of the file and of the ONNX graph."""

    @abstractmethod
    def run(self, frames: F32, states: Mapping[str, Integers], tap: Tap) -> tuple[F32, dict[str, Integers]]:
        """Steps one after another: frames (T, n_inputs) to the residual stream (T, d_model) and the states after them.

        `states` may hold more than the entry's own, by the names of `Entry.state_shapes`; it is left alone.
        """

    @abstractmethod
    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by its name in the decoder."""


class Entry(ABC):
    """One kind of entry in one size; names are those of the whole decoder."""

    @abstractmethod
    def parameter_shapes(self) -> dict[str, Shape]:
        """Shape of each trained tensor."""

    @abstractmethod
    def state_shapes(self) -> dict[str, Shape]:
        """Shape of each state, in the order in which the step takes them."""

    def state_types(self) -> dict[str, str]:
        """Type of each state in the quantized form: int16, or int32 for what counts or averages for months."""
        return dict.fromkeys(self.state_shapes(), "int16")

    @abstractmethod
    def costs(self) -> Costs:
        """MACs and bytes."""

    @abstractmethod
    def run(
        self, weights: Mapping[str, F64], frames: F64, states: Mapping[str, F64], tap: Tap
    ) -> tuple[F64, dict[str, F64]]:
        """The float form of `QuantizedEntry.run`; `tap` sees the input of each quantizer, and `{state}.next`."""

    @abstractmethod
    def quantized(self, tensors: Mapping[str, NDArray[Any]]) -> QuantizedEntry:
        """Build from what `QuantizedEntry.tensors` gave."""
