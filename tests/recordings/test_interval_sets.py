"""Sets of intervals against a plain mask of integers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgebci.recordings.intervals import runs, total, union, where_at_least

SPAN = 40
Row = tuple[int, int]
rows = st.lists(
    st.tuples(st.integers(0, SPAN - 1), st.integers(1, 8)).map(lambda row: (row[0], min(SPAN, row[0] + row[1]))),
    max_size=8,
)


def mask_of(intervals: NDArray[np.float64]) -> NDArray[np.bool_]:
    mask = np.zeros(SPAN, dtype=bool)
    for start, stop in intervals.astype(int):
        mask[start:stop] = True
    return mask


def as_array(intervals: list[Row]) -> NDArray[np.float64]:
    return np.array(intervals, dtype=np.float64).reshape(-1, 2)


@given(rows, rows)
def test_union_covers_exactly_what_its_sets_cover(first: list[Row], second: list[Row]) -> None:
    merged = union([as_array(first), as_array(second)])
    expected = mask_of(as_array(first)) | mask_of(as_array(second))
    assert np.array_equal(mask_of(merged), expected)
    assert total(merged) == expected.sum()
    assert np.all(merged[1:, 0] > merged[:-1, 1])


@given(rows, st.integers(1, 5))
def test_joining_fills_exactly_the_gaps_that_are_short_enough(intervals: list[Row], gap: int) -> None:
    joined = union([as_array(intervals)], join_gap=gap)
    apart = joined[1:, 0] - joined[:-1, 1]
    assert np.all(apart > gap)
    filled = total(joined) - total(union([as_array(intervals)]))
    assert 0 <= filled <= gap * max(0, len(intervals) - 1)


@given(st.lists(rows, min_size=1, max_size=5), st.integers(1, 5))
def test_where_at_least_counts_the_sets_that_hold_at_once(sets: list[list[Row]], count: int) -> None:
    disjoint = [union([as_array(one)]) for one in sets]
    depth = np.sum([mask_of(one) for one in disjoint], axis=0)
    assert np.array_equal(mask_of(where_at_least(disjoint, count)), depth >= count)


@given(st.lists(st.booleans(), max_size=30))
def test_runs_rebuild_the_mask_that_they_came_from(values: list[bool]) -> None:
    mask = np.array(values, dtype=bool)
    rebuilt = np.zeros(len(mask), dtype=bool)
    for start, stop in runs(mask):
        assert not rebuilt[start:stop].any()
        rebuilt[start:stop] = True
    assert np.array_equal(rebuilt, mask)
