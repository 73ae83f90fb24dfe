"""The coder gives back what it was given, its sizes are those of its bits, and the C writes the same bits."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgebci.errors import InputError
from edgebci.firmware_sim.lossless import BLOCK, coded_bits_per_sample, decode, encode
from edgebci.firmware_sim.toolchain import NATIVE, compile_with

samples = arrays(np.int16, st.sampled_from([16, 48, 80]), elements=st.integers(-(1 << 15), (1 << 15) - 1))
small = arrays(np.int16, st.sampled_from([16, 48, 80]), elements=st.integers(-40, 40))


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    flags = ["-O3", "-shared", "-fPIC", "-nostdlib"]
    out = tmp_path_factory.mktemp("coder") / "coder.so"
    return ctypes.CDLL(str(compile_with([NATIVE / "rice_coder.c"], out, flags)))


@settings(max_examples=25)
@given(st.one_of(samples, small))
def test_decoding_gives_back_every_sample_and_sizes_are_those_of_the_bits(channel: np.ndarray) -> None:
    bits = encode(channel)
    assert (decode(bits, len(channel) // BLOCK) == channel).all()
    assert coded_bits_per_sample(channel[:, None]) == pytest.approx(len(bits) / len(channel), rel=1e-12)


@settings(max_examples=25)
@given(st.one_of(samples, small))
def test_no_block_takes_more_than_its_numbers_plain(channel: np.ndarray) -> None:
    # 17 bits for each difference of two 16-bit numbers, and 4 for each block of 16.
    assert coded_bits_per_sample(channel[:, None]) <= 17 + 4 / 16


def test_the_c_writes_the_same_bits(coder: ctypes.CDLL) -> None:
    rng = np.random.default_rng(1)
    for scale in (0, 1, 30, 3000, 30000):
        channel = np.clip(rng.normal(0, scale, 10 * BLOCK), -(1 << 15), (1 << 15) - 1).astype(np.int16)
        words = np.zeros(2 * len(channel), np.uint32)
        n = coder.edgebci_rice(
            channel.ctypes.data_as(ctypes.c_void_p), len(channel), words.ctypes.data_as(ctypes.c_void_p)
        )
        assert "".join(f"{word:032b}" for word in words.tolist())[:n] == encode(channel)


def test_what_cannot_be_coded_is_refused() -> None:
    with pytest.raises(InputError, match="15 samples are fewer than the 16 of a block"):
        coded_bits_per_sample(np.zeros((15, 1), np.int16))
    with pytest.raises(InputError, match="more than 16 bits"):
        coded_bits_per_sample(np.full((16, 1), 1 << 17, np.int32))
