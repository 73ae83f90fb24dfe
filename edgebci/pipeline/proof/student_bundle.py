"""A bundle of the reference decoder with random weights, for proofs of speed and of robustness."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edgebci.bundle import Provenance
from edgebci.checkpoint import Checkpoint, TrainingRecord, save_checkpoint
from edgebci.edge_student import EdgeStudent, lfp_like_counts
from edgebci.example_decoder import random_parameters
from edgebci.export.bundle_writer import export_bundle
from edgebci.features.fitting import Portion, fit_front_end
from edgebci.features.stream import FeatureStream, Normalizer
from edgebci.files import sha256
from edgebci.frame_stream import FrameStream

FRAMES, SEED = 600, 1


def student_bundle(student: EdgeStudent, folder: Path) -> tuple[Path, Path]:
    """Write the bundle and the checkpoint that it was exported from into `folder`; returns both paths."""
    counts = lfp_like_counts(student, FRAMES, SEED)

    def portions() -> Iterable[Portion]:
        yield counts, np.zeros(len(counts), bool)

    front_end = fit_front_end(student.features, portions)
    z = Normalizer(front_end).push(FeatureStream(front_end.spec, front_end.good_channels).push(counts))
    frames = z.astype(np.float32)
    record = TrainingRecord(
        recipe={}, data_sha256={}, frame_rate_hz=student.features.frame_rate_hz, epochs_run=0, best_epoch=0, versions={}
    )
    checkpoint = Checkpoint(student.decoder, random_parameters(student.decoder, SEED), record)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "student.safetensors"
    save_checkpoint(path, checkpoint)
    # There is no behaviour to decode: the first features stand in for it.
    truth = frames[:, : student.decoder.n_outputs].astype(np.float64)
    stream = FrameStream(frames, np.arange(len(frames)) == 0, truth, np.ones(len(frames), bool))
    provenance = Provenance(
        recording="noise",
        recording_sha256=None,
        checkpoint_sha256=sha256(path),
        trials=None,
        test_intervals_s=((0.0, len(frames) / student.features.frame_rate_hz),),
    )
    return export_bundle(folder / "bundle", checkpoint, front_end, stream, stream, provenance).folder, path
