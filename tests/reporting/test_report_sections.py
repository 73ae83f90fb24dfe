"""What a report keeps for its pictures is a faithful excerpt."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.detection import auroc
from edgebci.reporting.sections import (
    CycleDistribution,
    ErrorSection,
    RocSection,
    ScatterSection,
    Traces,
    TraceSection,
    TransportSection,
)


def test_an_excerpt_of_traces_is_the_middle_of_the_test_part(traces: Traces) -> None:
    kept = TraceSection.of(traces, window_s=10.0).traces()
    start = int(np.flatnonzero(traces.times_s == kept.times_s[0])[0])
    assert len(kept.times_s) == 100
    assert kept.times_s.mean() == pytest.approx(traces.times_s.mean(), abs=0.2)
    for form, values in kept.decoded.items():
        # five digits are kept
        np.testing.assert_allclose(values, traces.decoded[form][start : start + 100], rtol=1e-4)


def test_points_of_a_scatter_are_pairs_of_the_same_frame(traces: Traces) -> None:
    scatter = ScatterSection.of("torch", traces.truth, traces.truth + 1, most=50)
    assert len(scatter.truth[0]) == 50
    np.testing.assert_allclose(np.array(scatter.decoded) - scatter.truth, 1.0, atol=1e-2)


def test_the_error_of_a_bin_is_that_of_its_scored_frames(traces: Traces) -> None:
    scored = np.ones(len(traces.truth), bool)
    scored[:200], scored[200:250] = False, False
    found = ErrorSection.of(traces, scored, n_bins=10)
    rows = slice(250, 400)  # what is scored of the second of ten bins of 200 frames
    error = (traces.decoded["torch"] - traces.truth)[rows, 1]
    assert found.rmse["torch"][1][0] is None
    assert found.rmse["torch"][1][1] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-4)
    assert len(found.times_s) == 10


def test_a_histogram_of_cycles_counts_every_step_even_if_all_are_equal() -> None:
    same = CycleDistribution.of(np.full(7, 500.0))
    assert (sum(same.counts), same.p50, same.worst) == (7, 500.0, 500.0)
    spread = CycleDistribution.of(np.arange(1000.0))
    assert sum(spread.counts) == 1000
    assert spread.edges[0] == 0
    assert spread.p50 < spread.p99 < spread.p999 < spread.worst == 999.0


def test_a_histogram_of_latency_counts_every_output_that_arrived() -> None:
    found = TransportSection.of(np.linspace(8, 16, 1001), n_lost=3, seconds=20, budget_ms=100)
    assert (sum(found.counts), found.n_lost) == (1001, 3)
    assert found.p50_ms == pytest.approx(12)
    assert found.worst_ms == 16
    assert found.edges_ms[0] == 0


@pytest.mark.parametrize("n", [300, 5000])
def test_the_area_under_the_curve_that_is_drawn_is_the_auroc_that_is_told(n: int) -> None:
    random = np.random.default_rng(0)
    inside = random.uniform(size=n) < 0.3
    given = random.normal(size=n) + inside
    curve = RocSection.of(inside, {"device": given})
    outside, found = np.array(curve.outside["device"]), np.array(curve.inside["device"])
    assert (np.diff(outside) >= 0).all()
    assert (np.diff(found) >= 0).all()
    assert (outside[0], found[0], outside[-1], found[-1]) == (0, 0, 1, 1)
    # Straight lines between at most 600 points lie a little below the staircase.
    assert np.trapezoid(found, outside) == pytest.approx(auroc(inside, given), abs=2e-3)
