"""Dense layers with packed weights have the bits of the plain ones, for any shape and at every extreme."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgebci.arithmetic import F32, I8
from edgebci.export import core_kernels
from edgebci.export.core_kernels import packed_rows
from edgebci.firmware_sim.toolchain import compile_host
from edgebci.operators.dense import QuantizedDense

HERE = Path(__file__).resolve().parent
KERNELS = Path(core_kernels.__file__).resolve().parent / "kernels"
HEADERS = ("math", "dsp", "row_pairs", "dense_packed")


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("packed")
    for name in HEADERS:
        shutil.copy(KERNELS / f"edgebci_{name}.h", folder)
    shutil.copy(HERE / "native" / "packed_probe.c", folder)
    return ctypes.CDLL(str(compile_host(folder, folder / "probe.so", "gcc", "2", None)))


def run(packed: ctypes.CDLL, dense: QuantizedDense, q: I8) -> F32:
    rows, columns = dense.weight.shape
    arrays: list[NDArray[np.generic]] = [
        np.array([rows, columns], np.uint32), packed_rows(dense.weight), dense.scale, dense.bias,
        q, np.empty(columns + 3, np.int16), np.empty(rows, np.float32),
    ]  # fmt: skip
    packed.probe_dense_packed(*(ctypes.c_void_p(array.ctypes.data) for array in arrays))
    result: F32 = arrays[-1].astype(np.float32)
    return result


def plain(weight: I8) -> QuantizedDense:
    """Scale 1 and no bias: the sums themselves."""
    ones = np.ones(len(weight), np.float32)
    return QuantizedDense(weight, np.ones((), np.float32), ones, 0 * ones)


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 13), columns=st.integers(1, 70))
@settings(max_examples=30)
def test_packed_equals_the_reference_for_any_shape(packed: ctypes.CDLL, seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, (rows, columns)).astype(np.int8)
    scale, bias = rng.uniform(1e-4, 1, rows).astype(np.float32), rng.standard_normal(rows).astype(np.float32)
    dense = QuantizedDense(weight, np.float32(0.5) * np.ones((), np.float32), scale, bias)
    q = rng.integers(-128, 128, columns).astype(np.int8)
    np.testing.assert_array_equal(run(packed, dense, q).view(np.uint32), dense(q[None])[0].view(np.uint32))


@pytest.mark.parametrize("columns", [508, 511, 512, 1016, 1500])
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_no_width_overflows_at_the_extremes(packed: ctypes.CDLL, columns: int, signs: tuple[int, int]) -> None:
    weight = (127 * np.array(signs * 2)[:, None] * np.ones((1, columns))).astype(np.int8)
    dense = plain(weight)
    for extreme in (-128, 127):
        q = np.full(columns, extreme, np.int8)
        np.testing.assert_array_equal(run(packed, dense, q), 127.0 * extreme * columns * np.array(signs * 2))


def test_one_segment_of_512_columns_would_overflow() -> None:
    assert 511 * 127 * 128 < 2**23 <= 517 * 127 * 128
    # A lane's own sum is exact below 2^23; the segment keeps below it with the widest weights and activations.
    assert 508 * 127 * 128 < 2**23


def test_packing_puts_two_rows_into_a_lane() -> None:
    weight = np.arange(-24, 24).reshape(6, 8)
    lanes = packed_rows(weight).astype(np.int32)
    assert lanes.shape == (2, 2, 2, 2, 2)
    assert lanes[0, 1, 0, 1, 1] == 256 * weight[2, 5] + weight[3, 5]
    assert not lanes[1, :, :, 1].any()  # rows 6 and 7 are filling
