"""Widths of one trained decoder: the frontier of its precisions, and where its states hold in int8."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgebci.checkpoint import Checkpoint, load_checkpoint
from edgebci.export.decay_report import DecayReport, decay_report
from edgebci.export.settling import longest_stretch
from edgebci.files import write_text
from edgebci.pipeline.checkpoint_kind import kind_of, require_frames
from edgebci.pipeline.export_frames import ExportFrames, FrameSource, find_frames
from edgebci.pipeline.export_spikes import search_step
from edgebci.pipeline.precision_frontier import FRONTIER_JSON, FRONTIER_SVG, Frontier
from edgebci.pipeline.precision_losses import PrecisionLosses, precision_losses
from edgebci.pipeline.precision_scoring import Validation
from edgebci.pipeline.precision_search import DECAY_FRAMES, search
from edgebci.progress import Progress, part, silent


def search_checkpoint(
    path: Path, source: FrameSource, max_loss: float, out: Path | None = None, progress: Progress = silent
) -> Frontier:
    """Search the widths of a checkpoint on its own frames; writes `precision.json` and `precision.svg` into `out`.

    Raises:
        InputError: no checkpoint, no frames, or `max_loss` is not positive.
        VerificationError: every assignment loses more than `max_loss`.
    """
    if kind_of(path) == "spikes":
        frontier = search_step(path, source, max_loss, progress)
    else:
        checkpoint, frames = _opened(path, source, part(progress, 0.0, 0.1))
        frontier = search_frames(checkpoint, frames, max_loss, part(progress, 0.1, 1.0))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / FRONTIER_JSON, frontier.model_dump_json(indent=1) + "\n")
        write_text(out / FRONTIER_SVG, frontier.svg())
    return frontier


def search_frames(checkpoint: Checkpoint, frames: ExportFrames, max_loss: float, progress: Progress) -> Frontier:
    """What `edgebci export --precision mixed` does before it quantizes: train frames calibrate, validation decides."""
    validation = Validation.of(frames.prepared.data)
    return search(checkpoint.spec, checkpoint.parameters, frames.calibration, validation, max_loss, progress=progress)


def decay_of_checkpoint(path: Path, source: FrameSource, progress: Progress = silent) -> DecayReport:
    """The decay report of a checkpoint on its longest stretch of training frames.

    Raises:
        InputError: no checkpoint, or no frames.
    """
    checkpoint, frames = _opened(path, source, part(progress, 0.0, 0.1))
    stretch = longest_stretch(frames.calibration.frames, frames.calibration.reset_before)[:DECAY_FRAMES]
    return decay_report(checkpoint.spec, checkpoint.parameters, stretch, progress=part(progress, 0.1, 1.0))


def losses_of_checkpoint(path: Path, source: FrameSource, progress: Progress = silent) -> PrecisionLosses:
    """What each way to quantize a checkpoint loses on its validation frames.

    Raises:
        InputError: no checkpoint, or no frames.
    """
    checkpoint, frames = _opened(path, source, part(progress, 0.0, 0.1))
    validation = Validation.of(frames.prepared.data)
    return precision_losses(checkpoint, frames.calibration, validation, part(progress, 0.1, 1.0))


def _opened(path: Path, source: FrameSource, progress: Progress) -> tuple[Checkpoint, ExportFrames]:
    require_frames(path, "edgebci precision search and edgebci export take a decoder of spikes, too")
    checkpoint = load_checkpoint(path)
    with tempfile.TemporaryDirectory() as work:
        return checkpoint, find_frames(path, checkpoint, source, Path(work), progress)
