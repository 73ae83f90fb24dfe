"""How alike spike and LFP representations are: CKA, cosine after a map, retrieval; over channels and time scales.

Maps are fitted on training frames and measured on later, contiguous test frames. X (T, d) LFP, Y (T, e) spikes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.decoding_data import Floats
from edgebci.documents import Document
from edgebci.errors import InputError

F64 = NDArray[np.float64]
_RIDGE = 1e-3
"""Of the linear map, of the mean variance: keeps it sane where frames are few."""


FEWEST_WINDOWS = 4


class AlignmentPoint(Document):
    """One number of channels at one time scale."""

    n_channels: int
    window_frames: int
    """Frames averaged before anything is measured."""
    n_windows: int
    cka: float
    cosine_orthogonal: float
    cosine_linear: float
    top_1: float
    top_k: float
    k: int
    chance_top_1: float


def linear_cka(x: F64, y: F64) -> float:
    """Linear centred kernel alignment (Kornblith et al. 2019, arXiv 1905.00414) of at least four rows: up to 1, and 0
    for a constant view.

    Without bias (Song et al. 2012, JMLR 13:1393; Nguyen et al. 2021, arXiv 2010.15327): with fewer rows than columns,
    the plain one is near 1 for strangers, and would rise with the time scale that rows are averaged over.
    """
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = _independence(x, x) * _independence(y, y)
    return float(_independence(x, y) / np.sqrt(scale)) if scale > 0 else 0.0


def _independence(x: F64, y: F64) -> float:
    """The unbiased Hilbert-Schmidt independence criterion of linear kernels, times n (n - 3), in O(n d e)."""
    n, own_x, own_y = len(x), (x * x).sum(axis=1), (y * y).sum(axis=1)
    rows_x, rows_y = x @ x.sum(axis=0) - own_x, y @ y.sum(axis=0) - own_y
    pairs = np.linalg.norm(x.T @ y) ** 2 - own_x @ own_y
    found = pairs + rows_x.sum() * rows_y.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (rows_x @ rows_y)
    return float(found)


def mapped(train: tuple[F64, F64], test: F64, kind: Literal["orthogonal", "linear"]) -> F64:
    """Map test X onto Y with what training pairs say, both centred on training means (T, e)."""
    x, y = (part - part.mean(axis=0) for part in train)
    moved = test - train[0].mean(axis=0)
    if kind == "orthogonal":
        left, _, right = np.linalg.svd(x.T @ y, full_matrices=False)
        return np.asarray(moved @ (left @ right))
    gram = x.T @ x
    penalty = _RIDGE * max(float(np.trace(gram)) / len(gram), np.finfo(float).tiny)
    return np.asarray(moved @ np.linalg.solve(gram + penalty * np.eye(len(gram)), x.T @ y))


def mean_cosine(x: F64, y: F64) -> float:
    """Mean over rows of the cosine."""
    return float((_unit(x) * _unit(y)).sum(axis=1).mean())


def retrieval(x: F64, y: F64, k: int) -> float:
    """Share of rows of X whose own row of Y is among the k nearest by cosine; ties count against."""
    similar = _unit(x) @ _unit(y).T
    own = np.diag(similar)[:, None]
    better = (similar >= own).sum(axis=1) - 1
    return float((better < k).mean())


def averaged(view: Floats, window_frames: int) -> F64:
    """Means over contiguous windows (T // w, d); a rest is left out."""
    count = len(view) // window_frames
    windows: F64 = view[: count * window_frames].astype(np.float64).reshape(count, window_frames, -1)
    means: F64 = windows.mean(axis=1)
    return means


def measure(
    train: tuple[Floats, Floats], test: tuple[Floats, Floats], n_channels: int, window_frames: int, k: int = 5
) -> AlignmentPoint:
    """Compare (LFP, spikes) views of contiguous training and test frames at one time scale.

    Raises:
        InputError: fewer than four windows in either part.
    """
    x, y = (averaged(view, window_frames) for view in train)
    x_test, y_test = (averaged(view, window_frames) for view in test)
    if min(len(x), len(x_test)) < FEWEST_WINDOWS:
        raise InputError(
            f"fewer than {FEWEST_WINDOWS} windows of {window_frames} frames in a part; choose a shorter time scale"
        )
    centred = y_test - y.mean(axis=0)
    turned, fitted = (mapped((x, y), x_test, kind) for kind in ("orthogonal", "linear"))
    return AlignmentPoint(
        n_channels=n_channels,
        window_frames=window_frames,
        n_windows=len(x_test),
        cka=linear_cka(x_test, y_test),
        cosine_orthogonal=mean_cosine(turned, centred),
        cosine_linear=mean_cosine(fitted, centred),
        top_1=retrieval(fitted, centred, 1),
        top_k=retrieval(fitted, centred, k),
        k=k,
        chance_top_1=1 / len(x_test),
    )


def analyse(
    lfp_views: Callable[[NDArray[np.int64]], tuple[Floats, Floats]],
    spike_views: tuple[Floats, Floats],
    channel_subsets: Sequence[NDArray[np.int64]],
    window_frames: Sequence[int],
) -> tuple[AlignmentPoint, ...]:
    """Measure at each subset of channels and each time scale.

    Args:
        lfp_views: gives the LFP's (training, test) views of a student that is shown only these channels.
        spike_views: the teacher's, of the same frames.
    """
    points = []
    for channels in channel_subsets:
        train, test = lfp_views(channels)
        pairs = (train, spike_views[0]), (test, spike_views[1])
        points += [measure(*pairs, n_channels=len(channels), window_frames=frames) for frames in window_frames]
    return tuple(points)


def _unit(x: F64) -> F64:
    unit: F64 = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(float).tiny)
    return unit
