"""What a frozen teacher says of every training and validation frame, computed once before a student is taught."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edgebci.errors import InputError
from edgebci.training.crossmodal.corpus import Corpus, Modality, device_of
from edgebci.training.crossmodal.spike_model import SpikeAutoencoder
from edgebci.training.windows import pieces

BATCH_WINDOWS = 32
LEAST_SPREAD = 1e-4
"""Of a coordinate: below it, what is left is rounding."""


def spikes_of(corpus: Corpus) -> Modality:
    """The corpus's spikes."""
    assert corpus.spikes is not None
    return corpus.spikes


@torch.no_grad()
def teacher_views(teacher: SpikeAutoencoder, corpus: Corpus) -> Tensor:
    """The teacher's vector of each frame (K, d) with nothing hidden; zero outside training and validation.

    The teacher looks both ways within windows side by side, as long as those that it learned from; the last of an
    interval is pushed back to fit.
    """
    views = torch.zeros(len(corpus.valid), teacher.encoder.width)
    device = device_of(teacher)
    for length, first in _windows(corpus, teacher.recipe.optimiser.window_frames):
        for starts in torch.split(first, BATCH_WINDOWS):
            index = starts[:, None] + torch.arange(length)
            windows = spikes_of(corpus).windows(index, corpus.session_of(starts.numpy()))
            views[index] = teacher.encoder(windows.to(device)).cpu()
    return views


def standardised_views(views: Tensor, corpus: Corpus) -> Tensor:
    """Views (K, d) at mean 0 and spread 1 in each coordinate, over each session's valid training frames."""
    scaled = views.clone()
    for i, session in enumerate(corpus.sessions):
        whole = slice(int(corpus.first[i]), int(corpus.first[i + 1]))
        trained = views[torch.from_numpy(session.data.rows("train") + int(corpus.first[i]))]
        scaled[whole] = (views[whole] - trained.mean(dim=0)) / trained.std(dim=0).clamp(min=LEAST_SPREAD)
    return scaled


def principal_views(views: Tensor, corpus: Corpus, count: int) -> Tensor:
    """The first principal components (K, count) of views (K, d), over the valid training frames of all sessions.

    Raises:
        InputError: there are fewer.
    """
    if count > views.shape[1]:
        raise InputError(
            f"teacher_components is {count} where the teacher has {views.shape[1]}; choose at most as many"
        )
    rows = [s.data.rows("train") + int(first) for first, s in zip(corpus.first, corpus.sessions, strict=False)]
    trained = views[torch.from_numpy(np.concatenate(rows))]
    mean = trained.mean(dim=0)
    _, axes = torch.linalg.eigh((trained - mean).T @ (trained - mean))
    components: Tensor = (views - mean) @ axes[:, -count:].flip(1)
    return components


def _windows(corpus: Corpus, window_frames: int) -> list[tuple[int, Tensor]]:
    """Length and first frames of all windows, by length: only an interval shorter than a window has a length of its
    own."""
    found: dict[int, list[int]] = {}
    for first, session in zip(corpus.first, corpus.sessions, strict=False):
        for part in ("train", "validation"):
            for start, stop in pieces(session.data, part):
                length = min(window_frames, stop - start)
                starts = [min(begin, stop - length) for begin in range(start, stop, length)]
                found.setdefault(length, []).extend(int(first) + begin for begin in starts)
    return [(length, torch.tensor(starts)) for length, starts in found.items()]
