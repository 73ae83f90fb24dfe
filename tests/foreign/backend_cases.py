"""The onnx package's own node cases, each as a flat graph, and all of them as one program."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from edgebci.arithmetic import F32
from edgebci.errors import InputError
from edgebci.export.foreign.lowering import STANDARD, lower
from edgebci.export.foreign.translations import TRANSLATIONS
from edgebci.foreign.graph import FRAME, OUTPUT, ForeignGraph, Node, Operand, Port

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """One node case: its graph, one frame of it, and what it must give."""

    name: str
    operator: str
    graph: ForeignGraph
    frame: F32
    expected: tuple[Array, ...]
    rtol: float
    atol: float


@dataclass(frozen=True)
class LeftOut:
    """A node case that is not tried, and why."""

    name: str
    reason: str


def collect() -> tuple[list[Case], list[LeftOut]]:
    """Every case of every operator that can be translated."""
    found = {case.name: (case, case.model) for case in _made() if case.model is not None}
    cases: list[Case] = []
    left_out: list[LeftOut] = []
    for case, model in found.values():
        operator = model.graph.node[0].op_type
        if operator not in TRANSLATIONS or model.opset_import[0].domain not in STANDARD:
            continue
        done = _case(operator, case)
        if isinstance(done, Case):
            cases.append(done)
        else:
            left_out.append(done)
    return cases, left_out


LARGEST = 25_000
"""Values in and out of a case; a handful of poolings over volumes have ten times more."""
RETYPED = {"And": np.bool_, "Or": np.bool_, "Not": np.bool_, "Equal": np.int32, "ReduceLogSumExp": np.float64}
"""Operators that the package tries in another type only: the same values are given in float32."""


def _made() -> list[Any]:
    """Every case of the package, whose modules compute what each must give while they are imported.

    A handful of poolings over volumes would take most of the time, and are left out as too large: they get no values.
    """
    from onnx.reference.ops import op_pool_common

    real = op_pool_common.pool

    def pool(padded: Array, *options: Any, **named: Any) -> Array:
        return real(padded, *options, **named) if padded.size <= LARGEST else np.zeros(1, padded.dtype)

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        # Cases of other operators divide by zero and overflow while they are made.
        warnings.simplefilter("ignore")
        patch.setattr(op_pool_common, "pool", pool)
        from onnx.backend.test.case.node import collect_testcases

        made: list[Any] = collect_testcases()
    return made


def _case(operator: str, case: Any) -> Case | LeftOut:
    graph, (inputs, outputs) = case.model.graph, case.data_sets[0]
    if "_expanded" in case.name:
        return LeftOut(case.name, "the same case written in other operators")
    if not all(isinstance(value, np.ndarray | np.generic) for value in (*inputs, *outputs)):
        return LeftOut(case.name, "sequences, optional values and types that NumPy lacks")
    arrays = {value.name: np.asarray(array) for value, array in zip(graph.input, inputs, strict=True)}
    kind = RETYPED.get(operator)
    arrays |= {name: array.astype(np.float32) for name, array in arrays.items() if array.dtype == kind}
    floats = [name for name, array in arrays.items() if array.dtype == np.float32]
    if not floats:
        return LeftOut(case.name, "no float32 input: a decoder's frames are float32")
    if any(array.size == 0 for array in (*(arrays[name] for name in floats), *outputs)):
        return LeftOut(case.name, "empty tensors")
    if sum(array.size for array in (*arrays.values(), *outputs)) > LARGEST:
        return LeftOut(case.name, "larger than a step of a decoder")
    reason = ""
    for computed in (floats, floats[:1]):
        try:
            made = lower(_bound(case.model, arrays, computed), {})
        except InputError as error:
            reason = str(error).split("cannot be translated: ")[-1].split("; supported are")[0]
            continue
        frame = np.concatenate([arrays[name].ravel() for name in computed])
        expected = tuple(np.asarray(output) for output in outputs)
        return Case(case.name, operator, made, frame, expected, case.rtol, case.atol)
    return LeftOut(case.name, reason)


def _bound(model: onnx.ModelProto, arrays: dict[str, Array], computed: list[str]) -> onnx.ModelProto:
    """The model with every input a constant but `computed`."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.input[:]
    copy.graph.input.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, arrays[name].shape) for name in computed
    )
    copy.graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in arrays.items() if name not in computed
    )
    return copy


def merged(cases: list[Case]) -> ForeignGraph:
    """One graph whose frame is all frames and whose output all outputs, one after another."""
    nodes: list[Node] = []
    constants: dict[str, Array] = {}
    start = 0
    for case in cases:
        graph = case.graph
        constants |= {f"{case.name}.{name}": values for name, values in graph.constants.items()}
        for node in graph.nodes:
            operands = tuple(_moved(case.name, operand, start, graph.n_inputs) for operand in node.operands)
            name, output = f"{case.name}.{node.name}", f"{case.name}.{node.output}"
            nodes.append(replace(node, name=name, operands=operands, output=output))
        start += graph.n_inputs
    size = sum(case.graph.n_outputs for case in cases)
    results = tuple(Operand(f"{case.name}.{OUTPUT}") for case in cases)
    nodes.append(Node(OUTPUT, "join", results, OUTPUT, size))
    return ForeignGraph(tuple(nodes), constants, (Port("x", (start,)),), (Port("y", (size,)),), ())


def _moved(name: str, operand: Operand, start: int, size: int) -> Operand:
    if operand.tensor != FRAME:
        return Operand(f"{name}.{operand.tensor}", operand.index)
    index = np.arange(size, dtype=np.int32) if operand.index is None else operand.index
    return Operand(FRAME, index + np.int32(start))
