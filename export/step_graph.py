"""The float step of a decoder as ONNX, from spec and weights alone: no tracing, no torch.

    (frame, conv.0, ssm.0, ...) -> (output, conv.0.next, ssm.0.next, ...)

The top level holds one node per operator of the paper's drawing: edgebci.Dense, edgebci.RmsNorm, edgebci.Mamba2Step and
Add. Their bodies, model-local functions of standard operators, travel in the file.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from edgebci.decoder_float import Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.export.graph_builder import DOMAIN, Builder, state_inputs, state_outputs, tensor_value, typed
from edgebci.export.graph_functions import dense_function, mamba2_step_function, rms_norm_function

FLOAT = ir.DataType.FLOAT


def float_step_graph(spec: DecoderSpec, parameters: Parameters) -> onnx.ModelProto:
    """Build and fully check the step graph; the same weights give the same bytes."""
    writer = _Writer(spec, parameters)
    frame = tensor_value("frame", FLOAT, (spec.n_inputs,))
    states = state_inputs(spec, FLOAT)
    following: dict[str, ir.Value] = {}
    x = writer.dense(frame, "input")
    for i in range(spec.n_layers):
        mixed, following[f"conv.{i}"], following[f"ssm.{i}"] = writer.mixer(i, x, states)
        x = writer.graph.node("Add", [x, mixed], f"layers.{i}.residual")
    output = writer.dense(writer.rms_norm(x, "norm"), "readout", "output")
    functions = [dense_function(), rms_norm_function(), mamba2_step_function(spec)]
    outputs = [typed(output, FLOAT, (spec.n_outputs,)), *state_outputs(spec, following, FLOAT)]
    return writer.graph.model("edgebci_step", [frame, *states.values()], outputs, functions)


class _Writer:
    """Writes calls of the functions, with weights under their names in the checkpoint."""

    def __init__(self, spec: DecoderSpec, parameters: Parameters) -> None:
        self.spec, self.parameters, self.graph = spec, parameters, Builder()

    def dense(self, x: ir.Value, name: str, output: str | None = None) -> ir.Value:
        weight = self.parameters[f"{name}.weight"]
        bias = self.parameters.get(f"{name}.bias", np.zeros(len(weight)))
        inputs = [x, self._weight(f"{name}.weight", weight), self._weight(f"{name}.bias", bias)]
        return self.graph.call("Dense", inputs, name, [output or f"{name}.output"], domain=DOMAIN)[0]

    def rms_norm(self, x: ir.Value, name: str) -> ir.Value:
        gamma = self._weight(f"{name}.weight", self.parameters[f"{name}.weight"])
        return self.graph.node("RmsNorm", [x, gamma], name, {"epsilon": self.spec.norm_epsilon}, DOMAIN)

    def mixer(self, i: int, x: ir.Value, states: dict[str, ir.Value]) -> list[ir.Value]:
        """One block up to its residual: the addend and the next states."""
        name = f"layers.{i}.mixer"
        p = self.dense(self.rms_norm(x, f"layers.{i}.norm"), f"{name}.in_proj")
        inputs = [p, states[f"conv.{i}"], states[f"ssm.{i}"], *self._mixer_weights(name)]
        outputs = [f"{name}.gated", f"conv.{i}.next", f"ssm.{i}.next"]
        gated, conv, ssm = self.graph.call("Mamba2Step", inputs, name, outputs, domain=DOMAIN)
        return [self.dense(self.rms_norm(gated, f"{name}.norm"), f"{name}.out_proj"), conv, ssm]

    def _mixer_weights(self, name: str) -> list[ir.Value]:
        weights = self.parameters
        return [
            self._weight(f"{name}.conv1d.weight", weights[f"{name}.conv1d.weight"][:, 0]),
            self._weight(f"{name}.conv1d.bias", weights[f"{name}.conv1d.bias"]),
            self._weight(f"{name}.dt_bias", weights[f"{name}.dt_bias"]),
            self._weight(f"{name}.A", -np.exp(np.asarray(weights[f"{name}.A_log"], np.float64))),
            self._weight(f"{name}.D", weights[f"{name}.D"]),
        ]

    def _weight(self, name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> ir.Value:
        return self.graph.initializer(name, np.asarray(values, np.float32))
