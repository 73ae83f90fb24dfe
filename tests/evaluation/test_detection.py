"""Detection figures against their definitions, frame by frame and event by event."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebci import comparison
from edgebci.comparison import Verdict
from edgebci.detection import (
    AlarmRule,
    Detector,
    Events,
    alarms,
    auroc,
    balanced_accuracy,
    best_threshold,
    delays_s,
    false_alarms,
)
from edgebci.detection_score import compare_detection, score_detection
from edgebci.errors import InputError

RATE_HZ = 10.0
FRAMES = st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({row[0] for row in rows}) == 2
)
"""Inside or not, what the detector gave (with many ties), whether a stretch begins."""
RULES = st.builds(AlarmRule, refractory_s=st.sampled_from((0.0, 0.1, 0.5)), tolerance_s=st.sampled_from((0.0, 0.2)))


def unpack(rows: list[tuple[bool, int, bool]]) -> tuple[Events, np.ndarray]:
    inside, numbers, breaks = (np.array(column) for column in zip(*rows, strict=True))
    stretch = np.cumsum(breaks) - int(breaks[0])
    return Events(inside.astype(bool), stretch.astype(np.int64), RATE_HZ), numbers.astype(np.float64)


def events_one_by_one(events: Events) -> list[list[int]]:
    """Frames of each event whose first frame is seen."""
    found: list[list[int]] = []
    counted = False
    for t in range(len(events.inside)):
        new_stretch = t == 0 or events.stretch[t] != events.stretch[t - 1]
        if events.inside[t]:
            begins = not new_stretch and not events.inside[t - 1]
            if begins:
                found.append([t])
            elif counted and not new_stretch:
                found[-1].append(t)
            counted = begins or (counted and not new_stretch)
        else:
            counted = False
    return found


def is_excused(events: Events, t: int, tolerance: int) -> bool:
    return any(events.inside[u] and events.stretch[u] == events.stretch[t] for u in range(max(t - tolerance, 0), t + 1))


@given(FRAMES)
@settings(max_examples=60)
def test_auroc_is_the_share_of_pairs_that_are_in_order_and_ties_count_half(rows: list[tuple[bool, int, bool]]) -> None:
    events, numbers = unpack(rows)
    inside, outside = numbers[events.inside], numbers[~events.inside]
    pairs = [(a > b) + 0.5 * (a == b) for a in inside for b in outside]
    assert auroc(events.inside, numbers) == pytest.approx(np.mean(pairs))


@given(FRAMES)
@settings(max_examples=60)
def test_no_threshold_is_better_than_the_best(rows: list[tuple[bool, int, bool]]) -> None:
    events, numbers = unpack(rows)
    best = best_threshold(events.inside, numbers)
    tried = {value: balanced_accuracy(events.inside, numbers >= value) for value in np.unique(numbers)}
    assert tried[best] == pytest.approx(max(tried.values()))


@given(FRAMES)
@settings(max_examples=60)
def test_events_are_runs_whose_beginning_is_seen(rows: list[tuple[bool, int, bool]]) -> None:
    events, _ = unpack(rows)
    assert [list(range(*run)) for run in events.runs()] == events_one_by_one(events)


@given(FRAMES, RULES)
@settings(max_examples=60)
def test_the_delay_is_counted_from_the_first_frame_of_an_event(
    rows: list[tuple[bool, int, bool]], rule: AlarmRule
) -> None:
    events, numbers = unpack(rows)
    on, tolerance, wanted = numbers >= 2, round(rule.tolerance_s * RATE_HZ), []
    for frames in events_one_by_one(events):
        allowed = list(frames)
        for t in range(frames[-1] + 1, min(frames[-1] + 1 + tolerance, len(on))):
            if events.inside[t] or events.stretch[t] != events.stretch[frames[0]]:
                break
            allowed.append(t)
        hits = [t for t in allowed if on[t]]
        wanted.append((hits[0] - frames[0]) / RATE_HZ if hits else np.nan)
    np.testing.assert_allclose(delays_s(events, on, rule), wanted)


@given(FRAMES, RULES)
@settings(max_examples=60)
def test_an_alarm_is_false_where_no_event_is_or_just_was(rows: list[tuple[bool, int, bool]], rule: AlarmRule) -> None:
    events, numbers = unpack(rows)
    on, last, given_at, false = numbers >= 2, -np.inf, [], []
    for t in range(len(on)):
        if t and events.stretch[t] != events.stretch[t - 1]:
            last = -np.inf
        if on[t] and (t - last) / RATE_HZ >= rule.refractory_s - 1e-9:
            given_at.append(t)
            last = t
            if not is_excused(events, t, round(rule.tolerance_s * RATE_HZ)):
                false.append(t)
    assert alarms(events, on, rule.refractory_s).tolist() == given_at
    assert false_alarms(events, on, rule).tolist() == false


def bursts(seconds: float, seed: int) -> tuple[Events, np.random.Generator]:
    random = np.random.default_rng(seed)
    inside = np.zeros(int(seconds * RATE_HZ), dtype=bool)
    for start in random.integers(1, len(inside) - 10, len(inside) // 40):
        inside[start : start + 8] = True
    return Events.of(inside, np.arange(len(inside)) / RATE_HZ, RATE_HZ), random


def given_by(events: Events, random: np.random.Generator, strength: float, late_frames: int = 0) -> np.ndarray:
    seen = np.roll(events.inside, late_frames).astype(np.float64)
    return strength * seen + random.normal(size=len(seen))


def test_a_perfect_detector_scores_one_with_no_delay_and_no_false_alarm() -> None:
    events, _ = bursts(400, 0)
    found = score_detection(events, [Detector(events.inside.astype(np.float64), 0.5)], AlarmRule())
    assert found.auroc.value == found.auroc.low == found.balanced_accuracy.value == 1.0
    assert found.detected_fraction is not None
    assert found.delay_median_s is not None
    assert (found.detected_fraction.value, found.delay_median_s.value, found.false_alarms_per_hour.value) == (1, 0, 0)


def test_a_detector_that_is_late_by_three_frames_has_that_delay() -> None:
    events, random = bursts(400, 1)
    late = given_by(events, random, 100.0, late_frames=3)
    found = score_detection(events, [Detector(late, 50.0)], AlarmRule(tolerance_s=0.0))
    assert found.delay_median_s is not None
    assert found.delay_median_s.value == pytest.approx(0.3)


def test_a_detector_that_never_speaks_has_no_delay_and_half_the_balanced_accuracy() -> None:
    events, random = bursts(400, 2)
    found = score_detection(events, [Detector(random.normal(size=len(events.inside)), 99.0)], AlarmRule())
    assert found.delay_median_s is None
    assert found.delay_quantiles_s is None
    assert found.balanced_accuracy.value == 0.5


def test_the_interval_of_auroc_covers_the_truth_about_as_often_as_it_says() -> None:
    # A normal detector of strength 1 has AUROC Phi(1 / sqrt 2) = 0.760. 40 draws at 95 %: under 32 has odds of 1e-4.
    covered = 0
    for seed in range(40):
        events, random = bursts(300, 100 + seed)
        found = score_detection(events, [Detector(given_by(events, random, 1.0), 0.5)], AlarmRule(), seed=seed)
        covered += found.auroc.low <= 0.760 <= found.auroc.high
    assert covered >= 32


def test_a_stronger_detector_is_superior_a_weaker_inferior_and_the_same_neither() -> None:
    events, random = bursts(600, 3)
    weak, strong = given_by(events, random, 0.5), given_by(events, random, 1.5)
    assert compare_detection(events, [strong], [weak], 0.02).verdict is Verdict.SUPERIOR
    assert compare_detection(events, [weak], [strong], 0.02).verdict is Verdict.INFERIOR
    same = compare_detection(events, [weak], [weak], 0.02)
    assert same.difference.value == same.difference.low == same.difference.high == 0.0


def test_the_difference_is_that_of_the_two_areas() -> None:
    events, random = bursts(400, 4)
    one, other = given_by(events, random, 0.5), np.round(given_by(events, random, 1.0))
    wanted = auroc(events.inside, other) - auroc(events.inside, one)
    assert compare_detection(events, [other], [one], 0.02).difference.value == pytest.approx(wanted)


def test_too_little_time_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "REPLICATES", 100)
    events, random = bursts(100, 5)
    found = compare_detection(events, [given_by(events, random, 2.0)], [given_by(events, random, 0.1)], 0.02)
    assert found.verdict is Verdict.CANNOT_TELL


def test_frames_without_an_event_are_refused() -> None:
    with pytest.raises(InputError, match="every frame to be scored is outside an event"):
        Events(np.zeros(5, dtype=bool), np.zeros(5, dtype=np.int64), RATE_HZ)
