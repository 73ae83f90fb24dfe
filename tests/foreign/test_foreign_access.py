"""How a kernel reads an operand: the expression in C is the index, or there is none and a table says it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebci.export.foreign.c_access import Access, access
from edgebci.foreign.graph import Index


def elements(found: Access, size: int) -> list[int]:
    """The expression, evaluated as C does: unsigned integers, / rounds down."""
    assert re.fullmatch(r"[i0-9u()/*% ]+", found.expression)
    text = found.expression.replace("u", "").replace("/", "//")
    return [found.offset + int(eval(text, {"i": i})) for i in range(size)]  # noqa: S307 (digits and operators only)


def affine(offset: int, stride: int, inner: int, period: int, size: int) -> Index:
    return (offset + stride * (np.arange(size) // inner % period)).astype(np.int32)


@given(st.integers(0, 50), st.integers(0, 5), st.integers(1, 6), st.integers(1, 6), st.integers(1, 60))
def test_slices_and_broadcasts_are_expressions(offset: int, stride: int, inner: int, period: int, size: int) -> None:
    index = affine(offset, stride, inner, period, size)
    found = access(index, size)
    assert found is not None
    assert elements(found, size) == index.tolist()


@given(st.lists(st.integers(0, 20), min_size=1, max_size=30))
def test_an_expression_is_never_wrong(positions: list[int]) -> None:
    found = access(np.array(positions, np.int32), len(positions))
    assert found is None or elements(found, len(positions)) == positions


@pytest.mark.parametrize("positions", [[3, 1, 2], [0, 1, 3], [0, 2, 1, 3], [5, 4, 3]])
def test_what_is_no_expression_needs_a_table(positions: list[int]) -> None:
    assert access(np.array(positions, np.int32), len(positions)) is None


def test_names_of_kernels_tell_accesses_apart() -> None:
    kinds = [affine(0, s, i, p, 24) for s in (1, 2) for i in (1, 2, 3) for p in (2, 3, 4)]
    found = {access(index, 24) for index in kinds}
    by_code = {(one.code, one.expression) for one in found if one}
    assert len(by_code) == len({code for code, _ in by_code}) == len({text for _, text in by_code})
