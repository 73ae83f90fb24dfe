"""A linear readout of a frozen encoder: zero-shot where the encoder never saw the session that is decoded.

Ordinary least squares as published, or ridge with a penalty chosen on validation. Each interval is encoded by itself,
so that nothing outside it touches the readout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgebci.decoding_data import Floats, Interval, Part
from edgebci.errors import InputError
from edgebci.metrics import r2
from edgebci.session import Session
from edgebci.training.crossmodal.corpus import Modality, device_of
from edgebci.training.crossmodal.spike_model import SpikeAutoencoder
from edgebci.training.crossmodal.standardised import standard_scale
from edgebci.training.crossmodal.student_model import CausalEncoder, Student, patch_of
from edgebci.training.windows import pieces

F64 = NDArray[np.float64]
View = Callable[[Session, Interval], Floats]
"""Gives an encoder's vector of each frame of an interval (T, d)."""


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


def lfp_view(student: Student, window_frames: int) -> View:
    """What a student makes of a session's LFP; one that looks both ways sees it in windows."""

    def view(session: Session, interval: Interval) -> Floats:
        modality = Modality([session.data.frames], [session.name], patch_of(student.recipe_body))
        return _encoded(student.body, modality, interval, window_frames)

    return view


def spike_view(teacher: SpikeAutoencoder) -> View:
    """What a spike teacher makes of a session's spikes, in windows as long as those that it learned from."""
    encoder, window_frames = teacher.encoder, teacher.recipe.optimiser.window_frames

    def view(session: Session, interval: Interval) -> Floats:
        modality = Modality([session.spike_counts()], [session.name], encoder.spec.tokens.patch)
        return _encoded(encoder, modality, interval, window_frames)

    return view


def fit_readout(view: View, sessions: Sequence[Session], penalties: tuple[float, ...]) -> Readout:
    """Fit to the training labels of one session, or of several that share a readout.

    A readout of the sessions that taught a student decodes another one with no label of its own: the strict form of
    zero-shot. The published form fits the readout to the new session.

    Raises:
        InputError: no valid training or validation frame.
    """
    x, y = _labelled(view, sessions, "train")
    x_held, y_held = _labelled(view, sessions, "validation")
    candidates = [(_solved(x, y, penalty), penalty) for penalty in penalties]
    scores = [float(r2(y_held, x_held @ weight + bias).mean()) for (weight, bias), _ in candidates]
    best = int(np.argmax(scores))
    (weight, bias), penalty = candidates[best]
    return Readout(weight.T.astype(np.float32), bias.astype(np.float32), penalty, scores[best])


def own_readout(student: Student, sessions: Sequence[Session], window_frames: int) -> Readout:
    """The head of a student that learned behaviour, in the unit of these sessions' targets: mean and spread are theirs.

    Raises:
        InputError: the student learned to rebuild frames, so its head decodes no behaviour.
    """
    if student.task != "behaviour":
        raise InputError('the student rebuilds frames; fit a readout, or distil with task = "behaviour"')
    scales = [standard_scale(session) for session in sessions]
    mean, sd = (np.mean([scale[i] for scale in scales], axis=0) for i in (0, 1))
    weight = student.head.weight.detach().cpu().numpy() * sd[:, None]
    bias = student.head.bias.detach().cpu().numpy() * sd + mean
    x, y = _labelled(lfp_view(student, window_frames), sessions, "validation")
    score = float(r2(y, x @ weight.T + bias).mean())
    return Readout(weight.astype(np.float32), bias.astype(np.float32), 0.0, score)


def decode(view: View, readout: Readout, session: Session) -> Floats:
    """Decode a whole session (K, D), anew wherever the front end began anew."""
    segments = session.data.segments(0, len(session.data.frames))
    return readout(np.concatenate([view(session, segment) for segment in segments]))


@torch.no_grad()
def _encoded(encoder: torch.nn.Module, modality: Modality, interval: Interval, window_frames: int) -> Floats:
    """A causal student runs through; one that looks both ways sees windows, the last of them pushed back to fit."""
    start, stop = interval
    length = stop - start if isinstance(encoder, CausalEncoder) else min(window_frames, stop - start)
    views: list[Tensor] = []
    encoder.eval()
    device = device_of(encoder)
    for begin in range(start, stop, length):
        first = min(begin, stop - length)
        windows = modality.windows(torch.arange(first, first + length)[None], torch.zeros(1, dtype=torch.long))
        views.append(encoder(windows.to(device))[0, begin - first :].cpu())
    return torch.cat(views).numpy()


def _labelled(view: View, sessions: Sequence[Session], part: Part) -> tuple[F64, F64]:
    kept = []
    for session in sessions:
        data = session.data
        for start, stop in pieces(data, part):
            valid = data.valid[start:stop]
            kept.append((view(session, (start, stop))[valid], data.targets[start:stop][valid]))
    if not sum(len(seen) for seen, _ in kept):
        raise InputError(f"no valid {part} frame in {len(sessions)} sessions; give {part} intervals")
    x, y = (np.concatenate([pair[i] for pair in kept]).astype(np.float64) for i in (0, 1))
    return x, y


def _solved(x: F64, y: F64, penalty: float) -> tuple[F64, F64]:
    """Weight (d, D) and bias (D,); columns that say nothing new get the smallest weights."""
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    xc, n = x - mean_x, len(x)
    gram = xc.T @ xc / n + penalty * np.eye(x.shape[1])
    weight = np.linalg.lstsq(gram, xc.T @ (y - mean_y) / n, rcond=None)[0]
    return weight, mean_y - mean_x @ weight
