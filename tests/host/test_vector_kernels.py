"""The kernels for vectors compute the bits of the reference: any shape, extremes, NaN; and other machines' compile."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from unicorn import arm64_const
from unicorn.unicorn_const import UC_ARCH_ARM64, UC_MODE_ARM
from unicorn.unicorn_py3.unicorn import Uc

from edgebci import arithmetic
from edgebci.arithmetic import F32
from edgebci.firmware_sim.toolchain import compile_with
from edgebci.operators.dense import QuantizedDense, inverse
from edgebci.operators.mamba2 import QuantizedMamba2, mamba2_steps

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25)
EXTREMES = np.array(
    [
        *(0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-38, 3.4e38, -3.4e38, 2.0**22, -(2.0**22)),
        *(0.5, 1.5, 2.5, -0.5, -126.5, 126.5, 127.5, -128.5, 32766.5, 32767.5, -32768.5),
        *(-45.99999, -46.0, 87.9, 88.0, 88.1),
    ],
    np.float32,
)


def at(array: NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def values(rng: np.random.Generator, n: int) -> F32:
    """Of every size, with extremes among them."""
    drawn = (rng.standard_normal(n) * 10.0 ** rng.uniform(-6, 6, n)).astype(np.float32)
    some = rng.random(n) < 0.3
    drawn[some] = rng.choice(EXTREMES, some.sum())
    return drawn


@given(seed=seeds)
@few
def test_exponentials_and_quantizers_of_eight_equal_those_of_one(vectors: ctypes.CDLL, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, scale = values(rng, 64), np.float32(10 ** rng.uniform(-3, 3))
    for name, reference in (("exp", arithmetic.exp), ("silu", arithmetic.silu)):
        found = np.empty_like(x)
        getattr(vectors, f"probe_{name}")(at(x), 64, at(found))
        with np.errstate(all="ignore"):
            expected = reference(x)
        same = found.view(np.uint32) == expected.astype(np.float32).view(np.uint32)
        assert (same | (np.isnan(found) & np.isnan(expected))).all(), (name, x[~same])
    narrow, wide = np.empty(64, np.int8), np.empty(64, np.int16)
    vectors.probe_quantize(at(x), ctypes.c_float(float(scale)), 64, at(narrow), at(wide))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(narrow, arithmetic.quantize_int8(x, scale))
        np.testing.assert_array_equal(wide, arithmetic.quantize_int16(x, scale))


def run_dense(vectors: ctypes.CDLL, dense: QuantizedDense, q: NDArray[np.int8]) -> F32:
    (rows, columns), y = dense.weight.shape, np.empty(len(dense.weight), np.float32)
    bias = at(dense.bias) if dense.bias.any() else None
    vectors.probe_dense(rows, columns, at(dense.weight), at(dense.scale), bias, at(q), at(y))
    return y


@given(seed=seeds, rows=st.integers(1, 13), columns=st.integers(1, 170), extreme=st.booleans())
@few
def test_dense_equals_the_reference_at_any_shape_and_at_the_extremes(
    vectors: ctypes.CDLL, seed: int, rows: int, columns: int, extreme: bool
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.choice(np.array([-127, 127], np.int8), (rows, columns)) if extreme else None
    weight = rng.integers(-127, 128, (rows, columns)).astype(np.int8) if weight is None else weight
    # -128 times -127 twice is the largest sum of a pair that a 16-bit lane must hold.
    q = np.full(columns, -128, np.int8) if extreme else rng.integers(-128, 128, columns).astype(np.int8)
    bias = rng.standard_normal(rows).astype(np.float32) if rng.random() < 0.5 else np.zeros(rows, np.float32)
    scale = (10.0 ** rng.uniform(-6, 6, rows)).astype(np.float32)
    dense = QuantizedDense(weight, np.full((), 0.03, np.float32), scale, bias)
    np.testing.assert_array_equal(run_dense(vectors, dense, q).view(np.uint32), dense(q[None])[0].view(np.uint32))


class Mamba2(ctypes.Structure):
    """edgebci_mamba2_t."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in "abcdefghi")


def random_block(rng: np.random.Generator, heads: int, headdim: int, n: int, taps: int) -> QuantizedMamba2:
    channels = heads * headdim + 2 * n
    positive = [(10.0 ** rng.uniform(-4, 0, size)).astype(np.float32) for size in (channels, channels, heads)]
    unused = QuantizedDense(
        np.ones((1, 1), np.int8), np.ones((), np.float32), np.ones(1, np.float32), np.zeros(1, np.float32)
    )
    return QuantizedMamba2(
        in_proj=unused,
        conv_weight=rng.integers(-127, 128, (channels, taps)).astype(np.int8),
        conv_weight_scale=positive[0],
        conv_scale=positive[1],
        conv_bias=rng.standard_normal(channels).astype(np.float32),
        dt_bias=rng.uniform(-8, 2, heads).astype(np.float32),
        A=-rng.uniform(0.1, 20, heads).astype(np.float32),
        D=rng.standard_normal(heads).astype(np.float32),
        ssm_scale=positive[2],
        norm_weight=np.ones(1, np.float32),
        out_proj=unused,
        norm_epsilon=1e-5,
    )


