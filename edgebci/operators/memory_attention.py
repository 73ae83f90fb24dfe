"""Attention of one fixed query over the last k states of a backbone: how POSSM's step reads its output.

    m_0 = what the backbone gave, m_j = j chunks ago        b = softmax over j of age_j . m_j        c = sum of b_j m_j

Quantized: m in int8, stacked as `edgebci.operators.stack` has it; float32 between. (In int16, m would be finer than
what one count of the backbone's own state moves it by.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebci import arithmetic
from edgebci.arithmetic import F32, I8
from edgebci.operators.cell import F64


@dataclass(frozen=True)
class QuantizedMemoryAttention:
    """The query's product with the keys of each age."""

    age: F32  # (k, H), for one count of m
    scale: F32  # (), one count of m

    def __call__(self, rows: I8) -> F32:
        """m_0 to m_{k-1} side by side (T, k H) to c (T, H); sums over j go from the newest to the oldest."""
        counts = rows.reshape(len(rows), *self.age.shape).astype(np.float32)
        s = arithmetic.lane_sum(self.age * counts)
        raised = arithmetic.exp(s - s.max(axis=-1, keepdims=True))
        total, c = raised[:, 0], raised[:, :1] * counts[:, 0]
        for j in range(1, counts.shape[1]):
            total, c = total + raised[:, j], c + raised[:, j : j + 1] * counts[:, j]
        return c * (self.scale / total)[:, None]


def memory_attention(age: F64, rows: F64) -> F64:
    """The float form, (T, k H) to (T, H)."""
    apart = rows.reshape(len(rows), *age.shape)
    s = (age * apart).sum(axis=-1)
    raised = np.exp(s - s.max(axis=-1, keepdims=True))
    c: F64 = np.einsum("tj,tjh->th", raised / raised.sum(axis=-1, keepdims=True), apart)
    return c
