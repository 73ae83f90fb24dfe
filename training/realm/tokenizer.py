"""REALM's tokenizer: frames of raw LFP to tokens, through a convolution per channel and attention over channels.

    v = activation(conv(frames))             the same taps for every channel: C channels of E features
    gate = sigmoid(conv(mean of v))          over neighbouring channels (ECA, Wang et al. 2020, arXiv 1910.03151)
    token = norm(linear(gate * v))

The mean is over a channel's features and over time: over the whole window in a teacher, over the past in a student.
Since a student's mean must go on adapting for months, it forgets with a stated time constant.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebci.training.realm.spec import EncoderSpec
from edgebci.training.running_mean import MeanState, RunningMean


class TokenizerState(NamedTuple):
    """What a causal tokenizer remembers of a stream."""

    frames: Tensor
    """Last inputs of the convolution, oldest first (b, conv_taps - 1, C)."""
    mean: MeanState
    """Of each channel's features (b, C)."""


class Tokenizer(nn.Module):
    """What both kinds share; (b, T, C) to (b, T, d_model)."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.conv = nn.Conv1d(1, spec.channel_features, spec.conv_taps)
        self.attention = nn.Conv1d(1, 1, spec.attention_taps, padding=spec.attention_taps // 2, bias=False)
        self.mix = nn.Linear(spec.n_channels * spec.channel_features, spec.d_model)
        self.norm = make_norm(spec)

    def _convolved(self, frames: Tensor) -> Tensor:
        """Frames (b, taps - 1 + T, C) to features (b, T, C, E)."""
        batch, length, channels = frames.shape
        values = self.conv(frames.transpose(1, 2).reshape(batch * channels, 1, length))
        active = functional.gelu(values) if self.spec.activation == "gelu" else functional.silu(values)
        return active.reshape(batch, channels, self.spec.channel_features, -1).permute(0, 3, 1, 2)

    def _gate(self, mean: Tensor) -> Tensor:
        """Means (..., C) to gates between 0 and 1 of the same shape."""
        gates: Tensor = torch.sigmoid(self.attention(mean.reshape(-1, 1, mean.shape[-1])))
        return gates.reshape(mean.shape)

    def _token(self, values: Tensor, gate: Tensor) -> Tensor:
        token: Tensor = self.norm(self.mix((values * gate.unsqueeze(-1)).flatten(-2)))
        return token


class CausalTokenizer(Tokenizer):
    """Knows the past only."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__(spec)
        self.mean = RunningMean(spec.attention_frames)

    def initial_state(self, batch: int) -> TokenizerState:
        """The state of a stream that has not begun: zero frames before it, and no mean yet."""
        spec, weight = self.spec, self.mix.weight
        frames = weight.new_zeros(batch, spec.conv_taps - 1, spec.n_channels)
        return TokenizerState(frames, self.mean.initial_state(batch, spec.n_channels, weight))

    def scan(self, frames: Tensor, state: TokenizerState) -> tuple[Tensor, TokenizerState]:
        """A stretch of a stream (b, T, C) and the state before it, to tokens (b, T, d_model) and the state after it."""
        window = torch.cat([state.frames, frames], dim=1)
        values = self._convolved(window)
        mean, after = self.mean.scan(values.mean(-1), state.mean)
        last = window[:, window.shape[1] - state.frames.shape[1] :]
        return self._token(values, self._gate(mean)), TokenizerState(last, after)

    def step(self, frame: Tensor, state: TokenizerState) -> tuple[Tensor, TokenizerState]:
        """One frame (b, C) and the state before it, to its token (b, d_model) and the state after it."""
        window = torch.cat([state.frames, frame.unsqueeze(1)], dim=1)
        values = self._convolved(window)[:, 0]
        mean, after = self.mean.step(values.mean(-1), state.mean)
        return self._token(values, self._gate(mean)), TokenizerState(window[:, 1:], after)


class BidirectionalTokenizer(Tokenizer):
    """Knows the whole window."""

    def forward(self, frames: Tensor) -> Tensor:
        """Whole windows (b, T, C) to tokens (b, T, d_model)."""
        around = self.spec.conv_taps // 2
        values = self._convolved(functional.pad(frames, (0, 0, around, around)))
        gate = self._gate(values.mean((1, 3)))
        return self._token(values, gate.unsqueeze(1))


class LinearTokenizer(nn.Module):
    """One matrix, without memory; the same for students and teachers."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.mix = nn.Linear(spec.n_channels, spec.d_model)

    def initial_state(self, batch: int) -> TokenizerState:
        """Nothing is remembered."""
        empty = self.mix.weight.new_zeros(batch, 0)
        return TokenizerState(empty, MeanState(empty, empty))

    def forward(self, frames: Tensor) -> Tensor:
        """Frames (..., C) to tokens (..., d_model)."""
        tokens: Tensor = self.mix(frames)
        return tokens

    def scan(self, frames: Tensor, state: TokenizerState) -> tuple[Tensor, TokenizerState]:
        """A stretch of a stream (b, T, C) to tokens (b, T, d_model)."""
        return self.mix(frames), state

    def step(self, frame: Tensor, state: TokenizerState) -> tuple[Tensor, TokenizerState]:
        """One frame (b, C) to its token (b, d_model)."""
        return self.mix(frame), state


def causal_tokenizer(spec: EncoderSpec) -> CausalTokenizer | LinearTokenizer:
    """A student's."""
    return LinearTokenizer(spec) if spec.tokenizer == "linear" else CausalTokenizer(spec)


def bidirectional_tokenizer(spec: EncoderSpec) -> BidirectionalTokenizer | LinearTokenizer:
    """A teacher's."""
    return LinearTokenizer(spec) if spec.tokenizer == "linear" else BidirectionalTokenizer(spec)


def make_norm(spec: EncoderSpec) -> nn.Module:
    """The norm that is used throughout an encoder."""
    kind = nn.LayerNorm if spec.norm == "layer" else nn.RMSNorm
    return kind(spec.d_model, spec.norm_epsilon)
