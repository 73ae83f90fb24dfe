"""A foreign graph, run: the float form and the quantized one, bit for bit what the host twin and the core compute.

What does not depend on a state is computed for many frames together, the rest step by step; element by element that is
the same, so any chunking of a stream gives the same bits. float32 between two quantizers; int8 weights and activations,
int32 sums and int16 states in the quantized form; in the float form states smaller than 1e-20 become zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgebci import arithmetic
from edgebci.arithmetic import F32
from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.decoder_float import no_tap, segments
from edgebci.documents import Document
from edgebci.foreign.functions import FOLDS, FUNCTIONS, dense
from edgebci.foreign.graph import FRAME, OUTPUT, ForeignGraph, Node, Operand, Port, State
from edgebci.operators.cell import Tap

CHUNK = 256
States = dict[str, NDArray[Any]]
Values = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class ForeignDecoder:
    """One stream's step, again and again."""

    graph: ForeignGraph

    @property
    def spec(self) -> ForeignGraph:
        """What it gives (`output_names`)."""
        return self.graph

    def initial_states(self) -> States:
        """All zero: the state at power-on and after a reset."""
        return {state.name: np.zeros(state.size, state.type) for state in self.graph.states}

    def step(self, frame: F32, states: States) -> tuple[F32, States]:
        """Decode one frame (n_inputs,): returns the output (n_outputs,) and the next states."""
        outputs, states = self.run(frame[None], states)
        return outputs[0], states

    def stream(self, frames: F32, reset_before: NDArray[np.bool_] | None = None, tap: Tap = no_tap) -> F32:
        """Decode (T, n_inputs) from zero states, which `reset_before` (T,) restores: returns (T, n_outputs)."""
        outputs = np.zeros((len(frames), self.graph.n_outputs), np.float32)
        states = self.initial_states()
        for start, stop, reset in segments(len(frames), reset_before, CHUNK):
            states = self.initial_states() if reset else states
            outputs[start:stop], states = self.run(frames[start:stop], states, tap)
        return outputs

    def run(self, frames: F32, states: States, tap: Tap = no_tap) -> tuple[F32, States]:
        """Decode frames (T, n_inputs) that follow each other, from `states` on.

        `tap` sees what each quantizer gave by the name of its tensor, the input of each float dense layer of known
        weights as `{node}.input`, and every state as `{state}.next`, in the order of computation.
        """
        before, during, after = self._phases
        values: Values = {FRAME: np.ascontiguousarray(frames, np.float32)}
        self._compute(before, values)
        states = self._recur(during, values, states, len(frames))
        self._compute(after, values)
        self._show(values, tap)
        return values[OUTPUT], states

    def _recur(self, nodes: list[Node], values: Values, states: States, n_steps: int) -> States:
        """Go through the nodes between states and next states, step by step; adds all steps of them to `values`."""
        if not self.graph.states:
            return states
        seen: list[Values] = []
        for t in range(n_steps):
            row = {name: array[t : t + 1] for name, array in values.items()}
            row |= {state.name: _loaded(state, states[state.name])[None] for state in self.graph.states}
            before = set(row)
            self._compute(nodes, row)
            states = {state.name: _stored(state, row[state.following][0]) for state in self.graph.states}
            own = {name: row[name] for name in row if name not in before}
            seen.append(own | {state.name: row[state.name] for state in self.graph.states})
            seen[-1] |= {f"{name}.next": following[None] for name, following in states.items()}
        values |= {name: np.concatenate([row[name] for row in seen]) for name in seen[0]}
        return states

    def _compute(self, nodes: Iterable[Node], values: Values) -> None:
        for node in nodes:
            operands = [self._operand(operand, values) for operand in node.operands]
            values[node.output] = _computed(node, operands, len(values[FRAME]))

    def _operand(self, operand: Operand, values: Values) -> NDArray[Any]:
        if operand.tensor in values:
            return operand.of(values[operand.tensor])
        return operand.of(self.graph.constants[operand.tensor].reshape(1, -1))

    def _show(self, values: Values, tap: Tap) -> None:
        for node in self.graph.nodes:
            if node.operator == "quantize":
                tap(node.output, values[node.output])
            elif node.operator == "dense" and node.operands[1].tensor in self.graph.constants:
                tap(f"{node.name}.input", self._operand(node.operands[0], values))
        for state in self.graph.states:
            tap(f"{state.name}.next", values[f"{state.name}.next"])

    @cached_property
    def _phases(self) -> tuple[list[Node], list[Node], list[Node]]:
        """Nodes before, within and behind the recurrence."""
        dependent, needed = self.graph.recurrent
        nodes = self.graph.nodes
        return (
            [node for node in nodes if node.output not in dependent],
            [node for node in nodes if node.output in dependent and node.output in needed],
            [node for node in nodes if node.output in dependent and node.output not in needed],
        )

    def save(self, path: Path) -> None:
        """Write a safetensors file; the same decoder gives the same bytes."""
        tensors: dict[str, NDArray[Any]] = {f"constant.{name}": v for name, v in self.graph.constants.items()}
        nodes = []
        for node in self.graph.nodes:
            for i, operand in enumerate(node.operands):
                if operand.index is not None:
                    tensors[f"index.{node.name}.{i}"] = operand.index
            operator: dict[str, Any] = {"name": node.name, "operator": node.operator, "reads": node.reads}
            nodes.append(NodeRecord(output=node.output, size=node.size, sizes=node.sizes, **operator))
        ports = {"inputs": _records(self.graph.inputs), "outputs": _records(self.graph.outputs)}
        states = tuple(StateRecord(**vars(state)) for state in self.graph.states)
        write_tensors(path, tensors, ForeignHeader(nodes=tuple(nodes), states=states, **ports))

    @classmethod
    def load(cls, path: Path) -> ForeignDecoder:
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        tensors, header = read_tensors(path, ForeignHeader)
        nodes = tuple(_node(record, tensors) for record in header.nodes)
        constants = {name.removeprefix("constant."): v for name, v in tensors.items() if name.startswith("constant.")}
        inputs, outputs = (tuple(Port(p.name, p.shape) for p in ports) for ports in (header.inputs, header.outputs))
        states = tuple(State(**record.model_dump()) for record in header.states)
        return cls(ForeignGraph(nodes, constants, inputs, outputs, states))


