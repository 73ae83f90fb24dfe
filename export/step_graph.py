"""The float step of a decoder as ONNX, from spec and weights alone: no tracing, no torch.

    (frame, conv.0, ssm.0, ...) -> (output, conv.0.next, ssm.0.next, ...)

The top level holds one node per operator of the paper's drawing: edgebci.Dense, edgebci.RmsNorm, Add, and those of its
cells and of its entry (`edgebci.export.operators`), for example edgebci.Mamba2Step. Their bodies, model-local functions
of standard operators, travel in the file.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir

from edgebci.decoder_float import Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.export.graph_builder import layer_states, state_inputs, state_outputs, tensor_value, typed
from edgebci.export.graph_functions import dense_function, rms_norm_function
from edgebci.export.operators.forms import cell_form, entry_form
from edgebci.export.operators.stack import stack_function, stack_step
from edgebci.export.writers import FloatWriter
from edgebci.operators.stack import STACK

FLOAT = ir.DataType.FLOAT


def float_step_graph(spec: DecoderSpec, parameters: Parameters) -> onnx.ModelProto:
    """Build and fully check the step graph; the same weights give the same bytes."""
    entry, cell = entry_form(spec.entry), cell_form(spec.layer)
    writer = FloatWriter(parameters, spec.norm_epsilon)
    types = dict.fromkeys(spec.state_shapes(), FLOAT)
    frame, states = tensor_value("frame", FLOAT, (spec.n_inputs,)), state_inputs(spec, types)
    x, following = entry.float_step(writer, frame, states)
    for i in range(spec.n_layers):
        normed = writer.rms_norm(x, f"layers.{i}.norm")
        mixed, after = cell.float_step(writer, i, normed, layer_states(spec.layer, states, i))
        following |= {f"{name}.{i}": value for name, value in after.items()}
        x = writer.graph.node("Add", [x, mixed], f"layers.{i}.residual")
    seen = writer.rms_norm(x, "norm")
    if spec.readout_lags:
        seen, following[STACK] = stack_step(writer.graph, seen, states[STACK], "readout")
    output = writer.dense(seen, "readout", "output")
    functions = [dense_function(), rms_norm_function(), *entry.float_functions(), *cell.float_functions()]
    functions += [stack_function(spec.readout_lags)] if spec.readout_lags else []
    outputs = [typed(output, FLOAT, (spec.n_outputs,)), *state_outputs(spec, following, types)]
    return writer.graph.model("edgebci_step", [frame, *states.values()], outputs, functions)
