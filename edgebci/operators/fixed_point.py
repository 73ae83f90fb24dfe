"""The integer arithmetic of the fixed-point form, in NumPy: what `export/kernels/edgebci_dsp.h` computes, bit for bit.

Values have 16 bits, sums 32, multipliers 32: the shapes of Arm's DSP extension. Everything is computed in int64, where
nothing here overflows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32, I16

I64 = NDArray[np.int64]
AnyInteger = NDArray[np.signedinteger[Any]]

GATE_BITS = 11
"""Fraction bits of what goes into and comes out of SiLU: +-16 in int16."""
TABLE_BITS = 7
"""SiLU is linear between values 2^7 counts apart."""
_HALF_TABLE = 1 << (15 - TABLE_BITS)


def multiplied(x: AnyInteger, multiplier: AnyInteger) -> I64:
    """X times multiplier / 2^32, rounded to nearest, halves up: SMMULR of two int32."""
    result: I64 = (x.astype(np.int64) * multiplier.astype(np.int64) + (1 << 31)) >> 32
    return result


def saturated(values: AnyInteger, limit: int = 32767) -> I16:
    """Limit to int16, or to [-limit - 1, limit]."""
    return np.clip(values, -limit - 1, limit).astype(np.int16)


def truncated(values: F32, highest: float) -> I64:
    """A positive float as an integer, rounded down, at most `highest`, which float32 must hold exactly."""
    limited = np.minimum(np.where(values > 0, values, np.float32(0.0)), np.float32(highest))
    return limited.astype(np.int64)


def silu_table() -> I16:
    """(512, 2): SiLU in counts of 2^-11 as straight lines between every 128th count from -16 on: intercept, slope."""
    knots = np.arange(-_HALF_TABLE, _HALF_TABLE + 1) * 2.0**TABLE_BITS / 2.0**GATE_BITS
    values = np.clip(np.rint(knots / (1.0 + np.exp(-knots)) * 2.0**GATE_BITS), -32768, 32767)
    slope = np.diff(values)
    return np.stack([values[:-1] - slope * np.arange(-_HALF_TABLE, _HALF_TABLE), slope], axis=-1).astype(np.int16)


def looked_up(table: I16, counts: I16) -> I16:
    """SiLU of counts by the lines of its table, rounded to nearest, halves up."""
    wide = counts.astype(np.int64)
    intercept, slope = np.moveaxis(table[(wide >> TABLE_BITS) + _HALF_TABLE].astype(np.int64), -1, 0)
    total = (intercept << TABLE_BITS) + slope * wide + (1 << (TABLE_BITS - 1))
    result: I16 = (total >> TABLE_BITS).astype(np.int16)
    return result
