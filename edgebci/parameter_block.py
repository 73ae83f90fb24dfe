"""The parameter block: what of a decoder changes from day to day, in one small file that a radio can carry.

Normalisation (mean, sd of each good channel's features) and the linear readout, with its scales where it is in int8.
Everything else of a bundle, its C included, stays as it was verified. Little-endian:

    offset  bytes
     0       4     "EBPB"
     4       2     version of this format, 1
     6       2     number of tensors
     8      16     first bytes of the id of the bundle that it belongs to
    24       4     bytes of the whole block
    28       4     CRC-32 of the layout: the text "name:type:shape" of each tensor, joined with ";"
    32             the tensors in the order of the layout, each filled up to a multiple of 4 bytes with zeros
    end - 4  4     CRC-32 of all before it

CRC-32 is that of ISO 3309 and zlib (polynomial 0x04C11DB7, reflected). The layout itself is in the manifest and
compiled into the C: a device needs no parser, only the comparisons and the sum.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgebci.documents import Document
from edgebci.errors import InputError

MAGIC = b"EBPB"
VERSION: Literal[1] = 1
HEADER = struct.Struct("<4sHH16sII")
_CRC = struct.Struct("<I")
ID_BYTES = 16

Tensors = Mapping[str, NDArray[Any]]


class BlockTensor(Document):
    """One tensor of a block."""

    name: str
    type: Literal["int8", "int16", "int32", "float32"]
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Without what fills it up to a multiple of 4."""
        return math.prod(self.shape) * np.dtype(self.type).itemsize


class ParameterLayout(Document):
    """What a block holds, in order."""

    version: Literal[1] = VERSION
    tensors: tuple[BlockTensor, ...] = Field(min_length=1)

    @property
    def crc(self) -> int:
        """What a block of this layout says of it."""
        texts = (f"{t.name}:{t.type}:{'x'.join(map(str, t.shape))}" for t in self.tensors)
        return zlib.crc32(";".join(texts).encode())

    @property
    def size_bytes(self) -> int:
        """Of the whole block."""
        return HEADER.size + sum(_padded(t.size_bytes) for t in self.tensors) + _CRC.size

    def offsets(self) -> dict[str, int]:
        """Where each tensor begins, in bytes from the start of the block."""
        offsets, place = {}, HEADER.size
        for tensor in self.tensors:
            offsets[tensor.name] = place
            place += _padded(tensor.size_bytes)
        return offsets


@dataclass(frozen=True, eq=False)
class ParameterBlock:
    """A block's tensors, and the bundle that they belong to."""

    bundle_id: str
    """64 hexadecimal digits, of which a read block knows the first 32."""
    tensors: Tensors

    @property
    def layout(self) -> ParameterLayout:
        """What this block holds."""
        return ParameterLayout(tensors=tuple(_described(name, array) for name, array in self.tensors.items()))

    def to_bytes(self) -> bytes:
        """The block as it is stored and sent; equal blocks give equal bytes."""
        layout, short_id = self.layout, bytes.fromhex(self.bundle_id)[:ID_BYTES]
        header = HEADER.pack(MAGIC, VERSION, len(layout.tensors), short_id, layout.size_bytes, layout.crc)
        body = header + b"".join(_bytes_of(array) for array in self.tensors.values())
        return body + _CRC.pack(zlib.crc32(body))


def read_block(data: bytes, layout: ParameterLayout, bundle_id: str, where: str) -> ParameterBlock:
    """Read a block that must have this layout and belong to this bundle.

    Args:
        data: the whole block.
        layout: as the manifest has it.
        bundle_id: of the bundle, 64 hexadecimal digits.
        where: name of the file, for messages.

    Raises:
        InputError: it is cut short, damaged, of another version, layout or bundle; says which.
    """
    _check_whole(data, where)
    _, version, _, short_id, _, layout_crc = HEADER.unpack_from(data)
    if version != VERSION:
        raise InputError(f"{where} has version {version} of the parameter block, read is {VERSION}; calibrate again")
    if short_id != bytes.fromhex(bundle_id)[:ID_BYTES]:
        raise InputError(
            f"{where} belongs to the bundle {short_id.hex()}, this one is {bundle_id[: 2 * ID_BYTES]}; "
            "calibrate this bundle"
        )
    if layout_crc != layout.crc or len(data) != layout.size_bytes:
        raise InputError(f"{where} holds other tensors than the bundle's manifest names; calibrate the bundle again")
    offsets = layout.offsets()
    return ParameterBlock(bundle_id, {t.name: _tensor(data, offsets[t.name], t) for t in layout.tensors})


def _check_whole(data: bytes, where: str) -> None:
    if len(data) < HEADER.size + _CRC.size or data[:4] != MAGIC:
        raise InputError(f"{where} is no parameter block ({len(data)} bytes); calibrate or export the bundle again")
    said = HEADER.unpack_from(data)[4]
    if said != len(data):
        raise InputError(f"{where} has {len(data)} bytes where its head says {said}; send or write it again")
    if _CRC.unpack(data[-_CRC.size :])[0] != zlib.crc32(data[: -_CRC.size]):
        raise InputError(f"{where} is damaged: its check sum is not that of its bytes; send or write it again")


def _described(name: str, array: NDArray[Any]) -> BlockTensor:
    return BlockTensor.model_validate({"name": name, "type": array.dtype.name, "shape": array.shape})


def _bytes_of(array: NDArray[Any]) -> bytes:
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return data.ljust(_padded(len(data)), b"\0")


def _tensor(data: bytes, offset: int, tensor: BlockTensor) -> NDArray[Any]:
    dtype = np.dtype(tensor.type).newbyteorder("<")
    flat = np.frombuffer(data, dtype, math.prod(tensor.shape), offset)
    return flat.astype(tensor.type).reshape(tensor.shape)


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // 4) * 4
