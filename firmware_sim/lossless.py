"""A small lossless coder for samples, so that streaming is compared at the rate that it would have on real data.

Each channel alone, in blocks of 16: differences of neighbours, folded to whole numbers (0, -1, 1, -2, ... become
0, 1, 2, 3, ...), then Rice codes (Rice 1979) whose parameter each block chooses by its mean. Blocks begin with 4 bits
of parameter; 15 marks a block whose 16 numbers follow in 17 bits each. `native/rice_coder.c` is the same in C.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError

BLOCK, PARAMETER_BITS, PLAIN, PLAIN_BITS = 16, 4, 15, 17
Folded = NDArray[np.int64]


def coded_bits_per_sample(counts: NDArray[np.integer]) -> float:
    """Mean over all channels of `counts`, (T, C) of at most 16 bits; what is left over of the last block is not coded.

    Raises:
        InputError: fewer samples than a block, or more bits than 16.
    """
    blocks = np.concatenate([blocks_of(channel) for channel in np.asarray(counts).T])
    return float(_sizes(blocks, _parameters(blocks)).mean() / BLOCK)


def blocks_of(channel: NDArray[np.integer]) -> Folded:
    """Folded differences of one channel (T,), as (T // 16, 16); raises InputError as `coded_bits_per_sample`."""
    whole = len(channel) // BLOCK * BLOCK
    if not whole:
        raise InputError(f"{len(channel)} samples are fewer than the {BLOCK} of a block; give a longer recording")
    wide = np.asarray(channel[:whole], np.int64)
    if np.abs(wide).max() > 1 << 15:
        raise InputError("the samples have more than 16 bits; convert them with an ADC of at most 16")
    steps = np.diff(wide, prepend=0)
    return np.where(steps < 0, -2 * steps - 1, 2 * steps).reshape(-1, BLOCK)


def encode(channel: NDArray[np.integer]) -> str:
    """The bits of one channel, as text of 0 and 1: the definition that sizes and the C are tested against."""
    blocks = blocks_of(channel)
    pairs = zip(blocks, _parameters(blocks), strict=True)
    return "".join(_block(block, int(parameter)) for block, parameter in pairs)


def decode(bits: str, n_blocks: int) -> NDArray[np.int64]:
    """What `encode` was given, (16 n_blocks,)."""
    reader = iter(bits)
    folded = np.array([number for _ in range(n_blocks) for number in _read_block(reader)], np.int64)
    steps = np.where(folded % 2, -(folded + 1) // 2, folded // 2)
    return np.asarray(np.cumsum(steps), np.int64)


def _parameters(blocks: Folded) -> NDArray[np.int64]:
    """Per block the smallest k with 16 * 2^k >= its sum, or PLAIN where that takes more bits than none."""
    sums = blocks.sum(axis=1)
    k = np.sum(sums[:, None] > BLOCK << np.arange(PLAIN - 1), axis=1)
    rice = _rice_bits(blocks, k)
    return np.where(rice > BLOCK * PLAIN_BITS, PLAIN, k)


def _rice_bits(blocks: Folded, k: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray((blocks >> k[:, None]).sum(axis=1) + BLOCK * (1 + k), np.int64)


def _sizes(blocks: Folded, parameters: NDArray[np.int64]) -> NDArray[np.int64]:
    plain = parameters == PLAIN
    return PARAMETER_BITS + np.where(plain, BLOCK * PLAIN_BITS, _rice_bits(blocks, np.where(plain, 0, parameters)))


def _block(block: Folded, k: int) -> str:
    head = f"{k:0{PARAMETER_BITS}b}"
    if k == PLAIN:
        return head + "".join(f"{number:0{PLAIN_BITS}b}" for number in block)
    low = (f"{number & ((1 << k) - 1):0{k}b}" if k else "" for number in block)
    return head + "".join("1" * int(number >> k) + "0" + rest for number, rest in zip(block, low, strict=True))


def _read_block(bits: Iterator[str]) -> list[int]:
    k = _read(bits, PARAMETER_BITS)
    if k == PLAIN:
        return [_read(bits, PLAIN_BITS) for _ in range(BLOCK)]
    return [(_ones(bits) << k) | _read(bits, k) for _ in range(BLOCK)]


def _read(bits: Iterator[str], n: int) -> int:
    return int("".join(next(bits) for _ in range(n)) or "0", 2)


def _ones(bits: Iterator[str]) -> int:
    count = 0
    while next(bits) == "1":
        count += 1
    return count
