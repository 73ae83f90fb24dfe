"""What each node of a flat graph becomes in C: kernels, constants in flash and one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.export import c_graph
from edgebci.export.c_literals import Constant, identifier, literal
from edgebci.export.c_operation import Buffer, Operation
from edgebci.export.foreign.c_access import Access, access
from edgebci.foreign.functions import FOLDS, FUNCTIONS
from edgebci.foreign.graph import ForeignGraph, Node, Operand, State

MOST_COLUMNS = 65536
"""An int32 holds that many products of int8."""


@dataclass
class Program:
    """Collects kernels and constants while nodes are translated.

    Fields:
        kernels: definitions by name.
        constants: by C name; index tables too.
        descriptions: of int8 dense layers, by C name.
        places: where constants and states lie, by tensor.
    """

    graph: ForeignGraph
    kernels: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    _names: dict[tuple[str, str], str] = field(default_factory=dict)
    _tables: dict[bytes, str] = field(default_factory=dict)

    def operations(self) -> list[Operation]:
        """Loads of states, one or two calls per node, stores of states."""
        done = [operation for state in self.graph.states for operation in self._load(state)]
        for node in self.graph.nodes:
            done += self._translated(node)
        return done + [self._store(state) for state in self.graph.states]

    def state_member(self, name: str) -> str:
        """Name of a state in the context."""
        return self._name("state", name)

    def _translated(self, node: Node) -> list[Operation]:
        if node.operator in FUNCTIONS or node.operator == "quantize":
            return [self._map(node)]
        if node.operator in FOLDS:
            return [self._fold(node)]
        translate: Callable[[Node], list[Operation]] = getattr(self, f"_{node.operator}")
        return translate(node)

    def _map(self, node: Node) -> Operation:
        accesses = [self._access(operand, node.size) for operand in node.operands]
        kind = "int8_t" if node.operator == "quantize" else "float"
        codes = "_".join(found.code for found in accesses)
        name = f"{node.operator}_{node.size}_{codes}"
        reads = ", ".join(found.expression for found in accesses)
        sizes = f"{name}, {kind}, {node.size}u"
        self.kernels[name] = f"EDGEBCI_DEFINE_MAP_{len(accesses)}({sizes}, edgebci_foreign_{node.operator}, {reads})"
        in_place = all(found.straight and not found.offset for found in accesses)
        return self._call(node, name, accesses, kind, overwrites=in_place)

    def _fold(self, node: Node) -> Operation:
        outer, inner = node.sizes
        found = self._access(node.operands[0], outer * inner)
        name = f"{node.operator}_{outer}_{inner}_{found.code}"
        if node.operator == "fold_sum":
            definition = f"EDGEBCI_DEFINE_FOLD_SUM({name}, {outer}u, {inner}u, {found.expression})"
        else:
            function = {"fold_max": "edgebci_foreign_maximum", "fold_min": "edgebci_foreign_minimum"}[node.operator]
            definition = f"EDGEBCI_DEFINE_FOLD_EXTREME({name}, {outer}u, {inner}u, {function}, {found.expression})"
        self.kernels[name] = definition
        return self._call(node, name, [found], "float")

    def _join(self, node: Node) -> list[Operation]:
        """Copies side by side."""
        calls, start = [], 0
        for i, operand in enumerate(node.operands):
            size = self._size(operand)
            found = self._access(operand, size)
            name = f"copy_{size}_{found.code}"
            self.kernels[name] = (
                f"EDGEBCI_DEFINE_MAP_1({name}, float, {size}u, edgebci_foreign_copy, {found.expression})"
            )
            calls.append(f"{name}({_place(i, found)}, {{out}} + {start}u);")
            start += size
        return [self._operation(node, " ".join(calls), "float")]

    def _dense(self, node: Node) -> list[Operation]:
        positions, groups, rows, columns = node.sizes
        gathered = [self._gathered(node, i, operand) for i, operand in enumerate(node.operands)]
        name = f"dense_f32_{positions}_{groups}_{rows}_{columns}"
        self.kernels[name] = f"EDGEBCI_DEFINE_FLOAT_DENSE({name}, {positions}u, {groups}u, {rows}u, {columns}u)"
        accesses = [found for _, _, found in gathered]
        call = self._call(node, name, accesses, "float", reads=tuple(tensor for tensor, _, _ in gathered))
        return [*(step for _, steps, _ in gathered for step in steps), call]

    def _dense_int8(self, node: Node) -> list[Operation]:
        positions, groups, rows, columns = node.sizes
        if columns > MOST_COLUMNS:
            raise InputError(f"{node.name} sums {columns} products, an int32 holds {MOST_COLUMNS}; use a smaller layer")
        many = positions * groups > 1
        name = f"dense_int8_{positions}_{groups}_{columns}" if many else f"dense_{columns}"
        self.kernels[name] = (
            f"EDGEBCI_DEFINE_GROUPED_DENSE({name}, {positions}u, {groups}u, {columns}u)"
            if many
            else f"EDGEBCI_DEFINE_DENSE({name}, {columns}u)"
        )
        parts = [self._keep(operand.tensor) for operand in node.operands[1:]]
        description = self._name("node", node.name)
        self.descriptions[description] = f"{{{rows}u, {', '.join(parts)}}}"
        return [self._operation(node, f"{name}(&{description}, {{0}}, {{out}});", "float", node.reads[:1])]

    def _load(self, state: State) -> list[Operation]:
        member = f"c->{self.state_member(state.name)}"
        if state.type == "float32":
            self.places[state.name] = member
            return []
        name = f"state_load_{state.size}"
        self.kernels[name] = f"EDGEBCI_DEFINE_STATE_LOAD({name}, {state.size}u)"
        node = c_graph.Node(f"{state.name} (load)", "load", (), (state.name,), {})
        call = f"{name}({member}, {literal(np.float32(state.scale))}, {{out}});"
        return [Operation(node, (), Buffer(state.name, "float", state.size), f"int16 [{state.size}]", call)]

    def _store(self, state: State) -> Operation:
        kept = f"{state.name}.kept"
        self.places[kept] = f"c->{self.state_member(state.name)}"
        inverse = literal(np.float32(1.0) / np.float32(state.scale))
        if state.type == "float32":
            name = f"float_state_store_{state.size}"
            self.kernels[name] = f"EDGEBCI_DEFINE_FLOAT_STATE_STORE({name}, {state.size}u)"
            call = f"{name}({{0}}, {{out}});"
        else:
            name = f"state_store_{state.size}"
            self.kernels[name] = f"EDGEBCI_DEFINE_STATE_STORE({name}, {state.size}u)"
            call = f"{name}({{0}}, {inverse}, {{out}});"
        node = c_graph.Node(f"{state.name} (store)", "store", (state.following,), (kept,), {})
        writes = Buffer(kept, "float", state.size)
        return Operation(node, (state.following,), writes, f"{state.type} [{state.size}]", call)

    def _gathered(self, node: Node, i: int, operand: Operand) -> tuple[str, list[Operation], Access]:
        """The tensor to read an operand from, one element after another, and what copies it there."""
        size = self._size(operand)
        self._keep(operand.tensor)
        found = access(operand.index, size)
        if found is not None and found.straight:
            return operand.tensor, [], found
        copied = Node(f"{node.name}.operand.{i}", "copy", (operand,), f"{node.output}.operand.{i}", size)
        return copied.output, [self._map(copied)], Access(0, "i", "i")

    def _access(self, operand: Operand, size: int) -> Access:
        self._keep(operand.tensor)
        if operand.index is None:
            return Access(0, "i", "i") if self.graph.sizes[operand.tensor] == size else Access(0, "0", "0")
        found = access(operand.index, size)
        if found is not None:
            return found
        table = self._table(operand.index)
        return Access(0, f"{table}[i]", table)

    def _table(self, index: NDArray[np.int32]) -> str:
        key = index.tobytes()
        if key not in self._tables:
            name = f"table_{len(self._tables)}"
            narrow = index.max() < 1 << 15
            values = index.astype(np.int16 if narrow else np.int32)
            self.constants[name] = Constant(name, values, f"elements to read: {values.dtype} [{len(index)}]")
            self._tables[key] = name
        return self._tables[key]

    def _keep(self, tensor: str) -> str:
        """Put a constant into flash, where the tensor is one; returns its C name."""
        if tensor not in self.graph.constants:
            return ""
        name = self._name("constant", tensor)
        if name not in self.constants:
            values = self.graph.constants[tensor]
            self.constants[name] = Constant(name, values, f"{tensor}: {values.dtype} {list(values.shape)}")
        self.places[tensor] = name
        return name

    def _size(self, operand: Operand) -> int:
        return self.graph.sizes[operand.tensor] if operand.index is None else len(operand.index)

    def _call(
        self,
        node: Node,
        kernel: str,
        accesses: list[Access],
        kind: str,
        overwrites: bool = False,
        reads: tuple[str, ...] | None = None,
    ) -> Operation:
        places = ", ".join(_place(i, found) for i, found in enumerate(accesses))
        return self._operation(node, f"{kernel}({places}, {{out}});", kind, reads, overwrites)

    def _operation(
        self, node: Node, call: str, kind: str, reads: tuple[str, ...] | None = None, overwrites: bool = False
    ) -> Operation:
        shown = c_graph.Node(node.name, node.operator, node.reads, (node.output,), {})
        sizes = " x ".join(map(str, node.sizes)) or str(node.size)
        return Operation(
            shown,
            node.reads if reads is None else reads,
            Buffer(node.output, kind, node.size),
            f"{node.operator} {sizes}",
            call,
            overwrites=overwrites,
        )

    def _name(self, kind: str, name: str) -> str:
        """A C identifier of its own for each name."""
        key = (kind, name)
        if key not in self._names:
            base = f"{kind}_{identifier(name)}"
            taken = set(self._names.values())
            free = (base if k == 0 else f"{base}_{k}" for k in range(len(taken) + 1))
            self._names[key] = next(text for text in free if text not in taken)
        return self._names[key]


def _place(i: int, found: Access) -> str:
    return f"{{{i}}} + {found.offset}u" if found.offset else f"{{{i}}}"
