"""Writing the whole device program in C: from a quantized step graph and a front end to a folder of sources.

Generated: decoder.{h,c} (API, context, one call per ONNX node), weights.{h,c}, decoder_fields.c,
front_end_tables.h, edgebci_configuration.h. Copied: the hand-written arithmetic and kernels of `kernels/`. The result
is C99 without heap, libc or static memory; what it computes is, bit for bit, `DeviceFrontEnd` followed by
`QuantizedDecoder`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebci.device_reference import FrontEndForm
from edgebci.errors import InputError
from edgebci.export import c_front_end, c_front_end_fixed
from edgebci.export.c_graph import StepGraph, read_graph, size
from edgebci.export.c_parameters import TEMPLATES, parameters_context
from edgebci.export.c_program import graph_context, require_target, write_program
from edgebci.export.helium_kernels import HELIUM_CORES
from edgebci.features.front_end import FrontEnd
from edgebci.parameter_block import ParameterBlock

_FILES = (
    *("decoder.c", "decoder.h", "decoder_fields.c", "weights.c", "weights.h"),
    *("edgebci_configuration.h", "front_end_tables.h"),
)
_TEMPLATES = {name: f"{name}.j2" for name in _FILES}
_FIXED_TEMPLATES = _TEMPLATES | {"front_end_tables.h": "front_end_tables_fixed.h.j2"}
_KERNELS = ("edgebci_front_end.c", "edgebci_front_end.h", "edgebci_features.h")
_FIXED_KERNELS = ("edgebci_front_end_fixed.c", "edgebci_front_end_fixed.h", "edgebci_features.h", "edgebci_fixed.h")
STACK_BYTES, STACK_BYTES_PER_SAMPLE = 1024, 8
"""What the header promises for 32-bit Arm cores at -O2 and -O3: a test measures the peak and holds it to this. Filters
in fixed point have two numbers for every sample of a frame on the stack."""
HELIUM_STACK_BYTES = 768
"""More on a core with Helium: vectors that a call must keep, and sums of many rows."""


def generate(
    int8_onnx_path: Path,
    front_end: FrontEnd,
    folder: Path,
    target: str = "cortex-m4f",
    loadable: ParameterBlock | None = None,
    form: FrontEndForm = "float32",
) -> list[Path]:
    """Write the device program into `folder`; returns its files.

    With `loadable`, the bundle's own parameter block, the program has edgebci_load_parameters. `form` is that of the
    front end; what it computes is `device_reference.device_front_end` of the same form, bit for bit.

    Raises:
        InputError: unknown target; a node without a kernel (all are listed); a graph whose input is not the front
            end's frame; a damaged file.
    """
    require_target(target)
    graph = read_graph(int8_onnx_path)
    _check_frame(graph, front_end)
    context = _context(graph, front_end, form, target)
    templates, kernels = (_TEMPLATES, _KERNELS) if form == "float32" else (_FIXED_TEMPLATES, _FIXED_KERNELS)
    if loadable is None:
        return write_program(folder, context, templates, kernels)
    return write_program(folder, context | parameters_context(loadable), templates | TEMPLATES, kernels)


def _context(graph: StepGraph, front_end: FrontEnd, form: FrontEndForm, target: str) -> dict[str, Any]:
    of_graph, spec = graph_context(graph, "c->frame", target), front_end.spec
    of_form = c_front_end if form == "float32" else c_front_end_fixed
    frame = ("frame", "frame", "float32", str(front_end.n_features))
    return {
        **of_form.configuration_context(front_end),
        **of_form.data_context(front_end),
        **of_graph,
        "front_end_header": "edgebci_front_end.h" if form == "float32" else "edgebci_front_end_fixed.h",
        "fields": [*of_form.FRONT_END_FIELDS, frame, *of_graph["fields"]],
        "n_features": front_end.n_features,
        "stack_bytes": _stack_bytes(target, form, spec.samples_per_frame),
        "rate_hz": f"{spec.rate_hz:g}",
        "frame_rate_hz": f"{spec.frame_rate_hz:g}",
    }


def _stack_bytes(target: str, form: FrontEndForm, samples_per_frame: int) -> int:
    filters = STACK_BYTES_PER_SAMPLE * samples_per_frame if form == "fixed" else 0
    return STACK_BYTES + filters + (HELIUM_STACK_BYTES if target in HELIUM_CORES else 0)


def _check_frame(graph: StepGraph, front_end: FrontEnd) -> None:
    expected = size(graph.inputs[graph.frame])
    if expected != front_end.n_features:
        raise InputError(
            f"the decoder takes {expected} features and the front end gives {front_end.n_features} "
            f"({front_end.n_channels} channels x {', '.join(front_end.spec.kinds)}); export both from one run"
        )
