"""Splitting by time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgebci.errors import InputError
from edgebci.recordings import TimeSplit


@given(st.floats(0, 1e5), st.floats(20, 1e5), st.floats(0, 5))
def test_a_split_is_ordered_with_its_gaps_and_fills_the_rest_by_its_fractions(
    start_s: float, duration_s: float, gap_s: float
) -> None:
    parts = TimeSplit(gap_s=gap_s).intervals(start_s, start_s + duration_s)
    (a, b), (c, d), (e, f) = (parts[name] for name in ("train", "valid", "test"))
    usable_s = duration_s - 2 * gap_s
    # Times up to 2e5 s are sums of float64, good to about 1e-10 s.
    assert [a, f] == pytest.approx([start_s, start_s + duration_s], abs=1e-9)
    assert [c - b, e - d] == pytest.approx([gap_s, gap_s], abs=1e-9)
    assert [b - a, d - c, f - e] == pytest.approx([0.7 * usable_s, 0.1 * usable_s, 0.2 * usable_s], abs=1e-8)


def test_fractions_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValidationError, match="must add up to 1"):
        TimeSplit(train=0.5, valid=0.1, test=0.1)


def test_a_recording_too_short_for_its_gaps_is_refused() -> None:
    with pytest.raises(InputError, match="too short to split with two gaps of 2 s"):
        TimeSplit().intervals(0.0, 3.0)
