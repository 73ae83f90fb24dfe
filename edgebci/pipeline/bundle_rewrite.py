"""`edgebci bundle rewrite`: the float step of a bundle with fused operators, verified against the plain one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgebci.bundle import FLOAT_ONNX, open_bundle
from edgebci.decoder_float import F64, States
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.export.c_graph import STATE_SUFFIX
from edgebci.export.chunk_verification import ChunkAgreement
from edgebci.export.rewrites import RewriteRecord, rewrite, verify_rewritten_chunk
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.files import replacing
from edgebci.operators.cell import Tap
from edgebci.pipeline.bundle_kinds import manifest_of
from edgebci.pipeline.bundle_on_host import full_chunks
from edgebci.possm_bundle import open_possm_bundle

SEED, STEPS = 0, 2000


class RewrittenGraph(Document):
    """What was written, and what became of each rewrite."""

    graph: Path | None
    """None where no rewrite could be applied, and nothing was written."""
    records: tuple[RewriteRecord, ...]
    chunk: ChunkAgreement | None = None
    """Of the chunk form, where that was asked for and written."""


class PlainStep:
    """The plain float step in ONNX Runtime, as the reference of what is made of it."""

    def __init__(self, path: Path) -> None:
        self._runner = OnnxStepRunner(path)

    def initial_states(self) -> States:
        """All zero."""
        return {name: values.astype(np.float64) for name, values in self._runner.initial_states().items()}

    def run(self, frames: NDArray[Any], states: States, tap: Tap) -> tuple[F64, States]:
        """Frames (T, ...) that follow each other, to outputs (T, n_outputs) and the next states."""
        now = {name: values.astype(np.float32) for name, values in states.items()}
        outputs, seen = [], []
        for frame in frames:
            output, now = self._runner.step(frame, now)
            outputs.append(output)
            seen.append(now)
        for name in states:
            values = np.stack([after[name] for after in seen]).astype(np.float64)
            # Of a convolution's window the tap gets what a step computes, its newest column.
            tap(name + STATE_SUFFIX, values[..., -1] if name.startswith("conv.") else values)
        return np.stack(outputs).astype(np.float64), {name: values.astype(np.float64) for name, values in now.items()}


def rewrite_bundle(
    folder: Path, names: Sequence[str], out: Path, steps: int = STEPS, chunk_steps: int = 1
) -> RewrittenGraph:
    """Apply `names` to the bundle's float step and write the result to `out`; the bundle stays as it is.

    Verified after each over `steps` random frames with a reset, against the plain step. Where none can be applied, the
    records say why and nothing is written. With more than one of `chunk_steps` the result is that many steps in one
    run, which give the bits of the rewritten step.

    Raises:
        InputError: there is no bundle, an unknown rewrite or no length of a chunk.
        VerificationError: a rewritten graph computes something else; nothing is written.
    """
    kind, _ = manifest_of(folder)
    path = folder / FLOAT_ONNX
    if kind == "foreign" or not path.is_file():
        raise InputError(f"{folder} holds no float step of a decoder of this project to rewrite; export a checkpoint")
    if kind == "spikes":
        frames: NDArray[Any] = full_chunks(open_possm_bundle(folder).manifest.spec, steps).frames
    else:
        width = open_bundle(folder).manifest.spec.n_inputs
        frames = np.random.default_rng(SEED).standard_normal((steps, width)).astype(np.float32)
    resets = np.isin(np.arange(steps), (0, steps // 2))
    model, records = rewrite(onnx.load(path), names, PlainStep(path), frames, resets)
    if not any(record.applied for record in records):
        return RewrittenGraph(graph=None, records=records)
    chunk = None
    if chunk_steps != 1:
        model, chunk = verify_rewritten_chunk(model, chunk_steps, frames, resets)
    with replacing(out) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
    return RewrittenGraph(graph=out, records=records, chunk=chunk)
