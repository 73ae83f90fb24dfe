"""Dense kernels in vectors have the bits of the reference, at any shape and at the extremes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgebci.arithmetic import I8
from edgebci.errors import MissingToolError
from edgebci.export import core_kernels
from edgebci.export.core_kernels import packed_rows
from edgebci.export.core_vectors import put_kernels_of
from edgebci.firmware_sim.cores import CORES
from edgebci.firmware_sim.user_program import compile_alone, run_alone, runner
from edgebci.operators.dense import QuantizedDense

HERE = Path(__file__).resolve().parent
KERNELS = Path(core_kernels.__file__).resolve().parent / "kernels"
HEADERS = ("math", "dense", "dsp", "row_pairs")


def layers() -> list[tuple[I8, NDArray[np.signedinteger]]]:
    """Weights and activations of int8 and of int16: random ones, and every pair of signs of the largest."""
    rng = np.random.default_rng(7)
    found: list[tuple[I8, NDArray[np.signedinteger]]] = []
    for rows, columns in ((1, 7), (6, 7), (4, 64), (9, 64), (13, 130), (64, 130)):
        weight = rng.integers(-127, 128, (rows, columns)).astype(np.int8)
        found.append((weight, rng.integers(-128, 128, columns).astype(np.int8)))
        found += [(np.full_like(weight, w), np.full(columns, q, np.int8)) for w in (-127, 127) for q in (-128, 127)]
    for rows, columns in ((4, 4), (8, 12), (16, 16), (12, 60), (8, 64), (20, 64)):
        weight = rng.integers(-127, 128, (rows, columns)).astype(np.int8)
        found.append((weight, rng.integers(-32768, 32768, columns).astype(np.int16)))
        signs = np.where(np.arange(rows) % 3, 127, -127)[:, None].astype(np.int8) * np.ones((1, columns), np.int8)
        found += [(signs, np.full(columns, q, np.int16)) for q in (-516, 515)]
    return found


def scales(weight: I8) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scale and bias of each row."""
    rng = np.random.default_rng(len(weight))
    return rng.uniform(1e-4, 1, len(weight)).astype(np.float32), rng.standard_normal(len(weight)).astype(np.float32)


def given(weight: I8, q: NDArray[np.signedinteger]) -> bytes:
    """A layer as the probe takes it."""
    wide = q.dtype == np.int16
    rest = packed_rows(weight).tobytes() + q.tobytes()
    if not wide:
        rest = weight.tobytes() + q.tobytes() + b"".join(part.tobytes() for part in scales(weight))
    return np.array([wide, *weight.shape], "<u4").tobytes() + rest


def expected(weight: I8, q: NDArray[np.signedinteger]) -> bytes:
    """What the reference makes of it; of a pair of rows, the first one's sum has 24 bits."""
    if q.dtype == np.int8:
        scale, bias = scales(weight)
        dense = QuantizedDense(weight, np.ones((), np.float32), scale, bias)
        return bytes(dense(q[None].astype(np.int8))[0].tobytes())
    sums = weight.astype(np.int64) @ q
    sums[0::2] = ((sums[0::2] + 2**23) % 2**24) - 2**23
    return sums.astype(np.int32).tobytes()


@pytest.mark.parametrize(
    ("kernels", "core"),
    [
        ("host", "host"),
        ("aarch64", "aarch64"),
        ("riscv32", "riscv32"),
        ("cortex-m55", "cortex-m55"),
        ("cortex-m55", "host"),  # the host twin of a program for a core with Helium
    ],
)
def test_dense_kernels_of_a_core_have_the_bits_of_the_reference(kernels: str, core: str, tmp_path: Path) -> None:
    try:
        runner(CORES[core])
    except MissingToolError as absent:
        pytest.skip(f"not run on {core}: {absent}")
    for name in HEADERS:
        shutil.copy(KERNELS / f"edgebci_{name}.h", tmp_path)
    replaced = put_kernels_of(kernels, tmp_path)
    assert ("edgebci_dense.h" in replaced) == (kernels != "riscv32")
    probe = compile_alone([HERE / "native" / "dense_stream_probe.c"], tmp_path / "probe", CORES[core], tmp_path)
    every = layers()
    end = np.zeros(3, "<u4").tobytes()
    done = run_alone(probe, CORES[core], b"".join(given(*layer) for layer in every) + end)
    wanted = b"".join(expected(*layer) for layer in every)
    assert len(wanted) > 4 * sum(len(weight) for weight, _ in every) - 1
    assert done.printed == wanted
