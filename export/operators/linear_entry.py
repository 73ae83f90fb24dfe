"""The plain entry in ONNX: Dense, behind a quantizer in the quantized step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from edgebci.arithmetic import F32
from edgebci.export.calibration import QuantizationRecipe, quantize_dense
from edgebci.export.operators.form import EntryForm, Step
from edgebci.export.writers import FloatWriter, QuantizedWriter, Values
from edgebci.operators.cell import F64
from edgebci.operators.linear_entry import LinearEntry, QuantizedLinear


@dataclass(frozen=True)
class LinearForm(EntryForm):
    """One matrix."""

    entry: LinearEntry

    def quantize(
        self,
        weights: Mapping[str, F64],
        scales: Mapping[str, F32],
        _: Mapping[str, F64],
        recipe: QuantizationRecipe,
    ) -> QuantizedLinear:
        """See `EntryForm.quantize`."""
        bits = recipe.weight_bits("input")
        return QuantizedLinear(quantize_dense(weights["input.weight"], weights["input.bias"], scales["frame"], bits))

    def float_step(self, writer: FloatWriter, frame: ir.Value, _: Values) -> Step:
        """See `EntryForm.float_step`."""
        return writer.dense(frame, "input"), {}

    def quantized_step(self, writer: QuantizedWriter, frame: ir.Value, _: Values) -> Step:
        """See `EntryForm.quantized_step`."""
        q = writer.quantize(frame, "input.act_scale", "frame_quantize", "frame_q")
        return writer.dense(q, "input"), {}
