"""Measures of alignment on representations whose relation is known, and their picture."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.reporting.alignment_figure import AlignmentCurve, AlignmentPanel, alignment_svg
from edgebci.training.crossmodal.alignment import analyse, averaged, linear_cka, mapped, mean_cosine, measure, retrieval

RNG = np.random.default_rng(0)
Y = RNG.standard_normal((400, 6)).astype(np.float32)
TURN = np.linalg.qr(RNG.standard_normal((6, 6)))[0]
X = (2 * Y @ TURN.T + 3).astype(np.float32)
OTHER = RNG.standard_normal((400, 6)).astype(np.float32)


def test_a_turned_copy_is_fully_aligned() -> None:
    point = measure((X[:200], Y[:200]), (X[200:], Y[200:]), n_channels=6, window_frames=1)
    # float32 inputs; the linear map is shrunk by its ridge of 1e-3 per mean variance.
    assert point.cka == pytest.approx(1, abs=1e-5)
    assert point.cosine_orthogonal == pytest.approx(1, abs=1e-5)
    assert point.cosine_linear == pytest.approx(1, abs=1e-4)
    assert point.top_1 == 1


def test_strangers_are_not_aligned_and_found_by_chance() -> None:
    point = measure((OTHER[:200], Y[:200]), (OTHER[200:], Y[200:]), n_channels=6, window_frames=1)
    assert abs(point.cka) < 0.1
    assert abs(point.cosine_linear) < 0.15
    # Chance is 0.005; six hits of 200 has a probability below 0.001.
    assert point.top_1 <= 0.03


def test_maps_learn_from_training_frames_only() -> None:
    before = mapped((X[:200].astype(float), Y[:200].astype(float)), X[200:300].astype(float), "linear")
    after = mapped((X[:200].astype(float), Y[:200].astype(float)), X[200:].astype(float), "linear")
    assert np.array_equal(before, after[:100])


def test_a_constant_view_is_never_retrieved() -> None:
    assert retrieval(np.ones((10, 3)), RNG.standard_normal((10, 3)), 1) <= 0.2
    assert retrieval(np.ones((10, 3)), np.ones((10, 3)), 5) == 0
    assert linear_cka(np.ones((10, 3)), RNG.standard_normal((10, 3))) == 0


def test_windows_are_averaged_and_the_rest_is_left_out() -> None:
    assert averaged(np.arange(7, dtype=np.float32)[:, None], 3)[:, 0].tolist() == [1.0, 4.0]
    assert mean_cosine(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])) == pytest.approx(np.sqrt(0.5))


def test_more_channels_align_better_in_the_analysis_and_in_its_picture() -> None:
    def views(channels: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        shown = np.zeros_like(X)
        shown[:, channels] = X[:, channels]
        return shown[:200], shown[200:]

    points = analyse(views, (Y[:200], Y[200:]), [np.arange(2), np.arange(6)], [1, 4])
    assert [(p.n_channels, p.window_frames) for p in points] == [(2, 1), (2, 4), (6, 1), (6, 4)]
    assert points[0].cosine_linear < points[2].cosine_linear
    curves = tuple(
        AlignmentCurve(f"{n} channels", (10.0, 40.0), tuple(p.cka for p in points if p.n_channels == n)) for n in (2, 6)
    )
    svg = alignment_svg([AlignmentPanel("CKA", curves, chance=(0.0, 0.1))])
    assert all(text in svg for text in ("2 channels", "6 channels", "chance", "CKA"))


def test_a_time_scale_longer_than_the_data_is_refused() -> None:
    with pytest.raises(InputError, match="shorter time scale"):
        measure((X[:200], Y[:200]), (X[200:], Y[200:]), n_channels=6, window_frames=150)


def test_strangers_have_no_kernel_alignment_even_with_fewer_windows_than_coordinates() -> None:
    rng = np.random.default_rng(2)
    found = [linear_cka(rng.standard_normal((20, 64)), rng.standard_normal((20, 64))) for _ in range(50)]
    # The plain estimate is 0.76 here; the mean of 50 unbiased ones has a standard error of 0.01.
    assert abs(np.mean(found)) < 0.05
    shared = rng.standard_normal((20, 64))
    assert linear_cka(shared, shared @ np.linalg.qr(rng.standard_normal((64, 64)))[0]) == pytest.approx(1)


def test_the_fast_criterion_is_the_one_of_whole_kernels() -> None:
    x, y = Y[:30].astype(float), OTHER[:30].astype(float) + 0.5 * Y[:30]

    def criterion(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        n, k, m = len(a), a @ a.T, b @ b.T
        np.fill_diagonal(k, 0)
        np.fill_diagonal(m, 0)
        return float(np.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ m).sum())

    expected = criterion(x, y) / np.sqrt(criterion(x, x) * criterion(y, y))
    # Kernels that are not centred give the same: the criterion does that.
    assert linear_cka(x, y) == pytest.approx(expected, rel=1e-9)
