"""Each kernel of the decoder computes what the bit-exact reference computes, with every compiler and optimization."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgebci.arithmetic import F32, I8, I16
from edgebci.operators.dense import QuantizedDense, inverse, rms_norm_quantize
from edgebci.operators.mamba2 import QuantizedMamba2, mamba2_steps

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=15)


class Mamba2(ctypes.Structure):
    """edgebci_mamba2_t."""

    _fields_ = (
        *((f"conv_{name}", ctypes.c_void_p) for name in ("weight", "inverse_scale", "out_scale", "bias")),
        *((name, ctypes.c_void_p) for name in ("dt_bias", "A", "D", "ssm_scale", "ssm_inverse_scale")),
    )


def at(array: NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def u32(value: int) -> ctypes.c_uint32:
    return ctypes.c_uint32(value)


def spread(rng: np.random.Generator, *shape: int) -> F32:
    """Numbers of very different size, some of which saturate every quantizer."""
    return (rng.standard_normal(shape) * 10.0 ** rng.uniform(-3, 3, shape)).astype(np.float32)


def positive(rng: np.random.Generator, *shape: int) -> F32:
    return (10.0 ** rng.uniform(-4, 0, shape)).astype(np.float32)


def random_dense(rng: np.random.Generator, rows: int, columns: int) -> QuantizedDense:
    weight = rng.integers(-127, 128, (rows, columns)).astype(np.int8)
    return QuantizedDense(weight, positive(rng), positive(rng, rows), spread(rng, rows))


def run_dense(probe: ctypes.CDLL, dense: QuantizedDense, q: I8) -> F32:
    y = np.empty(len(dense.weight), np.float32)
    rows, columns = dense.weight.shape
    bias = at(dense.bias) if dense.bias.any() else None
    probe.probe_dense(u32(rows), u32(columns), at(dense.weight), at(dense.scale), bias, at(q), at(y))
    return y


@given(seed=seeds, rows=st.integers(1, 19), columns=st.integers(1, 70))
@few
def test_dense_equals_the_reference_for_any_shape(probe: ctypes.CDLL, seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    dense = random_dense(rng, rows, columns)
    q = rng.integers(-128, 128, columns).astype(np.int8)
    np.testing.assert_array_equal(run_dense(probe, dense, q).view(np.uint32), dense(q[None])[0].view(np.uint32))


def test_dense_does_not_overflow_at_the_widest_allowed_input(zig_probe: ctypes.CDLL) -> None:
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    dense = QuantizedDense(np.full((1, 65536), -127, np.int8), np.ones((), np.float32), one, zero)
    q = np.full(65536, -128, np.int8)
    assert run_dense(zig_probe, dense, q)[0] == np.float32(65536 * 127 * 128)


@given(seed=seeds, groups=st.integers(1, 40))
@few
def test_rms_norm_quantize_equals_the_reference(probe: ctypes.CDLL, seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    n = 4 * groups
    x, gamma, inverse_scale = spread(rng, n), spread(rng, n), np.float32(rng.uniform(1, 200))
    epsilon, inverse_size = np.float32(1e-5), np.float32(1.0 / n)
    q = np.empty(n, np.int8)
    floats = [ctypes.c_float(float(value)) for value in (inverse_size, epsilon, inverse_scale)]
    probe.probe_rms_norm_quantize(u32(n), at(gamma), *floats, at(x), at(q))
    np.testing.assert_array_equal(q, rms_norm_quantize(x[None], gamma, epsilon, inverse_scale)[0])


def random_block(rng: np.random.Generator, heads: int, headdim: int, n: int, taps: int) -> QuantizedMamba2:
    conv_dim = heads * headdim + 2 * n
    unused = random_dense(rng, 1, 1)
    return QuantizedMamba2(
        in_proj=unused,
        conv_weight=rng.integers(-127, 128, (conv_dim, taps)).astype(np.int8),
        conv_weight_scale=positive(rng, conv_dim),
        conv_scale=positive(rng, conv_dim),
        conv_bias=spread(rng, conv_dim),
        dt_bias=rng.uniform(-8, 2, heads).astype(np.float32),
        A=-rng.uniform(0.1, 20, heads).astype(np.float32),
        D=spread(rng, heads),
        ssm_scale=positive(rng, heads),
        norm_weight=spread(rng, 1),
        out_proj=unused,
        norm_epsilon=1e-5,
    )


def run_mamba2(probe: ctypes.CDLL, block: QuantizedMamba2, p: F32, conv: I16, ssm: I16) -> tuple[F32, I16, I16]:
    heads, headdim, n = ssm.shape
    arrays: list[NDArray[Any]] = [
        block.conv_weight, inverse(block.conv_scale), block.conv_scale * block.conv_weight_scale, block.conv_bias,
        block.dt_bias, block.A, block.D, block.ssm_scale, inverse(block.ssm_scale),
    ]  # fmt: skip
    layer = Mamba2(*(array.ctypes.data for array in arrays))
    shape = np.array([heads, headdim, n, block.conv_weight.shape[1]], np.uint32)
    p, conv, ssm, g = p.copy(), conv.copy(), ssm.copy(), np.empty(heads * headdim, np.float32)
    probe.probe_mamba2_step(ctypes.byref(layer), at(shape), at(p), at(conv), at(ssm), at(g))
    return g, conv, ssm


@given(seed=seeds, heads=st.integers(1, 4), headdim=st.integers(1, 9), groups=st.integers(1, 5), taps=st.integers(2, 8))
@few
def test_mamba2_step_and_its_states_equal_the_reference(
    probe: ctypes.CDLL, seed: int, heads: int, headdim: int, groups: int, taps: int
) -> None:
    rng = np.random.default_rng(seed)
    n = 4 * groups
    block = random_block(rng, heads, headdim, n, taps)
    conv = np.zeros((heads * headdim + 2 * n, taps - 1), np.int16)
    ssm = np.zeros((heads, headdim, n), np.int16)
    p = spread(rng, 12, 2 * heads * headdim + 2 * n + heads)
    expected = mamba2_steps(block, p, conv, ssm)
    for t in range(len(p)):
        g, conv, ssm = run_mamba2(probe, block, p[t], conv, ssm)
        np.testing.assert_array_equal(g.view(np.uint32), expected[0][t].view(np.uint32))
        np.testing.assert_array_equal(conv, expected[1][t])
        np.testing.assert_array_equal(ssm, expected[2][t])


def test_mamba2_states_saturate_instead_of_wrapping(zig_probe: ctypes.CDLL) -> None:
    rng = np.random.default_rng(5)
    block = random_block(rng, 2, 4, 4, 4)
    p = np.full((6, 2 * 8 + 8 + 2), 1e6, np.float32)
    conv, ssm = np.zeros((16, 3), np.int16), np.zeros((2, 4, 4), np.int16)
    expected = mamba2_steps(block, p, conv, ssm)
    for t in range(len(p)):
        g, conv, ssm = run_mamba2(zig_probe, block, p[t], conv, ssm)
    np.testing.assert_array_equal(g.view(np.uint32), expected[0][-1].view(np.uint32))
    np.testing.assert_array_equal(ssm, expected[2][-1])
    assert (conv == 32767).all()
    assert (np.abs(ssm.astype(np.int32)) >= 32767).any()