class NodeRecord(Document):
    """A node without the indices of its operands."""

    name: str
    operator: str
    reads: tuple[str, ...]
    output: str
    size: int
    sizes: tuple[int, ...]


class PortRecord(Document):
    """An input or output of the model."""

    name: str
    shape: tuple[int, ...]


class StateRecord(Document):
    """A state."""

    name: str
    shape: tuple[int, ...]
    following: str
    type: Literal["float32", "int16"]
    scale: float


class ForeignHeader(Document):
    """Header of the file of a foreign decoder; tensors are `constant.{name}` and `index.{node}.{operand}`."""

    schema_version: Literal["edgebci.foreign_decoder/1"] = "edgebci.foreign_decoder/1"
    nodes: tuple[NodeRecord, ...]
    inputs: tuple[PortRecord, ...]
    outputs: tuple[PortRecord, ...]
    states: tuple[StateRecord, ...]


def _records(ports: tuple[Port, ...]) -> tuple[PortRecord, ...]:
    return tuple(PortRecord(name=port.name, shape=port.shape) for port in ports)


def _node(record: NodeRecord, tensors: dict[str, NDArray[Any]]) -> Node:
    operands = tuple(Operand(tensor, tensors.get(f"index.{record.name}.{i}")) for i, tensor in enumerate(record.reads))
    return Node(record.name, record.operator, operands, record.output, record.size, record.sizes)


def _loaded(state: State, values: NDArray[Any]) -> F32:
    if state.type == "int16":
        result: F32 = values.astype(np.float32) * np.float32(state.scale)
        return result
    return values


def _stored(state: State, values: F32) -> NDArray[Any]:
    if state.type == "int16":
        return arithmetic.quantize_int16(values, np.float32(1.0) / np.float32(state.scale))
    return arithmetic.flush(values)


def _computed(node: Node, operands: list[NDArray[Any]], n_frames: int) -> NDArray[Any]:
    """The node's output (n_frames, size)."""
    if node.operator in FUNCTIONS:
        result = FUNCTIONS[node.operator](*operands)
        return np.broadcast_to(result, (n_frames, node.size))
    if node.operator in FOLDS:
        return FOLDS[node.operator](operands[0].reshape(n_frames, *node.sizes))
    return _OPERATORS[node.operator](node, operands, n_frames)


def _join(_: Node, operands: list[NDArray[Any]], n_frames: int) -> NDArray[Any]:
    return np.concatenate([np.broadcast_to(x, (n_frames, x.shape[-1])) for x in operands], axis=1)


def _dense(node: Node, operands: list[NDArray[Any]], n_frames: int) -> NDArray[Any]:
    positions, groups, rows, columns = node.sizes
    x, weight, bias = operands
    y = dense(
        x.reshape(n_frames, positions, groups, columns),
        weight.reshape(-1, 1, groups, rows, columns),
        bias.reshape(groups, rows),
    )
    return y.reshape(n_frames, -1)


def _quantize(_: Node, operands: list[NDArray[Any]], __: int) -> NDArray[Any]:
    return arithmetic.quantize_int8(operands[0], operands[1])


def _dense_int8(node: Node, operands: list[NDArray[Any]], n_frames: int) -> NDArray[Any]:
    positions, groups, rows, columns = node.sizes
    q, weight, scale, bias = operands
    # Integers below 2^53 add exactly in float64, in any order, and BLAS has no integer product.
    sums = np.einsum(
        "pgk,grk->pgr",
        q.reshape(n_frames * positions, groups, columns).astype(np.float64),
        weight.reshape(groups, rows, columns).astype(np.float64),
        optimize=True,
    )
    y: F32 = sums.astype(np.float32).reshape(n_frames * positions, -1) * scale + bias
    return y.reshape(n_frames, -1)


_OPERATORS: dict[str, Callable[[Node, list[NDArray[Any]], int], NDArray[Any]]] = {
    "join": _join,
    "dense": _dense,
    "quantize": _quantize,
    "dense_int8": _dense_int8,
}
