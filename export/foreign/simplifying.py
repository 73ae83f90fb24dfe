"""Making a flat graph smaller without changing what it means: biases, scales and norms into the weights before them.

    y = dense(x)        z = y + b, y - b, y * s, y / s        with b, s constant for each row of the weight

is one dense layer. Copies of whole tensors and nodes that nobody reads go too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.foreign.graph import OUTPUT, ForeignGraph, Node, Operand

F64 = NDArray[np.float64]
Change = Callable[[F64, F64, F64], tuple[F64, F64]]
"""Weight (rows, columns), bias (rows,) and the constant of each row (rows, 1) to weight and bias."""

_CHANGES: dict[str, Change] = {
    "add": lambda w, b, c: (w, b + c[:, 0]),
    "subtract": lambda w, b, c: (w, b - c[:, 0]),
    "multiply": lambda w, b, c: (w * c, b * c[:, 0]),
    "divide": lambda w, b, c: (w / c, b / c[:, 0]),
}


def simplified(graph: ForeignGraph) -> ForeignGraph:
    """The same step in fewer nodes."""
    graph = _without_copies(_used(graph))
    while (smaller := _folded(graph)) is not None:
        graph = smaller
    return _used(graph)


def _used(graph: ForeignGraph) -> ForeignGraph:
    """Without nodes and constants that nobody reads."""
    needed = {OUTPUT, *(state.following for state in graph.states)}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            kept.append(node)
            needed.update(node.reads)
    constants = {name: values for name, values in graph.constants.items() if name in needed}
    return replace(graph, nodes=tuple(reversed(kept)), constants=constants)


def _without_copies(graph: ForeignGraph) -> ForeignGraph:
    """A copy, or a join of one operand, of anything but the step's own results is read through."""
    fixed = {OUTPUT, *(state.following for state in graph.states)}
    seen: dict[str, Operand] = {}
    nodes = []
    for node in graph.nodes:
        node = replace(node, operands=tuple(_through(operand, seen) for operand in node.operands))
        if node.operator in ("copy", "join") and len(node.operands) == 1 and node.output not in fixed:
            seen[node.output] = node.operands[0]
        else:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _through(operand: Operand, seen: Mapping[str, Operand]) -> Operand:
    """`operand` of a tensor that is itself read from another."""
    if operand.tensor not in seen:
        return operand
    below = seen[operand.tensor]
    if below.index is None or operand.index is None:
        return Operand(below.tensor, operand.index if below.index is None else below.index)
    return Operand(below.tensor, below.index[operand.index])


def _folded(graph: ForeignGraph) -> ForeignGraph | None:
    """With one more node gone, or None."""
    readers = Counter(name for node in graph.nodes for name in node.reads)
    readers.update(state.following for state in graph.states)
    producers = {node.output: node for node in graph.nodes}
    for node in graph.nodes:
        for k in (0, 1) if node.operator in ("add", "multiply") else (0,):
            if node.operator not in _CHANGES:
                continue
            dense = producers.get(node.operands[k].tensor)
            if dense and dense.operator == "dense" and readers[dense.output] == 1:
                constants = _row_constants(graph, dense, node, k)
                if constants is not None:
                    return _merged(graph, dense, node, k, constants)
    return None


def _row_constants(graph: ForeignGraph, dense: Node, node: Node, k: int) -> F64 | None:
    """The constant of each row of the dense layer (rows,), or None where there is no such."""
    other = node.operands[1 - k]
    weight = dense.operands[1].tensor
    if other.tensor not in graph.constants or weight not in graph.constants or node.size != dense.size:
        return None
    where = _index(node.operands[k], dense.size)
    if len(np.unique(where)) != dense.size:
        return None
    values = other.of(graph.constants[other.tensor].ravel()).astype(np.float64)
    _, groups, rows, _ = dense.sizes
    of_element = np.empty(dense.size)
    of_element[where] = values
    by_row = of_element.reshape(-1, groups * rows)
    usable = (by_row == by_row[0]).all() and (node.operator != "divide" or by_row[0].all())
    return by_row[0] if usable else None


def _index(operand: Operand, size: int) -> NDArray[Any]:
    return np.arange(size) if operand.index is None else operand.index


def _merged(graph: ForeignGraph, dense: Node, node: Node, k: int, constants: F64) -> ForeignGraph:
    """`node` folded into `dense`, and read from it."""
    x, weight_name, bias_name = dense.operands[0], dense.operands[1].tensor, dense.operands[2].tensor
    weight, bias = graph.constants[weight_name], graph.constants[bias_name]
    changed = _CHANGES[node.operator](
        weight.reshape(len(constants), -1).astype(np.float64), bias.ravel().astype(np.float64), constants[:, None]
    )
    names = (f"{node.name}.weight", f"{node.name}.bias")
    arrays = (changed[0].reshape(weight.shape), changed[1].reshape(bias.shape))
    fresh = {name: array.astype(np.float32) for name, array in zip(names, arrays, strict=True)}
    merged = replace(dense, operands=(x, *(Operand(name) for name in names)))
    index = node.operands[k].index
    seen = {node.output: Operand(dense.output, index)}
    nodes = []
    for other in graph.nodes:
        if other is dense:
            nodes.append(merged)
        elif other is not node:
            nodes.append(replace(other, operands=tuple(_through(operand, seen) for operand in other.operands)))
        elif node.output in _results(graph):
            nodes.append(Node(node.name, "copy", (Operand(dense.output, index),), node.output, node.size))
    return _used(replace(graph, nodes=tuple(nodes), constants={**graph.constants, **fresh}))


def _results(graph: ForeignGraph) -> set[str]:
    return {OUTPUT, *(state.following for state in graph.states)}
