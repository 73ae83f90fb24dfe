"""REALM's tokenizer (arXiv 2605.14867) as an entry: a convolution per channel, attention over channels, a projection.

    v = activation(conv(frames))             the same taps for every channel: C channels of E features
    weight = a weight + 1                    mean = mean + (mean over E of v - mean) / weight       a = exp(-1 / frames)
    gate = sigmoid(conv(mean))               over neighbouring channels
    x = rms_norm(W (gate v) + b)

Quantized: int8 taps over int16 frames, int8 projection. The mean over time moves by a thousandth of what drives it,
less than a count of int16, so it is kept in int32; and so is the weight, in counts of 1 / unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgebci import arithmetic
from edgebci.arithmetic import F32, I16, I32
from edgebci.block_spec import Shape
from edgebci.documents import Document
from edgebci.operators import activations
from edgebci.operators.cell import F64, Costs, Integers, Tap, sigmoid, silu
from edgebci.operators.dense import QuantizedDense, dense_of, dense_tensors, inverse, rms_norm
from edgebci.operators.entry import Entry, QuantizedEntry
from edgebci.operators.s4d import gelu

_FLOAT32 = 4
MEAN_HIGHEST = np.float32(2**19)
"""Largest count of a mean: float32 holds it with room for what one step adds."""
WEIGHT_HIGHEST = 2**21
CONV, MEAN, WEIGHT = "conv.tokenizer", "mean.tokenizer", "weight.tokenizer"


class TokenizerSpec(Document):
    """Sizes of the tokenizer beside the numbers of channels and of tokens."""

    channel_features: int = Field(gt=0, le=64)
    """E, what the convolution makes of a channel."""
    conv_taps: int = Field(ge=2, le=8)
    attention_taps: int = Field(gt=0)
    """Neighbouring channels that a channel's gate depends on; odd."""
    activation: Literal["gelu", "silu"]
    mean_frames: float = Field(gt=1, le=20_000)
    """Time constant of the mean; at the longest, int32 leaves the weight 1 % short of its limit."""

    @property
    def keep(self) -> float:
        """What a step keeps of the weight."""
        return math.exp(-1 / self.mean_frames)

    @property
    def unit(self) -> int:
        """Counts of one frame's weight: the power of two with which the limit of the weight stays below 2^21."""
        return 1 << int(math.log2(WEIGHT_HIGHEST * (1 - self.keep)))


