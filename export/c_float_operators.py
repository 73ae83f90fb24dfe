"""What each operator of the float step graph becomes in C: the kernels of `kernels/edgebci_float.h`.

Names of operators are those of the quantized step, and so is what surrounds them; weights and states are float32.
"""

from __future__ import annotations

import numpy as np

from edgebci.export.c_graph import Node, StepGraph, size
from edgebci.export.c_literals import Constant, identifier, literal
from edgebci.export.c_operation import Buffer, Operation, Translate, c_name, check_columns, check_lanes, floats

_HEADER = "edgebci_float.h"
_HEADERS = ("edgebci_activations.h", "edgebci_float_dense.h", _HEADER)


def is_float_step(graph: StepGraph) -> bool:
    """Whether every weight of the graph's dense layers is float32."""
    dense = [node for node in graph.nodes if node.operator == "edgebci.Dense"]
    return bool(dense) and all(graph.constants[node.inputs[1]].dtype == np.float32 for node in dense)


def _constants(node: Node, graph: StepGraph, names: tuple[str, ...], inputs: tuple[str, ...]) -> tuple[Constant, ...]:
    """The node's arrays in the order of its description."""
    name = c_name(node)
    arrays = [(field, floats(graph, tensor), tensor) for field, tensor in zip(names, inputs, strict=True)]
    return tuple(Constant(f"{name}_{field}", values, f"{tensor}: {_shape(values)}") for field, values, tensor in arrays)


