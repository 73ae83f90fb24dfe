"""Targets at mean 0 and standard deviation 1 over a session's training frames: what supervised students regress."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgebci.errors import InputError
from edgebci.session import Session

F64 = NDArray[np.float64]


def standard_scale(session: Session) -> tuple[F64, F64]:
    """Mean and standard deviation of each target (D,) over training frames.

    Raises:
        InputError: a target is constant there.
    """
    trained = session.data.targets[session.data.rows("train")].astype(np.float64)
    mean, sd = trained.mean(axis=0), trained.std(axis=0)
    if not sd.all():
        name = session.data.target_names[int(np.argmin(sd))]
        raise InputError(
            f"the target {name!r} of session {session.name} is constant in training; choose one that varies"
        )
    return mean, sd


def standardised(sessions: Sequence[Session]) -> Tensor:
    """Targets of all sessions end to end (K, D), each on its own scale; NaN becomes 0."""
    targets = []
    for session in sessions:
        mean, sd = standard_scale(session)
        targets.append(torch.from_numpy(np.nan_to_num((session.data.targets - mean) / sd).astype(np.float32)))
    return torch.cat(targets)