@dataclass(frozen=True)
class QuantizedTokenizer(QuantizedEntry):
    """frame -> step -> q -> mix -> rms_norm."""

    conv_weight: NDArray[np.int8]  # (E, taps)
    conv_weight_scale: F32  # (E,)
    conv_scale: F32  # (C,), one count of a frame
    conv_bias: F32  # (E,)
    attention: F32  # (attention taps,)
    mean_scale: F32  # (), one count of the means
    keep: F32  # ()
    unit: F32  # (), counts of one frame's weight
    norm_weight: F32  # (d_model,)
    mix: QuantizedDense
    activation: Literal["gelu", "silu"]
    norm_epsilon: float

    def run(self, frames: F32, states: Mapping[str, Integers], tap: Tap) -> tuple[F32, dict[str, Integers]]:
        """See `QuantizedEntry.run`; `tap` sees the three states and `tokenizer.gated_q`."""
        values, windows = self._convolved(frames, states[CONV])
        means, weights = self._means(_feature_mean(values), states[MEAN], states[WEIGHT])
        gated = values * self._gate(means.astype(np.float32) * self.mean_scale)[..., None]
        q = arithmetic.quantize_int8(gated.reshape(len(frames), -1), self.mix.inverse_act_scale)
        after: dict[str, Integers] = {CONV: windows, MEAN: means, WEIGHT: weights}
        for name, state in after.items():
            tap(f"{name}.next", state)
        tap("tokenizer.gated_q", q)
        x = rms_norm(self.mix(q), self.norm_weight, np.float32(self.norm_epsilon))
        return x, {name: state[-1].copy() for name, state in after.items()}

    def _convolved(self, frames: F32, before: Integers) -> tuple[F32, I16]:
        """Active features (T, C, E), and the last inputs after each frame (T, C, taps - 1)."""
        newest = arithmetic.quantize_int16(frames, inverse(self.conv_scale))
        taps = self.conv_weight.shape[1]
        windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([before, newest.T], axis=1), taps, axis=1)
        windows = windows.transpose(1, 0, 2)
        sums = windows.astype(np.int32) @ self.conv_weight.T.astype(np.int32)
        scale = self.conv_scale[:, None] * self.conv_weight_scale
        activate = activations.gelu if self.activation == "gelu" else arithmetic.silu
        return activate(sums.astype(np.float32) * scale + self.conv_bias), windows[..., 1:]

    def _means(self, x: F32, mean: Integers, weight: Integers) -> tuple[I32, I32]:
        """Counts of the means (T, C) and of their weight (T, 1) after each frame."""
        counts = x * inverse(self.mean_scale)
        means, weights = np.empty(x.shape, np.int32), np.empty((len(x), 1), np.int32)
        for t in range(len(x)):
            weights[t] = weight = arithmetic.round_to_int(self.keep * weight.astype(np.float32) + self.unit)
            rate, before = self.unit / weight.astype(np.float32), mean.astype(np.float32)
            moved = before + (counts[t] - before) * rate
            means[t] = mean = arithmetic.round_to_int(arithmetic.clamp(moved, -MEAN_HIGHEST, MEAN_HIGHEST))
        return means, weights

    def _gate(self, means: F32) -> F32:
        """Sums over neighbours from the first tap to the last, channels beyond either end being zero."""
        taps = len(self.attention)
        padded = np.pad(means, ((0, 0), (taps // 2, taps // 2)))
        total = np.zeros_like(means)
        for k in range(taps):
            total = total + self.attention[k] * padded[:, k : k + means.shape[1]]
        return activations.sigmoid(total)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by its name in the decoder."""
        own = {name: getattr(self, field) for name, field in _TENSORS.items()}
        return own | dense_tensors("tokenizer.mix", self.mix)


def _feature_mean(values: F32) -> F32:
    """Mean over the features of each channel, from the first to the last: (T, C, E) to (T, C)."""
    total = values[..., 0]
    for e in range(1, values.shape[-1]):
        total = total + values[..., e]
    return total * np.float32(1.0 / values.shape[-1])


@dataclass(frozen=True)
class TokenizerEntry(Entry):
    """The tokenizer for C channels."""

    spec: TokenizerSpec
    n_channels: int
    d_model: int
    norm_epsilon: float

    def parameter_shapes(self) -> dict[str, Shape]:
        """Names and shapes of `edgebci.training.realm.tokenizer.CausalTokenizer`."""
        spec = self.spec
        return {
            "tokenizer.conv.weight": (spec.channel_features, 1, spec.conv_taps),
            "tokenizer.conv.bias": (spec.channel_features,),
            "tokenizer.attention.weight": (1, 1, spec.attention_taps),
            "tokenizer.mix.weight": (self.d_model, self.n_channels * spec.channel_features),
            "tokenizer.mix.bias": (self.d_model,),
            "tokenizer.norm.weight": (self.d_model,),
        }

    def state_shapes(self) -> dict[str, Shape]:
        """The last frames, oldest first; the mean of each channel's features; the weight of that mean."""
        return {CONV: (self.n_channels, self.spec.conv_taps - 1), MEAN: (self.n_channels,), WEIGHT: (1,)}

    def state_types(self) -> dict[str, str]:
        """The frames are int16."""
        return {CONV: "int16", MEAN: "int32", WEIGHT: "int32"}

    def costs(self) -> Costs:
        """Attention and gates count as MACs of the state."""
        spec, features = self.spec, self.n_channels * self.spec.channel_features
        taps = spec.channel_features * spec.conv_taps
        # Scales and bias per feature, scale per channel, attention, norm; scale of the means, keep, unit.
        floats = 2 * spec.channel_features + self.n_channels + spec.attention_taps + self.d_model + 3
        return Costs(
            dense=((self.d_model, features),),
            conv_macs=features * spec.conv_taps,
            state_macs=self.n_channels * spec.attention_taps + features,
            vector_bytes=taps + _FLOAT32 * floats,
        )

    def run(
        self, weights: Mapping[str, F64], frames: F64, states: Mapping[str, F64], tap: Tap
    ) -> tuple[F64, dict[str, F64]]:
        """See `Entry.run`; `tap` sees the three states, of the frames the newest column, and `tokenizer.gated`."""
        padded = np.concatenate([states[CONV], frames.T], axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.spec.conv_taps, axis=1)
        values = np.einsum("ctk,ek->tce", windows, weights["tokenizer.conv.weight"][:, 0])
        values = values + weights["tokenizer.conv.bias"]
        values = gelu(values) if self.spec.activation == "gelu" else silu(values)
        means, counted = self._means(values.mean(axis=-1), states[MEAN], states[WEIGHT])
        gated = (values * self._gate(weights["tokenizer.attention.weight"][0, 0], means)[..., None]).reshape(
            len(frames), -1
        )
        after = {CONV: windows[:, -1, 1:], MEAN: means[-1], WEIGHT: counted[-1]}
        for name, values in zip(after, (frames, means, counted), strict=True):
            tap(f"{name}.next", values)
        tap("tokenizer.gated", gated)
        mixed = gated @ weights["tokenizer.mix.weight"].T + weights["tokenizer.mix.bias"]
        root = np.sqrt(np.mean(mixed * mixed, axis=-1, keepdims=True) + self.norm_epsilon)
        return mixed / root * weights["tokenizer.norm.weight"], after

    def _means(self, x: F64, mean: F64, weight: F64) -> tuple[F64, F64]:
        means, weights = np.empty_like(x), np.empty((len(x), 1))
        for t in range(len(x)):
            weights[t] = weight = self.spec.keep * weight + 1
            means[t] = mean = mean + (x[t] - mean) / weight
        return means, weights

    def _gate(self, attention: F64, means: F64) -> F64:
        around = len(attention) // 2
        padded = np.pad(means, ((0, 0), (around, around)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(attention), axis=1)
        return sigmoid(windows @ attention)

    def quantized(self, tensors: Mapping[str, NDArray[Any]]) -> QuantizedTokenizer:
        """Build from what `QuantizedTokenizer.tensors` gave."""
        return QuantizedTokenizer(
            **{field: tensors[name] for name, field in _TENSORS.items()},
            mix=dense_of(tensors, "tokenizer.mix"),
            activation=self.spec.activation,
            norm_epsilon=self.norm_epsilon,
        )


_TENSORS = {
    "tokenizer.conv.weight": "conv_weight",
    "tokenizer.conv.weight_scale": "conv_weight_scale",
    "tokenizer.conv.scale": "conv_scale",
    "tokenizer.conv.bias": "conv_bias",
    "tokenizer.attention.weight": "attention",
    "tokenizer.mean_scale": "mean_scale",
    "tokenizer.keep": "keep",
    "tokenizer.unit": "unit",
    "tokenizer.norm.weight": "norm_weight",
}
