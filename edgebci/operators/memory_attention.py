"""Attention of one fixed query over the last k states of a backbone: how POSSM's step reads its output.

    m_0 = what the backbone gave, m_j = j chunks ago        b = softmax over j of age_j . m_j        c = sum of b_j m_j

Quantized: m in int16, one scale, kept as the state (k - 1, H), the newest first; float32 between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebci import arithmetic
from edgebci.arithmetic import F32, I16
from edgebci.operators.cell import F64, Integers
from edgebci.operators.dense import inverse
from edgebci.operators.stack import windows


@dataclass(frozen=True)
class QuantizedMemoryAttention:
    """The query's product with the keys of each age."""

    age: F32  # (k, H), for one count of m
    scale: F32  # (), one count of m

    def __call__(self, m: F32, memory: Integers) -> tuple[F32, I16]:
        """m (T, H) and the state before, to c (T, H) and the state after each step (T, k - 1, H).

        Sums over j go from the newest to the oldest.
        """
        newest = arithmetic.quantize_int16(m, inverse(self.scale))
        rows = windows(memory, newest)
        counts = rows.astype(np.float32)
        s = arithmetic.lane_sum(self.age * counts)
        raised = arithmetic.exp(s - s.max(axis=-1, keepdims=True))
        total, c = raised[:, 0], raised[:, :1] * counts[:, 0]
        for j in range(1, counts.shape[1]):
            total, c = total + raised[:, j], c + raised[:, j : j + 1] * counts[:, j]
        return c * (self.scale / total)[:, None], rows[:, :-1]


def memory_attention(age: F64, m: F64, memory: F64) -> tuple[F64, F64]:
    """The float form: c (T, H) and the state after each step (T, k - 1, H)."""
    rows = windows(memory, m)
    s = (age * rows).sum(axis=-1)
    raised = np.exp(s - s.max(axis=-1, keepdims=True))
    c: F64 = np.einsum("tj,tjh->th", raised / raised.sum(axis=-1, keepdims=True), rows)
    return c, rows[:, :-1]
