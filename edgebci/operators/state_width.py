"""States of 8 or 16 bits: the width of a state is the type of its array, and every step keeps it."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from edgebci import arithmetic
from edgebci.arithmetic import F32
from edgebci.operators.cell import Integers


def quantize_state(values: F32, inverse_scale: F32 | np.float32, kind: DTypeLike) -> Integers:
    """round(values * inverse_scale), saturated to int8 or int16."""
    if np.dtype(kind) == np.int8:
        return arithmetic.quantize_int8(values, inverse_scale)
    return arithmetic.quantize_int16(values, inverse_scale)
