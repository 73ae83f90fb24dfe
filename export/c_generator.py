"""Writing the whole device program in C: from a quantized step graph and a front end to a folder of sources.

Generated: decoder.{h,c} (API, context, one call per ONNX node), weights.{h,c}, decoder_fields.c,
front_end_tables.h, edgebci_configuration.h. Copied: the hand-written arithmetic and kernels of `kernels/`. The result
is C99 without heap, libc or static memory; what it computes is, bit for bit, `DeviceFrontEnd` followed by
`QuantizedDecoder`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import jinja2

from edgebci.documents import nearest
from edgebci.errors import InputError
from edgebci.export.c_front_end import FRONT_END_FIELDS, configuration_context, data_context
from edgebci.export.c_graph import Shape, StepGraph, read_graph, size
from edgebci.export.c_literals import C_TYPES, identifier
from edgebci.export.c_memory import plan_memory
from edgebci.export.c_operation import Operation
from edgebci.export.c_operators import operations
from edgebci.features.front_end import FrontEnd
from edgebci.files import write_text

HERE = Path(__file__).resolve().parent
TARGETS = ("cortex-m4f",)
"""Cores for which the portable kernels are the ones to use."""
KERNELS = (
    *("edgebci_front_end.c", "edgebci_front_end.h", "edgebci_math.h"),
    *("edgebci_dense.h", "edgebci_kernels.c", "edgebci_kernels.h", "edgebci_mamba2.h"),
)
"""What every program has; the headers of other operators come with those that need them."""


def generate(int8_onnx_path: Path, front_end: FrontEnd, folder: Path, target: str = "cortex-m4f") -> list[Path]:
    """Write the device program into `folder`; returns its files.

    Raises:
        InputError: unknown target; a node without a kernel (all are listed); a graph whose input is not the front
            end's frame; a damaged file.
    """
    if target not in TARGETS:
        raise InputError(f"no C kernels for {target!r}, {nearest(target, list(TARGETS))}")
    graph = read_graph(int8_onnx_path)
    _check_frame(graph, front_end)
    context = _context(graph, front_end)
    texts = _rendered(context) | _kernels(context["headers"])
    paths = [folder / name for name in sorted(texts)]
    for path in paths:
        write_text(path, texts[path.name])
    return paths


def _kernels(headers: list[str]) -> dict[str, str]:
    names = sorted({*KERNELS, *headers})
    return {name: (HERE / "kernels" / name).read_text(encoding="utf-8") for name in names}


def _rendered(context: dict[str, Any]) -> dict[str, str]:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    names = sorted(path.name for path in (HERE / "templates").glob("*.j2"))
    return {name.removesuffix(".j2"): environment.get_template(name).render(context) for name in names}


def _context(graph: StepGraph, front_end: FrontEnd) -> dict[str, Any]:
    steps = operations(graph)
    _check_names(steps, graph)
    plan = plan_memory(steps, {graph.frame: "c->frame", graph.output: "c->output.values"})
    n_outputs, spec = size(graph.outputs[graph.output]), front_end.spec
    states = [_state(name, shape, graph.types[name]) for name, shape in graph.states.items()]
    state_fields = [(s["name"], f"state_{s['c_name']}", s["type"], str(s["size"])) for s in states]
    return {
        **configuration_context(front_end),
        **data_context(front_end),
        "operations": steps,
        "calls": [(step, _call(step, plan.places)) for step in steps],
        "headers": sorted({header for step in steps for header in step.headers}),
        "kernels": sorted({step.kernel for step in steps if step.kernel}),
        "slots": plan.slots,
        "states": states,
        "fields": [*FRONT_END_FIELDS, ("frame", "frame", "float32", str(front_end.n_features)), *state_fields],
        "n_outputs": n_outputs,
        "n_features": front_end.n_features,
        "rate_hz": f"{spec.rate_hz:g}",
        "frame_rate_hz": f"{spec.frame_rate_hz:g}",
    }


def _state(name: str, shape: Shape, kind: str) -> dict[str, Any]:
    c_type = C_TYPES[kind]
    return {
        "name": name,
        "c_name": identifier(name),
        "size": size(shape),
        "shape": list(shape),
        "type": kind,
        "c_type": c_type,
    }


def _call(step: Operation, places: dict[str, str]) -> str:
    return step.call.format(*(places[tensor] for tensor in step.reads), out=places[step.writes.tensor])


def _check_frame(graph: StepGraph, front_end: FrontEnd) -> None:
    expected = size(graph.inputs[graph.frame])
    if expected != front_end.n_features:
        raise InputError(
            f"the decoder takes {expected} features and the front end gives {front_end.n_features} "
            f"({front_end.n_channels} channels x {', '.join(front_end.spec.kinds)}); export both from one run"
        )


def _check_names(steps: list[Operation], graph: StepGraph) -> None:
    names = [step.c_name for step in steps if step.description] + [identifier(state) for state in graph.states]
    names += [constant.name for step in steps for constant in step.constants]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise InputError(f"two nodes or states get the C name {', '.join(twice)}; rename them in the ONNX graph")
