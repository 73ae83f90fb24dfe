"""Windows of a recording of which stretches do not count, as where it was stimulated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebci.training.windows import LEAST_VALID, Starts, tiles, window_starts

LENGTH = 16
Cut = Callable[[list[tuple[int, int]], npt.NDArray[np.bool_]], Starts]


def drawn(intervals: list[tuple[int, int]], valid: npt.NDArray[np.bool_]) -> Starts:
    return window_starts(np.random.default_rng(3), intervals, LENGTH, valid)


def side_by_side(intervals: list[tuple[int, int]], valid: npt.NDArray[np.bool_]) -> Starts:
    return tiles(intervals, LENGTH, valid)


@pytest.mark.parametrize("cut", [drawn, side_by_side])
@given(flags=st.lists(st.booleans(), min_size=64, max_size=200))
def test_every_window_lies_in_its_interval_and_is_mostly_valid(cut: Cut, flags: list[bool]) -> None:
    valid, intervals = np.array(flags), [(3, 40), (41, len(flags))]
    starts = cut(intervals, valid)
    assert all(valid[k : k + LENGTH].sum() >= LEAST_VALID * LENGTH for k in starts)
    assert all(any(a <= k and k + LENGTH <= b for a, b in intervals) for k in starts)
    whole = cut(intervals, np.ones_like(valid))
    left_out = set(whole.tolist()) - set(starts.tolist())
    assert all(valid[k : k + LENGTH].sum() < LEAST_VALID * LENGTH for k in left_out)


def test_windows_of_a_recording_that_is_all_valid_are_those_of_the_seed() -> None:
    starts = drawn([(0, 100)], np.ones(100, dtype=bool))
    rng = np.random.default_rng(3)
    offset = int(rng.integers(0, LENGTH))
    expected = rng.permutation(np.arange(offset, 100 - LENGTH + 1, LENGTH))
    np.testing.assert_array_equal(starts, expected)


def test_an_offset_that_leaves_no_window_gives_way_to_windows_side_by_side() -> None:
    valid = np.zeros(2 * LENGTH, dtype=bool)
    valid[: LENGTH // 2] = True
    assert drawn([(0, 2 * LENGTH)], valid).tolist() == [0], "half of the first window counts, less of any later one"


@pytest.mark.parametrize("cut", [drawn, side_by_side])
def test_an_interval_that_does_not_count_has_no_windows(cut: Cut) -> None:
    assert cut([(0, 100)], np.zeros(100, dtype=bool)).size == 0
