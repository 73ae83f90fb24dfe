"""Writing calls of the step's functions, with weights under their names in the decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgebci.export.graph_builder import DOMAIN, Builder
from edgebci.operators.dense import weight_bits, weight_name

INT4, INT8, INT16, INT32 = ir.DataType.INT4, ir.DataType.INT8, ir.DataType.INT16, ir.DataType.INT32
Values = dict[str, ir.Value]


class FloatWriter:
    """The top level of the float step."""

    def __init__(self, parameters: Mapping[str, NDArray[np.floating]], norm_epsilon: float) -> None:
        self.parameters, self.norm_epsilon, self.graph = parameters, norm_epsilon, Builder()

    def dense(
        self, x: ir.Value, name: str, output: str | None = None, weights: tuple[str, str] | None = None
    ) -> ir.Value:
        """weight x + bias; `weights` names both where they are not `{name}.weight` and `{name}.bias`."""
        weight_name, bias_name = weights or (f"{name}.weight", f"{name}.bias")
        weight = self.parameters[weight_name]
        bias = self.parameters.get(bias_name, np.zeros(len(weight)))
        inputs = [x, self.weight(weight_name, weight), self.weight(bias_name, bias)]
        return self.graph.call("Dense", inputs, name, [output or f"{name}.output"], domain=DOMAIN)[0]

    def rms_norm(self, x: ir.Value, name: str, output: str | None = None) -> ir.Value:
        """The norm with `{name}.weight`."""
        gamma = self.weight(f"{name}.weight", self.parameters[f"{name}.weight"])
        attributes = {"epsilon": self.norm_epsilon}
        return self.graph.call("RmsNorm", [x, gamma], name, [output or name], attributes, DOMAIN)[0]

    def weight(self, name: str, values: NDArray[np.floating] | None = None) -> ir.Value:
        """A constant in float32; None takes the parameter of that name."""
        chosen = self.parameters[name] if values is None else values
        return self.graph.initializer(name, np.asarray(chosen, np.float32))


class QuantizedWriter:
    """The top level of the quantized step."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]], norm_epsilon: float) -> None:
        self.tensors, self.norm_epsilon, self.graph = tensors, norm_epsilon, Builder()

    def quantize(self, x: ir.Value, scale: str, name: str, output: str) -> ir.Value:
        """Round to int8 counts of the tensor `scale`."""
        zero = self.graph.initializer("zero_point", np.asarray(0, np.int8))
        return self.graph.call("QuantizeLinear", [x, self.tensor(scale), zero], name, [output])[0]

    def dense(self, q: ir.Value, name: str, output: str | None = None) -> ir.Value:
        """The dense layer `name`."""
        bits = weight_bits(self.tensors, name)
        operator = "Dense" if bits == 8 else f"DenseInt{bits}"
        inputs = [q, self._weight(weight_name(name, bits), bits)]
        inputs += [self.tensor(f"{name}.{part}") for part in ("act_scale", "weight_scale", "bias")]
        return self.graph.call(operator, inputs, name, [output or f"{name}.output"], domain=DOMAIN)[0]

    def _weight(self, name: str, bits: int) -> ir.Value:
        if bits == 4:
            return self.graph.initializer(name, ir.tensor(self.tensors[name], dtype=INT4).numpy())
        return self.tensor(name)

    def rms_norm(self, x: ir.Value, name: str, scale: str, output: str | None = None) -> ir.Value:
        """Normalise with `{name}.weight` and round to int8 counts of the tensor `scale`."""
        inputs = [x, self.tensor(f"{name}.weight"), self.tensor(scale)]
        outputs, attributes = [output or f"{name}_q"], {"epsilon": self.norm_epsilon}
        return self.graph.call("RmsNormQuantize", inputs, name, outputs, attributes, DOMAIN)[0]

    def tensor(self, name: str) -> ir.Value:
        """A constant of the decoder."""
        return self.graph.initializer(name, self.tensors[name])


class CountingBody(Builder):
    """A function body with quantizers that count."""

    def __init__(self) -> None:
        super().__init__()
        self.one = self.constant("one", 1.0, np.float32)
        self.zeros = {INT8: self.constant("zero8", 0, np.int8), INT16: self.constant("zero16", 0, np.int16)}

    def quantize(self, counts: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
        """Round to the nearest integer, ties to even, and saturate."""
        return self.node("QuantizeLinear", [counts, self.one, self.zeros[dtype]], name)

    def counts(self, integers: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
        """The integers as float32."""
        return self.node("DequantizeLinear", [integers, self.one, self.zeros[dtype]], name)
