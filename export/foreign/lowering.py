"""From a checked ONNX model to the flat graph of one step; what cannot be translated is found in one go."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from edgebci.block_spec import Shape
from edgebci.errors import InputError
from edgebci.export.foreign.emitter import Emitter, Unsupported, Value, View, reshaped
from edgebci.export.foreign.node import OnnxNode
from edgebci.export.foreign.simplifying import simplified
from edgebci.export.foreign.streaming import WINDOW
from edgebci.export.foreign.translations import TRANSLATIONS
from edgebci.foreign.graph import FRAME, OUTPUT, ForeignGraph, Port, State, plain

_RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")
STANDARD = ("", "ai.onnx")


def lower(model: onnx.ModelProto, states: Mapping[str, str], shown: str = "the model") -> ForeignGraph:
    """Translate a model with static shapes.

    Args:
        model: without functions; `reading.read_model` gives one.
        states: the output that is the next value of an input, by that input's name.
        shown: what messages call the model.

    Raises:
        InputError: lists every node that cannot be translated, with the reason.
    """
    return _Lowering(model, dict(states)).result(shown)


class _Lowering:
    """One walk over the nodes."""

    def __init__(self, model: onnx.ModelProto, states: dict[str, str]) -> None:
        self._graph, self._states, self._emitter = model.graph, states, Emitter()
        self._opset = next(entry.version for entry in model.opset_import if entry.domain in STANDARD)
        self._imports = model.opset_import
        self._values: dict[str, Value] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in self._graph.initializer
        }
        self._findings: list[str] = []
        self._unknown: set[str] = set()
        given = [value for value in self._graph.input if value.name not in self._values]
        self._inputs = tuple(Port(value.name, shape_of(value)) for value in given if value.name not in states)
        self._check_names()
        self._enter(given)

    def _check_names(self) -> None:
        names = [state_name(name) for name in self._states]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(
                f"two states would be called {', '.join(twice)}, where only letters, digits and . : / - are kept; "
                "rename them in the model"
            )

    def _enter(self, given: list[onnx.ValueInfoProto]) -> None:
        size = sum(port.size for port in self._inputs)
        frame = self._emitter.tensor(FRAME, (size,))
        start = 0
        for port in self._inputs:
            self._values[port.name] = View(FRAME, frame.positions[start : start + port.size].reshape(port.shape))
            start += port.size
        for value in given:
            if value.name in self._states:
                self._values[value.name] = self._emitter.tensor(state_name(value.name), shape_of(value))

    def result(self, shown: str) -> ForeignGraph:
        """The whole graph."""
        for node in self._graph.node:
            self._visit(node)
        if self._findings:
            raise InputError(
                f"{len(self._findings)} of {len(self._graph.node)} nodes of {shown} cannot be translated: "
                f"{'; '.join(self._findings)}; supported are {', '.join(sorted(TRANSLATIONS))}: replace the others"
            )
        outputs = [value for value in self._graph.output if value.name not in self._states.values()]
        views = [self._values[value.name] for value in outputs]
        self._emitter.place = "step"
        joined = self._emitter.join([reshaped(view, (-1,)) for view in views])
        self._emitter.copy(joined, OUTPUT)
        states = tuple(self._state(name, following) for name, following in self._states.items())
        ports = tuple(Port(value.name, view.shape) for value, view in zip(outputs, views, strict=True))
        emitter = self._emitter
        return simplified(ForeignGraph(tuple(emitter.nodes), emitter.constants, self._inputs, ports, states))

    def _state(self, name: str, output: str) -> State:
        shape, following = self._values[name].shape, f"{state_name(name)}.new"
        self._emitter.copy(reshaped(self._values[output], shape), following)
        return State(state_name(name), shape, following)

    def _visit(self, proto: onnx.NodeProto) -> None:
        if any(name in self._unknown for name in proto.input):
            # What feeds it is unknown, so only its kind can be judged.
            self._unknown.update(proto.output)
            if proto.op_type not in TRANSLATIONS or proto.domain not in STANDARD:
                self._find(proto, "")
            return
        try:
            outputs = self._outputs(proto)
        except Unsupported as reason:
            self._find(proto, str(reason))
            self._unknown.update(proto.output)
            return
        self._values |= {name: value for name, value in zip(proto.output, outputs, strict=False) if name}

    def _find(self, proto: onnx.NodeProto, reason: str) -> None:
        domain = "" if proto.domain in STANDARD else f"{proto.domain}."
        place = repr(proto.name) if proto.name else f"the node of {proto.output[0]!r}"
        self._findings.append(f"{place} ({domain}{proto.op_type}{': ' + reason if reason else ''})")

    def _outputs(self, proto: onnx.NodeProto) -> list[Value]:
        values = tuple(self._values[name] if name else None for name in proto.input)
        known = all(not isinstance(value, View) for value in values)
        if known and proto.op_type not in _RANDOM and not _has_body(proto):
            return self._computed(proto)
        if proto.op_type not in TRANSLATIONS or proto.domain not in STANDARD:
            raise Unsupported("")
        attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in proto.attribute}
        self._emitter.place = plain(proto.name or proto.output[0])
        n_outputs = max((i + 1 for i, name in enumerate(proto.output) if name), default=0)
        node = OnnxNode(proto.name, proto.op_type, values, attributes, n_outputs, self._opset)
        return TRANSLATIONS[proto.op_type](node, self._emitter)

    def _computed(self, proto: onnx.NodeProto) -> list[Value]:
        """What is known before any frame comes."""
        feeds = {name: np.asarray(self._values[name]) for name in proto.input if name}
        inputs = [
            onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in feeds.items()
        ]
        names = [name for name in proto.output if name]
        outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in names]
        graph = onnx.helper.make_graph([proto], "known", inputs, outputs)
        try:
            evaluator = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=list(self._imports)))
            found = list(evaluator.run(None, feeds))
        except Exception as error:  # the evaluator's operators raise what they like
            raise Unsupported(f"it cannot be computed beforehand: {str(error).splitlines()[0]}") from error
        by_name = dict(zip(names, found, strict=True))
        return [by_name.get(name, np.empty(0)) for name in proto.output]


def _has_body(proto: onnx.NodeProto) -> bool:
    return any(attribute.HasField("g") or attribute.graphs for attribute in proto.attribute)


def state_name(name: str) -> str:
    """A state's name in graphs and C: a name that begins with `conv.` means a window elsewhere in the project."""
    name = plain(name)
    return f"state.{name}" if name in (FRAME, OUTPUT, WINDOW) or name.startswith("conv.") else name


def shape_of(value: onnx.ValueInfoProto) -> Shape:
    """A static shape."""
    return tuple(int(dimension.dim_value) for dimension in value.type.tensor_type.shape.dim)
