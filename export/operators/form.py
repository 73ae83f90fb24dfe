"""What the exporter asks of every cell and of every entry: scales, the float step, the quantized step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import onnx_ir as ir

from edgebci.arithmetic import F32
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.writers import FloatWriter, QuantizedWriter, Values
from edgebci.operators.cell import F64, QuantizedCell
from edgebci.operators.entry import QuantizedEntry

Step = tuple[ir.Value, Values]
"""What a step gives and its next states, by their names in the cell or entry."""


class CellForm(ABC):
    """How one cell is exported. Nodes of layer i go by `layers.{i}.mixer`, its next states by `{state}.{i}.next`."""

    @abstractmethod
    def quantize(
        self,
        weights: Mapping[str, F64],
        scales: Mapping[str, F32],
        largest: Mapping[str, F64],
        recipe: QuantizationRecipe,
    ) -> QuantizedCell:
        """Round `weights`.

        Args:
            weights: by their names within the layer's `mixer`.
            scales: int8 scales of `norm`, the cell's input, and of what the cell's float form showed its tap.
            largest: the largest magnitude of each element of each state.
            recipe: what may be chosen.
        """

    @abstractmethod
    def float_functions(self) -> list[ir.Function]:
        """Functions that `float_step` calls beside Dense and RmsNorm."""

    @abstractmethod
    def float_step(self, writer: FloatWriter, layer: int, normed: ir.Value, states: Values) -> Step:
        """Write the nodes; returns what the layer adds to the residual stream."""

    @abstractmethod
    def quantized_functions(self) -> list[ir.Function]:
        """Functions that `quantized_step` calls beside Dense and RmsNormQuantize."""

    @abstractmethod
    def int8_state_functions(self) -> list[ir.Function]:
        """Functions that `quantized_step` calls where its states are int8: their names end in Int8."""

    @abstractmethod
    def quantized_step(self, writer: QuantizedWriter, layer: int, q: ir.Value, states: Values) -> Step:
        """Write the nodes; the int8 tensors `layers.{i}.{name}` are named as the tap names them."""


def suffix(state: ir.Value | ir.DataType) -> str:
    """What the name of an operator with this state, or one of this type, ends in."""
    kind = state.dtype if isinstance(state, ir.Value) else state
    return "Int8" if kind == ir.DataType.INT8 else ""


class EntryForm(ABC):
    """How one entry is exported; names are those of the whole decoder."""

    @abstractmethod
    def quantize(
        self,
        weights: Mapping[str, F64],
        scales: Mapping[str, F32],
        largest: Mapping[str, F64],
        recipe: QuantizationRecipe,
    ) -> QuantizedEntry:
        """Round `weights`; see `CellForm.quantize`."""

    def float_functions(self) -> list[ir.Function]:
        """Functions that `float_step` calls beside Dense and RmsNorm."""
        return []

    @abstractmethod
    def float_step(self, writer: FloatWriter, frame: ir.Value, states: Values) -> Step:
        """Write the nodes; returns the first token of the residual stream."""

    def quantized_functions(self) -> list[ir.Function]:
        """Functions that `quantized_step` calls beside Dense and RmsNormQuantize."""
        return []

    @abstractmethod
    def quantized_step(self, writer: QuantizedWriter, frame: ir.Value, states: Values) -> Step:
        """Write the nodes."""