def _shape(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
    return "float32 " + "".join(f"[{n}]" for n in values.shape)


def _names(constants: tuple[Constant, ...]) -> str:
    return ", ".join(constant.name for constant in constants)


def _dense(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    """Of a tensor, or of a state as it was before the step."""
    x, weight, bias = node.inputs
    rows, columns = graph.constants[weight].shape
    of_state = x in graph.states
    check_columns(node, columns, size(graph.states[x]) if of_state else sizes[x])
    constants = _constants(node, graph, ("weight", "bias"), (weight, bias))
    place = f"c->state_{identifier(x)}" if of_state else "{0}"
    return Operation(
        node,
        reads=() if of_state else (x,),
        writes=Buffer(node.outputs[0], "float", rows),
        shapes=f"float32 [{columns}] -> float32 [{rows}]",
        call=f"float_dense_{columns}(&{c_name(node)}, {place}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_FLOAT_DENSE(float_dense_{columns}, {columns}u)",
        constants=constants,
        description=f"{{{rows}u, {_names(constants)}}}",
        description_type="edgebci_float_dense_t",
        headers=_HEADERS,
    )


def _rms_norm(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    x, gamma = node.inputs
    n = sizes[x]
    constants = _constants(node, graph, ("gamma",), (gamma,))
    numbers = (literal(np.float32(1.0 / n)), literal(np.float32(node.attributes["epsilon"])))
    return Operation(
        node,
        reads=(x,),
        writes=Buffer(node.outputs[0], "float", n),
        shapes=f"float32 [{n}] -> float32 [{n}]",
        call=f"float_rms_norm_{n}(&{c_name(node)}, {{0}}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_FLOAT_RMS_NORM(float_rms_norm_{n}, {n}u)",
        constants=constants,
        description=f"{{{', '.join([_names(constants), *numbers])}}}",
        description_type="edgebci_float_rms_norm_t",
        headers=_HEADERS,
    )


def _mamba2(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    p, conv, ssm, *arrays = node.inputs
    heads, headdim, n = graph.states[ssm]
    channels, past = graph.states[conv]
    check_columns(node, heads * headdim + channels + heads, sizes[p])
    check_lanes(node, n)
    kernel = f"float_mamba2_step_{heads}x{headdim}x{n}_{past + 1}"
    constants = _constants(node, graph, ("conv_weight", "conv_bias", "dt_bias", "A", "D"), tuple(arrays))
    return Operation(
        node,
        reads=(p,),
        writes=Buffer(node.outputs[0], "float", heads * headdim),
        shapes=f"float32 [{sizes[p]}] -> float32 [{heads * headdim}], states [{channels}][{past}], "
        f"[{heads}][{headdim}][{n}]",
        call=f"{kernel}(&{c_name(node)}, {{0}}, c->state_{identifier(conv)}, c->state_{identifier(ssm)}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_FLOAT_MAMBA2_STEP({kernel}, {heads}u, {headdim}u, {n}u, {past + 1}u)",
        constants=constants,
        description=f"{{{_names(constants)}}}",
        description_type="edgebci_float_mamba2_t",
        destroys=p,
        states=(conv, ssm),
        headers=_HEADERS,
    )


def _s4d(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    u, modes, *arrays = node.inputs
    width, state_size = graph.states[modes]
    check_columns(node, width, sizes[u])
    kernel = f"float_s4d_step_{width}x{state_size // 2}"
    fields = ("decay_real", "decay_imag", "inject", "read", "skip")
    constants = _constants(node, graph, fields, tuple(arrays))
    return Operation(
        node,
        reads=(u,),
        writes=Buffer(node.outputs[0], "float", width),
        shapes=f"float32 [{width}] -> float32 [{width}], state [{width}][{state_size}]",
        call=f"{kernel}(&{c_name(node)}, {{0}}, c->state_{identifier(modes)}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_FLOAT_S4D_STEP({kernel}, {width}u, {state_size // 2}u)",
        constants=constants,
        description=f"{{{_names(constants)}}}",
        description_type="edgebci_float_s4d_t",
        states=(modes,),
        headers=_HEADERS,
    )


def _gru(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    p, s, h = node.inputs
    n = size(graph.states[h])
    check_columns(node, 3 * n, sizes[p])
    check_columns(node, 3 * n, sizes[s])
    return Operation(
        node,
        reads=(p, s),
        writes=Buffer(node.outputs[0], "float", n),
        shapes=f"float32 [{3 * n}], [{3 * n}] -> float32 [{n}], state [{n}]",
        call=f"float_gru_step_{n}({{0}}, {{1}}, c->state_{identifier(h)}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_FLOAT_GRU_STEP(float_gru_step_{n}, {n}u)",
        states=(h,),
        headers=_HEADERS,
    )


def _tokenizer(activate: str) -> Translate:
    """The translation of the step with one activation."""

    def translate(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
        frame, conv, mean, weight, conv_weight, conv_bias, attention, keep = node.inputs
        channels, past = graph.states[conv]
        check_columns(node, channels, sizes[frame])
        features, neighbours = len(graph.constants[conv_weight]), graph.constants[attention].size
        kernel, places = (
            f"float_tokenizer_step_{channels}x{features}",
            [f"c->state_{identifier(state)}" for state in (conv, mean, weight)],
        )
        arrays = ("conv_weight", "conv_bias", "attention")
        constants = _constants(node, graph, arrays, (conv_weight, conv_bias, attention))
        shape = f"{channels}u, {features}u, {past + 1}u, {neighbours}u"
        return Operation(
            node,
            reads=(frame,),
            writes=Buffer(node.outputs[0], "float", channels * features),
            shapes=f"float32 [{channels}] -> float32 [{channels}][{features}], states [{channels}][{past}], "
            f"[{channels}], [1]",
            call=f"{kernel}(&{c_name(node)}, {{0}}, {', '.join(places)}, {{out}});",
            kernel=f"EDGEBCI_DEFINE_FLOAT_TOKENIZER_STEP({kernel}, {shape}, {activate})",
            constants=constants,
            description=f"{{{_names(constants)}, {literal(floats(graph, keep).reshape(()))}}}",
            description_type="edgebci_float_tokenizer_t",
            states=(conv, mean, weight),
            headers=(*_HEADERS, "edgebci_float_tokenizer.h"),
        )

    return translate


def _stack(node: Node, graph: StepGraph, sizes: dict[str, int]) -> Operation:
    newest, stack = node.inputs
    lags, width = graph.states[stack]
    check_columns(node, width, sizes[newest])
    n, kernel = (lags + 1) * width, f"float_stack_{lags}x{width}"
    return Operation(
        node,
        reads=(newest,),
        writes=Buffer(node.outputs[0], "float", n),
        shapes=f"float32 [{width}] -> float32 [{n}], state [{lags}][{width}]",
        call=f"{kernel}({{0}}, c->state_{identifier(stack)}, {{out}});",
        kernel=f"EDGEBCI_DEFINE_FLOAT_STACK({kernel}, {lags}u, {width}u)",
        states=(stack,),
        headers=_HEADERS,
    )


FLOAT_OPERATORS: dict[str, Translate] = {
    "edgebci.Dense": _dense,
    "edgebci.RmsNorm": _rms_norm,
    "edgebci.Mamba2Step": _mamba2,
    "edgebci.S4DStep": _s4d,
    "edgebci.GruStep": _gru,
    "edgebci.SiluTokenizerStep": _tokenizer("edgebci_silu"),
    "edgebci.GeluTokenizerStep": _tokenizer("edgebci_gelu"),
    "edgebci.Stack": _stack,
}
"""Beside Add and Glu, which are float32 in the quantized step too."""
