"""The check of a gain: sure where only the gain differs, silent where only the bits do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from edgebci.gating_baseline import Predictions, open_baseline
from edgebci.gating_limits import GateConfig, Outcome
from edgebci.gating_result import GateResult
from edgebci.metrics import F64, r2
from edgebci.pipeline.configuration import ComparisonConfig
from edgebci.pipeline.gating.acceptance import accept
from edgebci.pipeline.gating.candidate import Candidate
from edgebci.pipeline.gating.decision import gate
from edgebci.pipeline.gating.gain import Gains, gain_changes

RATE_HZ, FORM = 50.0, "device"


def trace(seed: int, minutes: float = 10) -> F64:
    white = np.random.default_rng(seed).standard_normal((round(minutes * 3000), 2))
    return np.asarray(lfilter([np.sqrt(1 - 0.95**2)], [1, -0.95], white, axis=0))


def shrunken(truth: F64, seed: int, own: float = 0.6) -> F64:
    """A decoder that undershoots: of the truth, `own`, and errors of its own."""
    return own * truth + 0.3 * trace(seed, len(truth) / 3000)


def test_a_pure_gain_is_known_for_certain_and_an_offset_is_none() -> None:
    one = shrunken(trace(0), 1)
    found = gain_changes(one, 0.9 * one + 3, RATE_HZ)
    assert np.exp(found.change[0]) == pytest.approx([0.9, 0.9], rel=1e-9)
    assert (found.standard_error == 0).all()
    assert found.p_beyond(0.05).tolist() == [[0.0, 0.0]]
    assert found.p_beyond(0.12).tolist() == [[1.0, 1.0]]


def test_the_standard_error_is_the_spread_over_test_parts() -> None:
    """Against other test parts of the same length, of which none knows the others."""
    found = [gain_changes(one := trace(seed), one + 0.3 * trace(1000 + seed), RATE_HZ) for seed in range(60)]
    spread = np.std([each.change[0] for each in found])
    # 120 values know a standard deviation to 6.5 %; the widest of three block lengths is up to a third too wide.
    assert 0.85 * spread < np.mean([each.standard_error for each in found]) < 1.4 * spread


def test_a_gain_just_at_the_limit_is_refused_no_more_often_than_the_level_says() -> None:
    level, refused = 0.05, 0
    for seed in range(100):
        one = trace(2 * seed)
        # Noise of another moment widens the trace a little, so that on average it is just 5 % larger.
        other = one * np.sqrt(1.05**2 - 0.04) + 0.2 * trace(2 * seed + 1)
        refused += int((gain_changes(one, other, RATE_HZ).p_beyond(0.05)[0, 0]) < level)
    # Binomial(100, 0.05) exceeds 11 with a chance of 0.4 %.
    assert refused <= 11


def test_a_trace_that_stands_still_has_a_gain_all_the_same() -> None:
    one = shrunken(trace(0), 1)
    still = gain_changes(np.zeros_like(one), np.zeros_like(one), RATE_HZ)
    assert still.p_beyond(0.05).min() == 1
    assert (gain_changes(one, np.zeros_like(one), RATE_HZ).change < -10).all()


def test_few_blocks_say_nothing_of_a_gain_with_noise() -> None:
    found = Gains(np.array([[0.2]]), np.array([[0.01]]), np.array([[9.0]]), np.array([29]))
    assert found.p_beyond(0.05).item() == 1
    assert replace(found, n_blocks=np.array([30])).p_beyond(0.05).item() < 1e-4


def decided(folder: Path, truth: F64, before: F64, after: F64, task: str = "regression") -> GateResult:
    axes, times = ("x", "y")[: truth.shape[1]], np.arange(len(truth)) / RATE_HZ
    sides = [Predictions(task, RATE_HZ, axes, times, truth, {FORM: one[None]}) for one in (before, after)]  # type: ignore[arg-type]
    accept(folder / "baseline.json", Candidate("a test", sides[0]), "a test", keep_bundle=False)
    limits = GateConfig(artefacts=(FORM,))
    return gate(open_baseline(folder / "baseline.json", ""), Candidate("a test", sides[1]), limits, ComparisonConfig())


def test_a_loss_by_a_gain_that_ten_minutes_of_losses_can_not_tell_is_found_by_the_gain(tmp_path: Path) -> None:
    truth = trace(0)
    before = shrunken(truth, 1, own=0.9)
    after = 0.93 * before
    assert (r2(truth, after) < r2(truth, before)).all()
    result = decided(tmp_path, truth, before, after)
    assert result.decision is Outcome.FAIL
    assert {check.name for check in result.of(Outcome.FAIL)} >= {"device, x: gain", "device, y: gain"}
    assert "0.9300 of the baseline's" in result.of(Outcome.FAIL)[-1].sentence


def test_a_gain_that_makes_the_decoder_better_is_let_through_and_said(tmp_path: Path) -> None:
    truth = trace(0)
    before = shrunken(truth, 1)
    result = decided(tmp_path, truth, before, 1.3 * before)
    assert result.decision is Outcome.PASS
    assert sum("and R² did not fall" in check.sentence for check in result.checks) == 2


def test_a_detector_has_no_gain_to_be_checked(tmp_path: Path) -> None:
    inside = ((np.arange(30_000) // 200) % 5 == 0).astype(float)[:, None]
    score = inside + np.random.default_rng(0).standard_normal(inside.shape)
    result = decided(tmp_path, inside, score, 0.5 * score, "detection")
    assert [check.name for check in result.checks] == ["device, x"]
    assert result.decision is Outcome.PASS
