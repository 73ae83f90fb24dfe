"""The parameter block: what was packed comes back, and nothing else is accepted."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebci.errors import InputError
from edgebci.parameter_block import HEADER, ParameterBlock, read_block

ID = "ab" * 32
BLOCK = ParameterBlock(
    ID,
    {
        "normalization.mean": np.arange(6, dtype=np.float32),
        "readout.weight": np.arange(-5, 5, dtype=np.int8).reshape(2, 5),
        "readout.act_scale": np.array(0.25, np.float32),
    },
)
BYTES = BLOCK.to_bytes()


def sealed(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def test_a_block_comes_back_as_it_was_packed() -> None:
    read = read_block(BYTES, BLOCK.layout, ID, "parameters.bin")
    assert list(read.tensors) == list(BLOCK.tensors)
    for name, values in BLOCK.tensors.items():
        assert read.tensors[name].dtype == values.dtype
        np.testing.assert_array_equal(read.tensors[name], values)
    assert read.to_bytes() == BYTES


def test_a_block_is_laid_out_as_the_documentation_says() -> None:
    assert len(BYTES) == BLOCK.layout.size_bytes == 32 + 24 + 12 + 4 + 4
    assert BYTES[:4] == b"EBPB"
    assert struct.unpack_from("<HH", BYTES, 4) == (1, 3)
    assert BYTES[8:24] == bytes.fromhex(ID)[:16]
    assert BLOCK.layout.offsets() == {"normalization.mean": 32, "readout.weight": 56, "readout.act_scale": 68}
    text = "normalization.mean:float32:6;readout.weight:int8:2x5;readout.act_scale:float32:"
    assert struct.unpack_from("<I", BYTES, 28)[0] == zlib.crc32(text.encode())


@given(st.integers(0, 8 * len(BYTES) - 1))
def test_any_changed_bit_is_found(bit: int) -> None:
    damaged = bytearray(BYTES)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InputError):
        read_block(bytes(damaged), BLOCK.layout, ID, "parameters.bin")


@pytest.mark.parametrize("length", [0, 4, HEADER.size, len(BYTES) - 1])
def test_a_cut_block_is_refused(length: int) -> None:
    with pytest.raises(InputError, match=r"no parameter block|bytes where its head says"):
        read_block(BYTES[:length], BLOCK.layout, ID, "parameters.bin")


def test_a_block_of_another_bundle_is_refused_though_its_sum_is_right() -> None:
    with pytest.raises(InputError, match=r"belongs to the bundle abab.*, this one is cdcd.*; calibrate this bundle"):
        read_block(BYTES, BLOCK.layout, "cd" * 32, "parameters.bin")


def test_a_block_of_a_later_version_is_refused_with_both_versions() -> None:
    body = bytearray(BYTES[:-4])
    struct.pack_into("<H", body, 4, 2)
    with pytest.raises(InputError, match="has version 2 of the parameter block, read is 1"):
        read_block(sealed(bytes(body)), BLOCK.layout, ID, "parameters.bin")


def test_a_block_with_other_tensors_is_refused() -> None:
    other = ParameterBlock(ID, {**BLOCK.tensors, "readout.weight": np.zeros((5, 2), np.int8)})
    with pytest.raises(InputError, match="holds other tensors than the bundle's manifest names"):
        read_block(other.to_bytes(), BLOCK.layout, ID, "parameters.bin")
