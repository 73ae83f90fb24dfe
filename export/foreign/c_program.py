"""Writing a foreign decoder in C: one call per node of its flat graph, kernels for its sizes, one context.

The result is C99 without heap, libc or static memory; what it computes is, bit for bit, `ForeignDecoder`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebci.export.c_literals import C_TYPES
from edgebci.export.c_memory import plan_memory
from edgebci.export.c_program import require_target, write_program
from edgebci.export.foreign.c_operations import Program
from edgebci.foreign.graph import FRAME, OUTPUT, ForeignGraph, Port, State, plain

_TEMPLATES = {
    "decoder.c": "foreign_decoder.c.j2",
    "decoder.h": "foreign_decoder.h.j2",
    "decoder_fields.c": "decoder_fields.c.j2",
    "weights.h": "foreign_weights.h.j2",
}
_HEADERS = ("edgebci_activations.h", "edgebci_foreign.h")


def generate_foreign_program(graph: ForeignGraph, folder: Path, target: str = "cortex-m4f") -> list[Path]:
    """Write the program into `folder`; returns its files.

    Raises:
        InputError: unknown target, or a size beyond what the kernels hold.
    """
    require_target(target)
    return write_program(folder, _context(graph), _TEMPLATES, _HEADERS)


def _context(graph: ForeignGraph) -> dict[str, Any]:
    program = Program(graph)
    operations = program.operations()
    fixed = {FRAME: "c->frame", OUTPUT: "c->output.values", **program.places}
    plan = plan_memory(operations, fixed)
    states = [_state(state, program.state_member(state.name)) for state in graph.states]
    return {
        "calls": [
            (step, step.call.format(*(plan.places[name] for name in step.reads), out=plan.places[step.writes.tensor]))
            for step in operations
        ],
        "kernels": sorted(program.kernels.values()),
        "constants": program.constants.values(),
        "descriptions": sorted(program.descriptions.items()),
        "headers": (),
        "slots": plan.slots,
        "states": states,
        "fields": [
            ("frame", "frame", "float32", str(graph.n_inputs)),
            *((state["name"], state["c_name"], state["type"], str(state["size"])) for state in states),
        ],
        "n_inputs": graph.n_inputs,
        "n_outputs": graph.n_outputs,
        "inputs": _places(graph.inputs),
        "outputs": _places(graph.outputs),
    }


def _places(ports: tuple[Port, ...]) -> list[tuple[Port, int]]:
    starts = [sum(port.size for port in ports[:i]) for i in range(len(ports))]
    return [(Port(plain(port.name), port.shape), start) for port, start in zip(ports, starts, strict=True)]


def _state(state: State, member: str) -> dict[str, Any]:
    return {
        "name": state.name,
        "c_name": member,
        "size": state.size,
        "shape": state.shape,
        "type": state.type,
        "c_type": C_TYPES[state.type],
    }
