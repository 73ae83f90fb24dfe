"""The step of a decoder in fixed point as ONNX: one node per call of the device's C, bodies in integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from edgebci.export.graph_builder import DOMAIN, Builder, tensor_value, typed
from edgebci.export.operators.fixed_functions import (
    STATES,
    WEIGHTS,
    dense_function,
    norm_function,
    quantize_function,
    readout_function,
    step_function,
)
from edgebci.fixed_decoder import FixedDecoder

FLOAT = ir.DataType.FLOAT


def fixed_step_graph(decoder: FixedDecoder) -> onnx.ModelProto:
    """Build and fully check the step graph; the same decoder gives the same bytes."""
    spec, writer = decoder.spec, _Writer(decoder)
    types = {name: ir.DataType.from_numpy(np.dtype(kind)) for name, kind in decoder.state_types().items()}
    frame = tensor_value("frame", FLOAT, (spec.n_inputs,))
    shapes = decoder.state_shapes()
    states = {name: tensor_value(name, types[name], shape) for name, shape in shapes.items()}
    following: dict[str, ir.Value] = {}
    limit = writer.tensor("frame_limit", np.asarray(decoder.frame_limit, np.int32))
    inverse = writer.tensor("inverse_frame_scale", np.asarray(decoder.inverse_frame_scale))
    q = writer.call("QuantizeFixed", [frame, inverse, limit], "frame_q")
    x = writer.dense(q, "input")
    for i in range(spec.n_layers):
        p = writer.dense(writer.norm(x, f"layers.{i}.norm"), f"layers.{i}.mixer.in_proj")
        g, after = writer.step(p, states, i)
        following |= after
        x = writer.dense(writer.norm(g, f"layers.{i}.mixer.norm"), f"layers.{i}.mixer.out_proj", x)
    weights = [writer.tensor(f"readout.{part}") for part in ("weight", "act_scale", "weight_scale", "bias")]
    output = writer.call("DenseFixedReadout", [writer.norm(x, "norm"), *weights], "readout", "output")
    outputs = [typed(output, FLOAT, (spec.n_outputs,))]
    outputs += [typed(following[name], types[name], shape) for name, shape in shapes.items()]
    functions = [quantize_function(), dense_function(False), dense_function(True), readout_function(), norm_function()]
    functions.append(step_function(spec.block))
    return writer.graph.model("edgebci_fixed_step", [frame, *states.values()], outputs, functions)


class _Writer:
    """The top level of the graph, with constants under their names in the decoder."""

    def __init__(self, decoder: FixedDecoder) -> None:
        self.graph, self._tensors, self._epsilon = Builder(), decoder.tensors(), decoder.spec.norm_epsilon

    def tensor(self, name: str, values: NDArray[Any] | None = None) -> ir.Value:
        """A constant of the decoder, or one of its own."""
        chosen = self._tensors[name] if values is None else values
        # Shifts and other lone integers: int32 is what C and ONNX have in common.
        return self.graph.initializer(name, chosen.astype(np.int32) if chosen.dtype == np.int64 else chosen)

    def call(self, operator: str, inputs: list[ir.Value], name: str, output: str | None = None) -> ir.Value:
        """One node."""
        return self.graph.call(operator, inputs, name, [output or f"{name}.output"], domain=DOMAIN)[0]

    def dense(self, q: ir.Value, name: str, residual: ir.Value | None = None) -> ir.Value:
        """The dense layer `name`, or its sum with a residual."""
        inputs = [q, *(self.tensor(f"{name}.{part}") for part in ("weight", "multiplier", "bias"))]
        return self.call(
            *(("DenseFixed", inputs) if residual is None else ("DenseFixedAdd", [*inputs, residual])), name
        )

    def norm(self, x: ir.Value, name: str) -> ir.Value:
        """The norm `name`."""
        inputs = [x, self.tensor(f"{name}.mean"), self.tensor(f"{name}.unit")]
        outputs, attributes = [f"{name}_q"], {"epsilon": self._epsilon}
        return self.graph.call("RmsNormFixed", inputs, name, outputs, attributes, DOMAIN)[0]

    def step(self, p: ir.Value, states: dict[str, ir.Value], i: int) -> tuple[ir.Value, dict[str, ir.Value]]:
        """The step of layer i: its output and next states."""
        name = f"layers.{i}.mixer"
        inputs = [p, *(states[f"{state}.{i}"] for state in STATES)]
        inputs += [self.tensor(f"{name}.{weight}") for weight in WEIGHTS]
        outputs = [f"{name}.gated", *(f"{state}.{i}.next" for state in STATES)]
        g, *following = self.graph.call("Mamba2StepFixed", inputs, name, outputs, domain=DOMAIN)
        return g, {f"{state}.{i}": value for state, value in zip(STATES, following, strict=True)}