@given(seed=seeds, heads=st.integers(1, 4), headdim=st.integers(1, 9), groups=st.integers(1, 5), taps=st.integers(2, 5))
@few
def test_steps_of_mamba2_and_their_states_equal_the_reference(
    vectors: ctypes.CDLL, seed: int, heads: int, headdim: int, groups: int, taps: int
) -> None:
    rng = np.random.default_rng(seed)
    n = 4 * groups
    block = random_block(rng, heads, headdim, n, taps)
    arrays: list[NDArray[Any]] = [
        block.conv_weight, inverse(block.conv_scale), block.conv_scale * block.conv_weight_scale, block.conv_bias,
        block.dt_bias, block.A, block.D, block.ssm_scale, inverse(block.ssm_scale),
    ]  # fmt: skip
    layer, shape = Mamba2(*(array.ctypes.data for array in arrays)), np.array([heads, headdim, n, taps], np.uint32)
    conv, ssm = np.zeros((len(block.conv_bias), taps - 1), np.int16), np.zeros((heads, headdim, n), np.int16)
    p = values(rng, 10 * (2 * heads * headdim + 2 * n + heads)).reshape(10, -1)
    p = np.nan_to_num(p, posinf=1e9, neginf=-1e9)  # a sum with NaN in it is refused before the decoder
    g = np.empty(heads * headdim, np.float32)
    with np.errstate(all="ignore"):
        expected = mamba2_steps(block, p, conv.copy(), ssm.copy())
    for t in range(len(p)):
        given_p = p[t].copy()
        vectors.probe_mamba2_step(ctypes.byref(layer), at(shape), at(given_p), at(conv), at(ssm), at(g))
        assert np.array_equal(g, expected[0][t], equal_nan=True)
        np.testing.assert_array_equal(conv, expected[1][t])
        np.testing.assert_array_equal(ssm, expected[2][t])


def test_the_build_says_what_it_uses(vectors: ctypes.CDLL) -> None:
    said = (ctypes.c_char * 32).in_dll(vectors, "probe_instructions").value.decode()
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").is_file() else ""
    if "zig" in vectors._name and " avx2 " in flags:
        assert said in ("AVX2", "AVX-VNNI", "AVX-512 VNNI")
        assert ("avx512_vnni" in flags) == (said == "AVX-512 VNNI")
    elif "gcc" in vectors._name and flags:
        assert said == "none, portable C"


OTHERS = {
    "AVX-512 VNNI": ("x86_64-linux-gnu", "icelake_server", b"vpdpbusd"),
    "AVX-VNNI": ("x86_64-linux-gnu", "alderlake", b"vpdpbusd"),
    "AVX2": ("x86_64-linux-gnu", "haswell", b"vpmaddubsw"),
    "NEON": ("aarch64-linux-musl", "cortex_a72", b"smlal"),
    "NEON with dot products": ("aarch64-linux-musl", "cortex_a76", b"sdot"),
}


@pytest.mark.parametrize("instructions", OTHERS)
def test_kernels_of_other_processors_compile_to_their_instructions(
    instructions: str, vector_folder: Path, tmp_path: Path
) -> None:
    triple, cpu, mnemonic = OTHERS[instructions]
    flags = f"-target {triple} -mcpu={cpu} -O3 -S -Wno-unused-command-line-argument".split()
    assembly = compile_with([vector_folder / "vector_probe.c"], tmp_path / "probe.s", flags).read_bytes()
    assert mnemonic in assembly
    assert instructions.encode() in assembly


ROUNDS = 300


@pytest.mark.parametrize("cpu", ["cortex_a72", "cortex_a76"])
def test_neon_kernels_give_the_bits_of_this_machine(
    vectors: ctypes.CDLL, cpu: str, vector_folder: Path, tmp_path: Path
) -> None:
    flags = f"-target aarch64-freestanding-none -mcpu={cpu} -O3 -static -s -Wl,-e,probe_hash".split()
    elf = compile_with([vector_folder / "vector_probe.c"], tmp_path / "probe.elf", flags)
    vectors.probe_hash.restype = ctypes.c_uint32
    assert call_aarch64(elf, ROUNDS) == vectors.probe_hash(ROUNDS)
    assert vectors.probe_hash(ROUNDS) != vectors.probe_hash(ROUNDS - 1)


def call_aarch64(elf: Path, argument: int) -> int:
    """Run an ELF's entry, a function of one number, on an emulated 64-bit Arm core; returns what it returns."""
    machine: Any = Uc(UC_ARCH_ARM64, UC_MODE_ARM)
    machine.ctl_set_cpu_model(arm64_const.UC_CPU_ARM64_MAX)
    machine.mem_map(0, 0x4000000)
    with elf.open("rb") as file:
        content = ELFFile(file)
        entry = content["e_entry"]
        for segment in content.iter_segments("PT_LOAD"):
            machine.mem_write(segment["p_vaddr"], segment.data())
    machine.reg_write(arm64_const.UC_ARM64_REG_CPACR_EL1, 3 << 20)  # vectors and floats on
    machine.reg_write(arm64_const.UC_ARM64_REG_SP, 0x3F00000)
    machine.reg_write(arm64_const.UC_ARM64_REG_X0, argument)
    machine.reg_write(arm64_const.UC_ARM64_REG_LR, 0x3FF0000)
    machine.emu_start(entry, 0x3FF0000)
    return int(machine.reg_read(arm64_const.UC_ARM64_REG_X0)) & 0xFFFFFFFF
