"""REALM's encoders, and the linear decoder on top.

A layer adds to the residual stream: x + drop_path(dropout(mixer(norm(x)))). What a student aligns to a teacher is the
stream after the last layer; what a readout sees is that stream after the final norm.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple, cast

from torch import Tensor, nn

from edgebci.errors import InputError
from edgebci.training.bidirectional import BidirectionalMamba2
from edgebci.training.realm.regularisation import DropPath, Regularisation
from edgebci.training.realm.spec import EncoderSpec
from edgebci.training.realm.tokenizer import TokenizerState, bidirectional_tokenizer, causal_tokenizer, make_norm
from edgebci.training.ssm import BlockState, Mamba2


class EncoderState(NamedTuple):
    """What a causal encoder remembers of a stream."""

    tokenizer: TokenizerState
    layers: tuple[BlockState, ...]


class Layer(nn.Module):
    """The norm before a mixer, and what may be dropped after it."""

    def __init__(self, spec: EncoderSpec, mixer: nn.Module, dropout: float, drop_path: float) -> None:
        super().__init__()
        self.norm = make_norm(spec)
        self.mixer = mixer
        self.dropped = nn.Sequential(nn.Dropout(dropout), DropPath(drop_path))


class CausalLayer(Layer):
    """Mixes over the past."""

    mixer: Mamba2

    def scan(self, x: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """A stretch of a stream (b, T, d_model)."""
        y, state = self.mixer.scan(self.norm(x), state)
        return x + self.dropped(y), state

    def step(self, x: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """One token (b, d_model)."""
        y, state = self.mixer.step(self.norm(x), state)
        return x + y, state


class BidirectionalLayer(Layer):
    """Mixes over the window."""

    def forward(self, x: Tensor) -> Tensor:
        """(b, T, d_model) to the same."""
        changed: Tensor = x + self.dropped(self.mixer(self.norm(x)))
        return changed


class Encoder(nn.Module):
    """Frames to the residual stream."""

    def __init__(self, spec: EncoderSpec, dropout: float) -> None:
        super().__init__()
        self.spec = spec
        self.dropout = nn.Dropout(dropout)
        self.norm = make_norm(spec)

    @abstractmethod
    def forward(self, frames: Tensor) -> Tensor:
        """Whole streams (b, T, C) to the residual stream after the last layer (b, T, d_model)."""


class CausalEncoder(Encoder):
    """A student."""

    def __init__(self, spec: EncoderSpec, regularisation: Regularisation) -> None:
        super().__init__(spec, regularisation.dropout)
        self.tokenizer = causal_tokenizer(spec)
        self.layers = nn.ModuleList(
            CausalLayer(spec, Mamba2(spec.block_spec), regularisation.dropout, drop_path)
            for drop_path in regularisation.drop_paths(spec.n_layers)
        )

    @property
    def blocks(self) -> list[CausalLayer]:
        """The layers, from first to last."""
        return cast(list[CausalLayer], list(self.layers))

    def initial_state(self, batch: int) -> EncoderState:
        """States of streams that have not begun."""
        layers = tuple(layer.mixer.initial_state(batch) for layer in self.blocks)
        return EncoderState(self.tokenizer.initial_state(batch), layers)

    def forward(self, frames: Tensor) -> Tensor:
        """Whole streams from their beginning, (b, T, C) to (b, T, d_model)."""
        return self.scan(frames, self.initial_state(len(frames)))[0]

    def scan(self, frames: Tensor, state: EncoderState) -> tuple[Tensor, EncoderState]:
        """A stretch of streams (b, T, C) and the state before it, to (b, T, d_model) and the state after it."""
        tokens, tokenizer = self.tokenizer.scan(frames, state.tokenizer)
        x, after = self.dropout(tokens), []
        for layer, before in zip(self.blocks, state.layers, strict=True):
            x, block = layer.scan(x, before)
            after.append(block)
        return x, EncoderState(tokenizer, tuple(after))

    def step(self, frame: Tensor, state: EncoderState) -> tuple[Tensor, EncoderState]:
        """One frame (b, C) and the state before it, to (b, d_model) and the state after it."""
        x, tokenizer = self.tokenizer.step(frame, state.tokenizer)
        after = []
        for layer, before in zip(self.blocks, state.layers, strict=True):
            x, block = layer.step(x, before)
            after.append(block)
        return x, EncoderState(tokenizer, tuple(after))


class BidirectionalEncoder(Encoder):
    """A teacher."""

    def __init__(self, spec: EncoderSpec, regularisation: Regularisation) -> None:
        super().__init__(spec, regularisation.dropout)
        self.tokenizer = bidirectional_tokenizer(spec)
        self.layers = bidirectional_layers(spec, regularisation)

    def forward(self, frames: Tensor) -> Tensor:
        """Whole windows (b, T, C) to (b, T, d_model)."""
        return self.mixed(self.tokenizer(frames))

    def mixed(self, tokens: Tensor) -> Tensor:
        """Tokens (b, T, d_model) to the residual stream after the last layer."""
        x: Tensor = self.layers(self.dropout(tokens))
        return x


def bidirectional_layers(spec: EncoderSpec, regularisation: Regularisation) -> nn.Sequential:
    """New layers that mix both ways."""
    return nn.Sequential(
        *(
            BidirectionalLayer(
                spec, BidirectionalMamba2(spec.block_spec, joined_norm=True), regularisation.dropout, drop_path
            )
            for drop_path in regularisation.drop_paths(spec.n_layers)
        )
    )


def make_encoder(
    spec: EncoderSpec, regularisation: Regularisation | None = None
) -> CausalEncoder | BidirectionalEncoder:
    """The encoder of these sizes, new; without regularisation nothing is dropped."""
    kind = BidirectionalEncoder if spec.both_ways else CausalEncoder
    return kind(spec, regularisation or Regularisation(dropout=0.0, drop_path=0.0))


class RealmDecoder(nn.Module):
    """Encoder, linear head, and as an option a linear path from the raw frame to the outputs."""

    def __init__(self, encoder: CausalEncoder | BidirectionalEncoder, n_outputs: int, raw_skip: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.spec.d_model, n_outputs)
        self.skip = nn.Linear(encoder.spec.n_channels, n_outputs) if raw_skip else None

    def forward(self, frames: Tensor) -> Tensor:
        """Whole streams (b, T, C) to outputs (b, T, D)."""
        return self.read(self.encoder(frames), frames)

    def initial_state(self, batch: int) -> EncoderState:
        """States of streams that have not begun; raises InputError where the encoder looks ahead."""
        return self._causal().initial_state(batch)

    def scan(self, frames: Tensor, state: EncoderState) -> tuple[Tensor, EncoderState]:
        """A stretch of streams (b, T, C) and the state before it, to outputs (b, T, D) and the state after it."""
        x, state = self._causal().scan(frames, state)
        return self.read(x, frames), state

    def step(self, frame: Tensor, state: EncoderState) -> tuple[Tensor, EncoderState]:
        """One frame (b, C) and the state before it, to outputs (b, D) and the state after it."""
        x, state = self._causal().step(frame, state)
        return self.read(x, frame), state

    def read(self, x: Tensor, frames: Tensor) -> Tensor:
        """The residual stream (..., d_model) and the frames that it came from (..., C), to outputs (..., D)."""
        outputs: Tensor = self.head(self.encoder.norm(x))
        return outputs if self.skip is None else outputs + self.skip(frames)

    def _causal(self) -> CausalEncoder:
        if not isinstance(self.encoder, CausalEncoder):
            raise InputError(f"the decoder cannot run as a stream: {self.encoder.spec.why_not_exportable}")
        return self.encoder
