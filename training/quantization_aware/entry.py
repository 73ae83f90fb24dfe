"""The twins of entries: of the one matrix, and of REALM's tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from edgebci.operators.tokenizer import CONV, MEAN, MEAN_HIGHEST, WEIGHT, TokenizerEntry
from edgebci.training.quantization_aware.cell import Tap
from edgebci.training.quantization_aware.counting import Tensors, Values
from edgebci.training.quantization_aware.dense import Arrays, Dense, rms_norm

_INPUT = Dense("input", "input.weight", "input.bias")
_MIX = Dense("tokenizer.mix", "tokenizer.mix.weight", "tokenizer.mix.bias")
_LARGEST_TAP = 127
_CONV_STEPS = ("tokenizer.conv.scale", "tokenizer.conv.weight_scale")
_MEAN_STEP, _UNIT = "tokenizer.mean_scale", "tokenizer.unit"
_UNLIMITED = (0.0, float(2**24))


class TwinEntry(Protocol):
    """As `TwinCell`; names are those of the whole decoder."""

    @property
    def dense(self) -> tuple[Dense, ...]:
        """Its dense layers."""
        ...

    @property
    def fixed(self) -> tuple[str, ...]:
        """Names of steps that are not learned."""
        ...

    def starts(self, tensors: Arrays) -> Arrays:
        """The steps that it learns beside those of its dense layers."""
        ...

    def state_steps(self, values: Values) -> dict[str, Tensor]:
        """One count of each state, in a shape that fits (b, *state)."""
        ...

    def run(self, values: Values, frames: Tensor, states: Tensors, tap: Tap) -> tuple[Tensor, dict[str, Tensor]]:
        """Frames (b, T, n_inputs) to the residual stream (b, T, d_model), and counts of the states after them."""
        ...

    def tensors(self, values: Values) -> dict[str, Tensor]:
        """The arrays of the quantized form by their names."""
        ...


@dataclass(frozen=True)
class LinearTwin:
    """A quantizer and a dense layer."""

    dense: tuple[Dense, ...] = (_INPUT,)
    fixed: tuple[str, ...] = ()

    def starts(self, _: Arrays) -> Arrays:
        """Nothing beside its dense layer."""
        return {}

    def state_steps(self, _: Values) -> dict[str, Tensor]:
        """No states."""
        return {}

    def run(self, values: Values, frames: Tensor, _: Tensors, tap: Tap) -> tuple[Tensor, dict[str, Tensor]]:
        """See `TwinEntry.run`."""
        q = _INPUT.quantize(values, frames)
        tap("frame_q", q)
        return _INPUT(values, q), {}

    def tensors(self, values: Values) -> dict[str, Tensor]:
        """See `TwinEntry.tensors`."""
        return _INPUT.tensors(values)


@dataclass(frozen=True)
class TokenizerTwin:
    """Convolution per channel, mean over time and gate, q, one matrix, norm: see `edgebci.operators.tokenizer`.

    The mean over time is kept in int32, whose step nothing is to be gained from: it stays.
    """

    entry: TokenizerEntry
    dense: tuple[Dense, ...] = (_MIX,)
    fixed: tuple[str, ...] = (_MEAN_STEP, _UNIT)

    def starts(self, tensors: Arrays) -> Arrays:
        """Frames and taps."""
        return {name: tensors[name] for name in _CONV_STEPS}

    def state_steps(self, values: Values) -> dict[str, Tensor]:
        """One for each channel's frames, one for all means; the weight counts parts of a frame."""
        unit = 1.0 / values.steps[_UNIT]
        return {CONV: values.steps["tokenizer.conv.scale"][:, None], MEAN: values.steps[_MEAN_STEP], WEIGHT: unit}

    def run(self, values: Values, frames: Tensor, states: Tensors, tap: Tap) -> tuple[Tensor, dict[str, Tensor]]:
        """See `TwinEntry.run`."""
        features, windows = self._convolved(values, frames, states[CONV])
        means, weights = self._means(values, features.mean(dim=-1), states[MEAN], states[WEIGHT])
        gate = self._gate(values.weights["tokenizer.attention.weight"], means * values.steps[_MEAN_STEP])
        q = _MIX.quantize(values, (features * gate[..., None]).flatten(2))
        after = {CONV: windows, MEAN: means, WEIGHT: weights}
        for name, state in after.items():
            tap(f"{name}.next", state)
        tap("tokenizer.gated_q", q)
        x = rms_norm(_MIX(values, q), values.weights["tokenizer.norm.weight"], self.entry.norm_epsilon)
        return x, {name: state[:, -1] for name, state in after.items()}

    def _convolved(self, values: Values, frames: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Active features (b, T, C, E), and the last inputs after each frame (b, T, C, taps - 1)."""
        newest = values.quantized(frames, "tokenizer.conv.scale", values.states[CONV])
        taps = self.entry.spec.conv_taps
        windows = torch.cat([before, newest.transpose(1, 2)], dim=-1).unfold(-1, taps, 1).transpose(1, 2)
        scale = values.steps["tokenizer.conv.scale"][:, None] * values.steps["tokenizer.conv.weight_scale"]
        sums = windows @ _taps(values).T
        activate = functional.gelu if self.entry.spec.activation == "gelu" else functional.silu
        return activate(sums * scale + values.weights["tokenizer.conv.bias"]), windows[..., 1:]

    def _means(self, values: Values, x: Tensor, mean: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Counts of the means (b, T, C) and of their weight (b, T, 1) after each frame."""
        unit, keep = values.steps[_UNIT], torch.tensor(self.entry.spec.keep)
        limits, means, weights = (-float(MEAN_HIGHEST), float(MEAN_HIGHEST)), [], []
        for counts in (x * (1.0 / values.steps[_MEAN_STEP])).unbind(1):
            weight = values.count(keep * weight + unit, _UNIT, _UNLIMITED)
            mean = values.count(mean + (counts - mean) * (unit / weight), _MEAN_STEP, limits)
            means.append(mean)
            weights.append(weight)
        return torch.stack(means, dim=1), torch.stack(weights, dim=1)

    def _gate(self, attention: Tensor, means: Tensor) -> Tensor:
        """Over neighbouring channels, those beyond either end being zero."""
        taps = attention.shape[-1]
        padded = functional.pad(means, (taps // 2, taps // 2))
        return torch.sigmoid(padded.unfold(-1, taps, 1) @ attention[0, 0])

    def tensors(self, values: Values) -> dict[str, Tensor]:
        """See `TwinEntry.tensors`."""
        steps, weights = values.steps, values.weights
        same = {name: steps[name] for name in (*_CONV_STEPS, _MEAN_STEP, _UNIT)}
        own = {
            "tokenizer.conv.weight": _taps(values).to(torch.int8),
            "tokenizer.conv.bias": weights["tokenizer.conv.bias"],
            "tokenizer.attention.weight": weights["tokenizer.attention.weight"][0, 0],
            "tokenizer.keep": torch.tensor(self.entry.spec.keep),
            "tokenizer.norm.weight": weights["tokenizer.norm.weight"],
        }
        return own | same | _MIX.tensors(values)


def _taps(values: Values) -> Tensor:
    """Counts of the convolution's weights (E, taps)."""
    return values.weight(values.weights["tokenizer.conv.weight"][:, 0], "tokenizer.conv.weight_scale", _LARGEST_TAP)
