"""Ranges are carried exactly through a formula, and the widest input is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebci.firmware_sim.uncertainty import Pick, estimate
from edgebci.quantity import Quantity


def _quantity(low: float, typical: float, high: float) -> Quantity:
    return Quantity(low=low, typical=typical, high=high, unit="1", source="a test", evidence_class="assumed")


@st.composite
def ranges(draw: st.DrawFn) -> Quantity:
    low, typical, high = sorted(draw(st.tuples(*[st.floats(0.1, 1e3)] * 3)))
    return _quantity(low, typical, high)


@given(ranges(), ranges(), ranges(), st.tuples(*[st.floats(0, 1)] * 3))
def test_values_inside_the_ranges_stay_inside_the_estimate(
    a: Quantity, b: Quantity, c: Quantity, where: tuple[float, float, float]
) -> None:
    def formula(pick: Pick) -> float:
        return pick(a) * pick(b) / (pick(c) + pick(a))

    result = estimate(formula, "1", {id(a): "a", id(b): "b", id(c): "c"})
    inside = {id(q): q.low + share * (q.high - q.low) for q, share in zip((a, b, c), where, strict=True)}
    value = formula(lambda q: inside[id(q)])
    # 1e-12: rounding of the interpolation and of the three operations.
    assert result.low * (1 - 1e-12) <= value <= result.high * (1 + 1e-12)
    assert result.low <= result.typical <= result.high


def test_an_input_that_stands_twice_is_varied_once() -> None:
    a = _quantity(1, 2, 3)
    result = estimate(lambda pick: pick(a) / (pick(a) + 1), "1", {id(a): "a"})
    assert (result.low, result.typical, result.high) == (1 / 2, 2 / 3, 3 / 4)


def test_the_input_that_spreads_the_result_most_comes_first() -> None:
    narrow, wide, fixed = _quantity(9, 10, 11), _quantity(1, 10, 19), _quantity(5, 5, 5)
    names = {id(narrow): "narrow", id(wide): "wide", id(fixed): "fixed"}
    result = estimate(lambda pick: pick(narrow) + pick(wide) + pick(fixed), "1", names)
    assert [influence.input for influence in result.inputs] == ["wide", "narrow", "fixed"]
    assert result.dominated_by is not None
    assert result.dominated_by.input == "wide"
    assert result.dominated_by.share == pytest.approx(18 / 20)
    assert sum(influence.share for influence in result.inputs) == pytest.approx(1.0)


def test_a_result_without_ranges_is_dominated_by_nothing() -> None:
    fixed = _quantity(5, 5, 5)
    result = estimate(lambda pick: 2 * pick(fixed), "1", {id(fixed): "fixed"})
    assert (result.low, result.typical, result.high) == (10, 10, 10)
    assert result.dominated_by is None
    assert estimate(lambda _: 3.0, "1", {}).dominated_by is None
