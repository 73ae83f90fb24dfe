"""`edgebci bundle rewrite`: the float step of a bundle with operators that some runtimes have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows

if TYPE_CHECKING:
    from edgebci.export.chunk_verification import ChunkAgreement
    from edgebci.export.rewrites import RewriteRecord


def rewrite_bundle(
    bundle: Annotated[Path, typer.Argument(help="The folder that edgebci export wrote.")],
    names: Annotated[
        list[str],
        typer.Argument(
            help="com.microsoft.CausalConvWithState, com.microsoft.LinearAttention, or of opset 27 "
            "CausalConvWithState-27, LinearAttention-27."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The .onnx to write; the bundle stays as it is.")],
    steps: Annotated[int, typer.Option(min=10, help="Random steps over which each rewrite is verified.")] = 2000,
    chunk: Annotated[int, typer.Option(help="Write so many steps (1 to 64) as one run, the chunk form.")] = 1,
    json: JsonFlag = False,
) -> None:
    """Put fused operators in place of parts of the Mamba-2 step, each verified against the plain graph.

    A contrib operator is used only if the installed ONNX Runtime runs it as defined. What is not applied is named with
    the reason; where nothing could be applied, nothing is written (exit code 0).
    """
    from edgebci.pipeline.bundle_rewrite import rewrite_bundle as run

    found = run(bundle, names, out, steps, chunk)
    if json:
        print_json(found)
        return
    title = f"written: {found.graph}" if found.graph else "nothing was written"
    rows = [(record.name, _told(record)) for record in found.records]
    print_rows(title, rows + ([("chunk", _chunk_told(found.chunk))] if found.chunk else []))


def _chunk_told(chunk: ChunkAgreement) -> str:
    seen = {"ONNX Runtime": chunk.chunks, "reference evaluator": chunk.evaluator_chunks}
    where = ", ".join(f"{count:,} chunks in {name}" for name, count in seen.items() if count)
    return f"{chunk.n_steps} steps in one run, bit for bit those of single steps over {where}"


def _told(record: RewriteRecord) -> str:
    if not record.applied:
        return "; ".join(part for part in (f"not applied: {record.reason}", record.left) if part)
    seen = ", ".join(
        f"{form} {error:.1e} over {record.steps[form]:,} steps" for form, error in record.largest_error.items()
    )
    left = f"; {record.left}" if record.left else ""
    return f"{record.fused_nodes} nodes; largest relative error in {seen}; {record.runtime}{left}"
