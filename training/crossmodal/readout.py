"""A linear readout of one session from a frozen student: zero-shot where the student never saw that session.

Ordinary least squares as published, or ridge with a penalty chosen on validation. Each interval is encoded by itself,
so that nothing outside it touches the readout.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgebci.checkpoint import Checkpoint, TrainingRecord, save_checkpoint
from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData, Floats, Interval, Part
from edgebci.errors import InputError
from edgebci.metrics import r2
from edgebci.session import Session
from edgebci.training.crossmodal.corpus import Modality
from edgebci.training.crossmodal.recipe import CausalBody
from edgebci.training.crossmodal.student_model import CausalEncoder, Student, patch_of
from edgebci.training.crossmodal.transformer import PatchEncoder
from edgebci.training.windows import pieces

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Readout:
    """outputs = view @ weight.T + bias, in the target's unit."""

    weight: Floats
    """(D, d)"""
    bias: Floats
    """(D,)"""
    penalty: float
    validation_r2: float
    """Mean over axes."""

    def __call__(self, view: Floats) -> Floats:
        """Decode views (T, d)."""
        return view @ self.weight.T + self.bias


def lfp_view(student: Student, session: Session, interval: Interval, window_frames: int) -> Floats:
    """The student's vector of each frame of an interval (T, d)."""
    modality = Modality([session.data.frames], [session.name], patch_of(student.recipe_body))
    return _view(student.body, modality, interval, window_frames)


def spike_view(encoder: PatchEncoder, session: Session, interval: Interval, window_frames: int) -> Floats:
    """The spike teacher's vector of each frame of an interval (T, d)."""
    modality = Modality([session.spike_counts()], [session.name], encoder.spec.tokens.patch)
    return _view(encoder, modality, interval, window_frames)


def fit_readout(student: Student, session: Session, penalties: tuple[float, ...], window_frames: int) -> Readout:
    """Fit to one session's training labels.

    Raises:
        InputError: no valid training or validation frame.
    """
    x, y = _labelled(student, session, "train", window_frames)
    x_held, y_held = _labelled(student, session, "validation", window_frames)
    candidates = [(_solved(x, y, penalty), penalty) for penalty in penalties]
    scores = [float(r2(y_held, x_held @ weight + bias).mean()) for (weight, bias), _ in candidates]
    best = int(np.argmax(scores))
    (weight, bias), penalty = candidates[best]
    return Readout(weight.T.astype(np.float32), bias.astype(np.float32), penalty, scores[best])


def save_deployable(path: Path, student: Student, readout: Readout, session: Session, record: TrainingRecord) -> None:
    """Write a causal student with a session's readout as the decoder that the exporter takes.

    Raises:
        InputError: the student looks both ways, or has more inputs than the session has channels.
    """
    if not isinstance(student.recipe_body, CausalBody) or not isinstance(student.body, CausalEncoder):
        raise InputError("the transformer student looks both ways in time; distil a mamba2 student to deploy")
    if session.data.frames.shape[1] != student.n_channels:
        raise InputError(
            f"session {session.name} has {session.data.frames.shape[1]} channels where the student has "
            f"{student.n_channels} inputs; deploy on a session with as many"
        )
    tensors = {name: value.numpy() for name, value in student.body.decoder.state_dict().items()}
    tensors |= {"readout.weight": readout.weight, "readout.bias": readout.bias}
    names = {"output_names": session.data.target_names, "output_unit": session.data.target_unit}
    spec = DecoderSpec.model_validate(student.body.decoder.spec.model_dump() | names)
    save_checkpoint(path, Checkpoint(spec, tensors, record))


@torch.no_grad()
def _view(encoder: torch.nn.Module, modality: Modality, interval: Interval, window_frames: int) -> Floats:
    """A causal student runs through; one that looks both ways sees windows, the last of them pushed back to fit."""
    start, stop = interval
    length = stop - start if isinstance(encoder, CausalEncoder) else min(window_frames, stop - start)
    views: list[Tensor] = []
    encoder.eval()
    for begin in range(start, stop, length):
        first = min(begin, stop - length)
        windows = modality.windows(torch.arange(first, first + length)[None], torch.zeros(1, dtype=torch.long))
        views.append(encoder(windows)[0, begin - first :])
    return torch.cat(views).numpy()


def _labelled(student: Student, session: Session, part: Part, window_frames: int) -> tuple[F64, F64]:
    data: DecodingData = session.data
    views = [(lfp_view(student, session, piece, window_frames), piece) for piece in pieces(data, part)]
    kept = [(view[data.valid[a:b]], data.targets[a:b][data.valid[a:b]]) for view, (a, b) in views]
    if not sum(len(view) for view, _ in kept):
        raise InputError(f"session {session.name} has no valid {part} frame; give {part} intervals")
    x, y = (np.concatenate([pair[i] for pair in kept]).astype(np.float64) for i in (0, 1))
    return x, y


def _solved(x: F64, y: F64, penalty: float) -> tuple[F64, F64]:
    """Weight (d, D) and bias (D,); columns that say nothing new get the smallest weights."""
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    xc, n = x - mean_x, len(x)
    gram = xc.T @ xc / n + penalty * np.eye(x.shape[1])
    weight = np.linalg.lstsq(gram, xc.T @ (y - mean_y) / n, rcond=None)[0]
    return weight, mean_y - mean_x @ weight
