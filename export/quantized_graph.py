"""The quantized step as ONNX with explicit Q/DQ: what `edgebci.quantized_decoder` computes, in standard operators.

The top level holds one node per call of the device's C, and nothing else:

    QuantizeLinear(x, act_scale, zero)                                               -> q int8
    edgebci.Dense(q, weight, act_scale, weight_scale, bias)                          -> y float32
    edgebci.DenseInt4, edgebci.DenseInt16: the same with weights of other widths
    edgebci.RmsNormQuantize(x, gamma, out_scale) {epsilon}                           -> q int8
    Add(x, y)

and the nodes of its cells and of its entry, whose modules in `edgebci.export.operators` say what they take.

Inside the functions Q and DQ work in counts (scale 1) and the scales are multiplications of their own, where the
reference has them: sums of products of integers are then exact in float32 (below 2^24, up to 1,032 columns), whether a
runtime multiplies integers or floats, and a value near a tie rounds the same way. ONNX Runtime fuses the dense layers
into integer kernels all the same.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir

from edgebci.export.graph_builder import layer_states, state_inputs, state_outputs, tensor_value, typed
from edgebci.export.graph_functions import quantized_dense_function, rms_norm_quantize_function
from edgebci.export.operators.dense_widths import DENSE_FUNCTIONS
from edgebci.export.operators.forms import cell_form, entry_form
from edgebci.export.operators.stack import stack_function, stack_step
from edgebci.export.writers import QuantizedWriter
from edgebci.operators.stack import STACK
from edgebci.quantized_decoder import QuantizedDecoder

FLOAT = ir.DataType.FLOAT


def quantized_step_graph(decoder: QuantizedDecoder) -> onnx.ModelProto:
    """Build and fully check the quantized step graph; the same decoder gives the same bytes."""
    spec, entry, cell = decoder.spec, entry_form(decoder.spec.entry), cell_form(decoder.spec.layer)
    writer = QuantizedWriter(decoder.tensors(), spec.norm_epsilon)
    types = {name: ir.DataType[kind.upper()] for name, kind in decoder.state_types().items()}
    frame, states = tensor_value("frame", FLOAT, (spec.n_inputs,)), state_inputs(spec, types)
    x, following = entry.quantized_step(writer, frame, states)
    for i in range(spec.n_layers):
        scale = f"layers.{i}.mixer.{spec.layer.input_scale}"
        q = writer.rms_norm(x, f"layers.{i}.norm", scale)
        mixed, after = cell.quantized_step(writer, i, q, layer_states(spec.layer, states, i))
        following |= {f"{name}.{i}": value for name, value in after.items()}
        x = writer.graph.node("Add", [x, mixed], f"layers.{i}.residual")
    seen = writer.rms_norm(x, "norm", "readout.act_scale")
    if spec.readout_lags:
        seen, following[STACK] = stack_step(writer.graph, seen, states[STACK], "readout")
    output = writer.dense(seen, "readout", "output")
    functions = [quantized_dense_function(), *(make() for make in DENSE_FUNCTIONS.values())]
    functions += [rms_norm_quantize_function()]
    functions += [*entry.quantized_functions(), *cell.quantized_functions(), *cell.int8_state_functions()]
    functions += [stack_function(spec.readout_lags)] if spec.readout_lags else []
    outputs = [typed(output, FLOAT, (spec.n_outputs,)), *state_outputs(spec, following, types)]
    called = {node.op_type for node in writer.graph.nodes}
    functions = [function for function in functions if function.name in called]
    return writer.graph.model("edgebci_quantized_step", [frame, *states.values()], outputs, functions)
