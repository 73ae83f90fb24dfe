"""Comparisons over subjects: the subject is what is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.comparison import Verdict
from edgebci.errors import InputError
from edgebci.hierarchical import PairedSession, compare_over_subjects

RATE_HZ, FRAMES = 10.0, 1200


def session(rng: np.random.Generator, subject: int, number: int, noise: tuple[float, float]) -> PairedSession:
    """Two axes of truth, decoded twice by either decoder with white errors of these standard deviations."""
    truth = rng.normal(size=(FRAMES, 2))
    candidate, reference = (tuple(truth + sd * rng.normal(size=truth.shape) for _ in range(2)) for sd in noise)
    return PairedSession(f"s{subject}", f"{subject}-{number}", truth, candidate, reference, RATE_HZ)


def study(noise_of: dict[int, tuple[float, float]], n_sessions: int = 3) -> list[PairedSession]:
    rng = np.random.default_rng(0)
    return [session(rng, subject, k, noise) for subject, noise in noise_of.items() for k in range(n_sessions)]


def test_a_gain_in_every_subject_is_superior() -> None:
    result = compare_over_subjects(study(dict.fromkeys(range(6), (0.5, 0.6))), margin=0.02)
    assert result.verdict is Verdict.SUPERIOR
    # White errors: R2 is 1 - sd^2, so the gain is 0.36 - 0.25; 18 sessions of 2400 values leave about 0.003.
    assert result.difference.value == pytest.approx(0.11, abs=0.01)
    assert result.candidate_r2 == pytest.approx(0.75, abs=0.01)
    assert (result.n_subjects, result.n_sessions, result.n_seeds) == (6, 18, 2)


def test_a_gain_in_half_of_the_subjects_is_not_superior() -> None:
    noise = {i: (0.5, 0.6) if i % 2 else (0.6, 0.5) for i in range(6)}
    result = compare_over_subjects(study(noise), margin=0.02)
    assert result.verdict is Verdict.CANNOT_TELL
    assert result.difference.low < -0.05
    assert result.difference.high > 0.05


def test_the_same_errors_are_non_inferior_at_a_margin() -> None:
    same = [
        PairedSession(s.subject, s.session, s.truth, s.candidates, s.candidates, s.rate_hz)
        for s in study(dict.fromkeys(range(6), (0.5, 0.5)))
    ]
    result = compare_over_subjects(same, margin=0.02)
    assert result.verdict is Verdict.NON_INFERIOR
    assert result.difference.value == 0.0


def test_five_subjects_give_no_verdict_however_clear_the_gain() -> None:
    result = compare_over_subjects(study(dict.fromkeys(range(5), (0.1, 0.9))), margin=0.02)
    assert result.verdict is Verdict.CANNOT_TELL
    assert "5 subjects" in result.reason


def test_sessions_of_one_subject_count_as_one_subject() -> None:
    """One subject with many sessions of gain does not outvote five without."""
    noise = {0: (0.3, 0.9)} | dict.fromkeys(range(1, 6), (0.6, 0.6))
    few = compare_over_subjects(study(noise), margin=0.02)
    rng = np.random.default_rng(1)
    more = study(noise) + [session(rng, 0, 10 + k, (0.3, 0.9)) for k in range(6)]
    many = compare_over_subjects(more, margin=0.02)
    # The gain of subject 0 is 0.72, a sixth of it is 0.12, whatever the number of its sessions.
    assert few.difference.value == pytest.approx(0.12, abs=0.01)
    assert many.difference.value == pytest.approx(0.12, abs=0.01)


def test_a_session_without_movement_is_named() -> None:
    still = np.zeros((FRAMES, 2))
    resting = PairedSession("s0", "monday", still, (still,), (still,), RATE_HZ)
    with pytest.raises(InputError, match="target of monday is constant"):
        compare_over_subjects([resting], margin=0.02)


def test_a_session_that_rests_for_half_of_its_test_part_has_an_interval() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(FRAMES, 2)) * (np.arange(FRAMES) < FRAMES // 8)[:, None]
    good, poor = (tuple(truth + sd * rng.normal(size=truth.shape) for _ in range(2)) for sd in (0.1, 0.2))
    result = compare_over_subjects([PairedSession("s0", "a", truth, good, poor, RATE_HZ)], margin=0.02)
    assert np.isfinite([result.difference.low, result.difference.value, result.difference.high]).all()


def test_the_same_seed_gives_the_same_interval() -> None:
    sessions = study(dict.fromkeys(range(6), (0.5, 0.6)), n_sessions=1)
    assert compare_over_subjects(sessions, 0.02, seed=3) == compare_over_subjects(sessions, 0.02, seed=3)
    assert compare_over_subjects(sessions, 0.02, seed=3) != compare_over_subjects(sessions, 0.02, seed=4)
