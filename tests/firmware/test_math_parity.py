"""edgebci_math.h computes what edgebci/arithmetic.py computes, bit for bit, with every compiler and optimization."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgebci import arithmetic
from edgebci.operators import activations

F32 = NDArray[np.float32]
FUNCTIONS = ("exp", "log", "softplus", "silu", "flush", "sigmoid", "tanh", "gelu")
EXTREMES = np.array(
    [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-45, 1.1754944e-38, 1e-20, -1e-20, 9.9e-21, 3.4028235e38,
     -3.4028235e38, 88.0, 88.00001, 1e4, -46.0, -45.999996, -46.000004, 0.5, 1.5, 2.5, -0.5, -1.5, 1.0, 127.5, -128.5],
    dtype=np.float32,
)  # fmt: skip


def address(array: NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def apply(library: ctypes.CDLL, name: str, x: F32) -> F32:
    x, y = np.ascontiguousarray(x), np.empty_like(x)
    getattr(library, f"probe_{name}")(address(x), ctypes.c_uint32(x.size), address(y))
    return y


def reference(name: str, x: F32) -> F32:
    function: Callable[[F32], F32] = getattr(arithmetic, name, None) or getattr(activations, name)
    with np.errstate(all="ignore"):
        return function(x)


def every_millionth_float() -> F32:
    """About 65,000 floats, spread evenly over all bit patterns: every exponent, both signs, NaN and infinities."""
    return np.arange(0, 2**32, 65521, dtype=np.uint64).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_equals_numpy_on_all_exponents_and_extremes(name: str, probe: ctypes.CDLL) -> None:
    dense = np.linspace(-60, 100, 40_001).astype(np.float32)
    x = np.concatenate([EXTREMES, every_millionth_float(), dense])
    got, expected = apply(probe, name, x), reference(name, x)
    if name == "flush":  # passes NaN on; which NaN is the processor's choice
        got, expected = np.nan_to_num(got, nan=1.0), np.nan_to_num(expected, nan=1.0)
    different = np.flatnonzero(got.view(np.uint32) != expected.view(np.uint32))
    assert not different.size, f"{name}({x[different[0]]!r}) is {got[different[0]]!r}, NumPy {expected[different[0]]!r}"


def test_reciprocal_sqrt_equals_numpy_on_positive_numbers(probe: ctypes.CDLL) -> None:
    x = np.abs(every_millionth_float())
    x = x[np.isfinite(x) & (x > 0)]
    got = apply(probe, "reciprocal_sqrt", x)
    np.testing.assert_array_equal(got.view(np.uint32), arithmetic.reciprocal_sqrt(x).view(np.uint32))


@pytest.mark.parametrize("name", FUNCTIONS)
@given(values=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=64))
@settings(max_examples=60)
def test_function_equals_numpy_on_any_number(name: str, zig_probe: ctypes.CDLL, values: list[float]) -> None:
    x = np.array(values, dtype=np.float32)
    got = apply(zig_probe, name, x)
    np.testing.assert_array_equal(got.view(np.uint32), reference(name, x).view(np.uint32))


@pytest.mark.parametrize(("name", "dtype"), [("quantize_int8", np.int8), ("quantize_int16", np.int16)])
def test_quantizer_rounds_ties_to_even_and_saturates_like_numpy(
    name: str, dtype: type[np.signedinteger], probe: ctypes.CDLL
) -> None:
    ties = np.arange(-70000, 70000, dtype=np.float32) * np.float32(0.5)
    x = np.concatenate([EXTREMES, every_millionth_float(), ties])
    for inverse_scale in (np.float32(1.0), np.float32(0.3), np.float32(1e30)):
        with np.errstate(all="ignore"):
            expected = getattr(arithmetic, name)(x, inverse_scale)
        got = np.empty(x.size, dtype=dtype)
        function = getattr(probe, f"probe_{name}")
        function(address(x), ctypes.c_float(float(inverse_scale)), ctypes.c_uint32(x.size), address(got))
        np.testing.assert_array_equal(got, expected)
    assert getattr(arithmetic, name)(np.array([2.5, 3.5, -0.5], np.float32), np.float32(1)).tolist() == [2, 4, 0]


@given(seed=st.integers(0, 2**32 - 1), groups=st.integers(1, 64))
@settings(max_examples=30)
def test_lane_sum_equals_numpy(probe: ctypes.CDLL, seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal(4 * groups) * 10.0 ** rng.integers(-6, 7, 4 * groups)).astype(np.float32)
    function = probe.probe_lane_sum
    function.restype = ctypes.c_float
    got = np.float32(function(address(x), ctypes.c_uint32(x.size)))
    assert got.view(np.uint32) == arithmetic.lane_sum(x).view(np.uint32)
