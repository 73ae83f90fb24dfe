"""A latent's attention over the spikes of a chunk, as look-ups: what POSSM's step begins with.

    a = softmax over the tokens that are there of score[unit, time_step]          x = latent + sum of a value[unit]

Tokens are rows (unit, time_step) of a chunk (N, 2), any of which may be absent (unit -1). Quantized: scores in int16
with a fixed scale, values in int8, one scale. A token's share is a count from 0 to 127 of the largest, looked up by how
far its score is below: the softmax is integers throughout, shares times values are int8 by int8, and sums of up to
1,040 tokens are below 2^24, so every runtime adds them exactly, in any order. (Shares of 10 bits were no better: on
decoders with scores as trained, and 4 and 10 times as far apart, the output's signal to quantization noise was within
1.3 dB either way, with either backbone.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32, I8, I16
from edgebci.operators.cell import F64

Tokens = NDArray[np.int32]
ABSENT = -1
SCORE_SCALE = 2.0**-7
"""One count of a score: a share is within 0.4 % of what its score says."""
SHARES: I8 = np.rint(127 * np.exp(-SCORE_SCALE * np.arange(710))).astype(np.int8)
"""By counts of score below the largest; the last, and everything beyond, is 0."""
MOST_TOKENS = 1040
"""So that float32 holds every sum, where a runtime adds in it: 1040 * 127 * 127 is below 2^24."""


@dataclass(frozen=True)
class QuantizedTokenAttention:
    """Both tables and the latent."""

    score: I16  # (rows, time steps), counts of SCORE_SCALE
    share: I8  # SHARES
    value: I8  # (rows, dim)
    value_scale: F32  # ()
    latent: F32  # (dim,)

    def __call__(self, tokens: Tokens) -> F32:
        """(T, N, 2) to (T, dim); at least one token of each chunk is there."""
        unit, there = np.maximum(tokens[..., 0], 0), tokens[..., 0] > ABSENT
        scores = self.score[unit, tokens[..., 1]].astype(np.int32)
        largest = np.where(there, scores, -32768).max(axis=-1, keepdims=True)
        last = len(self.share) - 1
        shares = self.share[np.where(there, np.clip(largest - scores, 0, last), last)].astype(np.int32)
        # Integers below 2^53 add exactly in float64, in any order.
        sums = np.einsum("tn,tnd->td", shares.astype(np.float64), self.value[unit].astype(np.float64))
        unit_value = self.value_scale / shares.sum(axis=-1, keepdims=True).astype(np.float32)
        x: F32 = self.latent + sums.astype(np.int32).astype(np.float32) * unit_value
        return x

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by its name in the decoder."""
        return {name: getattr(self, field) for name, field in _TENSORS.items()}

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> QuantizedTokenAttention:
        """Build from what `tensors` gave."""
        return cls(**{field: tensors[name] for name, field in _TENSORS.items()})


_TENSORS = {
    "tokens.score": "score",
    "tokens.share": "share",
    "tokens.value": "value",
    "tokens.value_scale": "value_scale",
    "tokens.latent": "latent",
}


def token_attention(weights: Mapping[str, F64], tokens: Tokens) -> F64:
    """The float form, (T, N, 2) to (T, dim)."""
    unit, there = np.maximum(tokens[..., 0], 0), tokens[..., 0] > ABSENT
    scores = np.where(there, weights["score"][unit, tokens[..., 1]], -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares = shares / shares.sum(axis=-1, keepdims=True)
    result: F64 = weights["latent"] + np.einsum("tn,tnd->td", shares, weights["value"][unit])
    return result
