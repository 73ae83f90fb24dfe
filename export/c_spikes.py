"""Writing the device program of a decoder of spikes: tokens in, collected chunk by chunk, and no front end.

What it computes is, bit for bit, `QuantizedPossmStep`. Spikes beyond the fixed maximum of a chunk overwrite its oldest
ones; they are counted, by chunk in the output and since power-on in the context.
"""

from __future__ import annotations

from pathlib import Path

from edgebci.errors import InputError
from edgebci.export.c_graph import read_graph
from edgebci.export.c_program import graph_context, require_target, write_program
from edgebci.possm_spec import PossmStepSpec

_TEMPLATES = {
    "decoder.c": "spike_decoder.c.j2",
    "decoder.h": "spike_decoder.h.j2",
    "decoder_fields.c": "decoder_fields.c.j2",
    "weights.c": "weights.c.j2",
    "weights.h": "weights.h.j2",
}
_COUNTERS = [(name, name, "uint32", "1") for name in ("spikes", "dropped")]


def generate_spike_program(
    int8_onnx_path: Path, spec: PossmStepSpec, folder: Path, target: str = "cortex-m4f"
) -> list[Path]:
    """Write the device program into `folder`; returns its files.

    Raises:
        InputError: unknown target; a node without a kernel (all are listed); a graph of another size than `spec`; a
            damaged file.
    """
    require_target(target)
    graph = read_graph(int8_onnx_path)
    found, wanted = graph.inputs[graph.frame], (spec.max_tokens, 2)
    if found != wanted:
        raise InputError(f"the graph takes frames {found} where the decoder of spikes has {wanted}; export both anew")
    of_graph = graph_context(graph, "c->tokens", target)
    context = {
        **of_graph,
        "fields": [*_COUNTERS, *of_graph["fields"]],
        "n_units": spec.n_units,
        "n_time_steps": spec.n_time_steps,
        "max_tokens": spec.max_tokens,
        "chunk_ms": f"{1e3 * spec.chunk_s:g}",
    }
    return write_program(folder, context, _TEMPLATES, ())
