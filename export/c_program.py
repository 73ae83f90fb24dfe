"""The files of a device program: what its graph becomes, its templates and its kernels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from edgebci.documents import nearest
from edgebci.errors import InputError
from edgebci.export.c_graph import Shape, StepGraph, size
from edgebci.export.c_literals import C_TYPES, identifier
from edgebci.export.c_memory import plan_memory
from edgebci.export.c_operation import Operation
from edgebci.export.c_operators import operations
from edgebci.export.core_kernels import PACKED_CORES, PORTABLE
from edgebci.files import write_text

HERE = Path(__file__).resolve().parent
TARGETS = (*PACKED_CORES, "cortex-m55", "aarch64", "riscv32", "host", PORTABLE)
"""Cores that C is written for; those with vectors take the portable kernels, or vectors in their place."""
KERNELS = ("edgebci_dense.h", "edgebci_kernels.c", "edgebci_kernels.h", "edgebci_mamba2.h", "edgebci_math.h")
"""What every program has; the headers of other operators come with those that need them."""


_INCLUDED = re.compile(r'^#include "(\w+\.h)"', re.MULTILINE)
BUILD_FILES = {"CMakeLists.txt": "CMakeLists.txt.j2", "zephyr/module.yml": "module.yml.j2"}
"""What every folder has so that CMake and Zephyr can build it as it is."""


def require_target(target: str) -> None:
    """Raise InputError where there are no kernels for `target`."""
    if target not in TARGETS:
        raise InputError(f"no C kernels for {target!r}, {nearest(target, list(TARGETS))}")


def graph_context(graph: StepGraph, frame_place: str, core: str = PORTABLE) -> dict[str, Any]:
    """What templates show of a graph whose frame lies at `frame_place`, with the kernels of `core`.

    Raises:
        InputError: a node without a kernel (all are listed), or two of one name.
    """
    steps = operations(graph, core)
    _check_names(steps, graph)
    plan = plan_memory(steps, {graph.frame: frame_place, graph.output: "c->output.values"})
    states = [_state(name, shape, graph.types[name]) for name, shape in graph.states.items()]
    return {
        "operations": steps,
        "calls": [(step, _call(step, plan.places)) for step in steps],
        "headers": sorted({header for step in steps for header in step.headers}),
        "kernels": sorted({step.kernel for step in steps if step.kernel}),
        "slots": plan.slots,
        "states": states,
        "fields": [(s["name"], f"state_{s['c_name']}", s["type"], str(s["size"])) for s in states],
        "n_outputs": size(graph.outputs[graph.output]),
    }


def write_program(
    folder: Path, context: Mapping[str, Any], templates: Mapping[str, str], kernels: tuple[str, ...]
) -> list[Path]:
    """Render `templates` (by the name of their file), copy the kernels and the build files; returns the files."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    copied = with_included({*KERNELS, *kernels, *context["headers"]})
    sources = sorted(name for name in {*templates, *copied} if name.endswith(".c"))
    texts = {name: (HERE / "kernels" / name).read_text(encoding="utf-8") for name in copied}
    for name, template in {**templates, **BUILD_FILES}.items():
        texts[name] = environment.get_template(template).render(context, sources=sources)
    for name in sorted(texts):
        write_text(folder / name, texts[name])
    return [folder / name for name in sorted(texts)]


def with_included(names: set[str]) -> set[str]:
    """Files of `kernels/` with all that they include from there."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        included = _INCLUDED.findall((HERE / "kernels" / name).read_text(encoding="utf-8"))
        waiting |= {other for other in included if (HERE / "kernels" / other).is_file()} - found
    return found


def _state(name: str, shape: Shape, kind: str) -> dict[str, Any]:
    return {
        "name": name,
        "c_name": identifier(name),
        "size": size(shape),
        "shape": list(shape),
        "type": kind,
        "c_type": C_TYPES[kind],
    }


def _call(step: Operation, places: dict[str, str]) -> str:
    return step.call.format(*(places[tensor] for tensor in step.reads), out=places[step.writes.tensor])


def _check_names(steps: list[Operation], graph: StepGraph) -> None:
    names = [step.c_name for step in steps if step.description] + [identifier(state) for state in graph.states]
    names += [constant.name for step in steps for constant in step.constants]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise InputError(f"two nodes or states get the C name {', '.join(twice)}; rename them in the ONNX graph")
