"""The decoder that goes into the implant: linear input, causal Mamba-2 blocks, linear readout."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from edgebci.checkpoint import Checkpoint
from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData, Floats
from edgebci.training.ssm import BlockState, Mamba2

STREAM_FRAMES = 2048
"""Frames per piece when a long stream is decoded; bounds memory, does not change the result."""


class Layer(nn.Module):
    """x + mixer(rms_norm(x))."""

    def __init__(self, spec: DecoderSpec, dropout: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(spec.d_model, spec.norm_epsilon)
        self.mixer = Mamba2(spec.block)
        self.dropout = nn.Dropout(dropout)

    def scan(self, x: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """A stretch of a stream (b, T, d_model)."""
        y, state = self.mixer.scan(self.norm(x), state)
        return x + self.dropout(y), state

    def step(self, x: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """One frame (b, d_model)."""
        y, state = self.mixer.step(self.norm(x), state)
        return x + y, state


class CausalDecoder(nn.Module):
    """Frames to outputs; the state dict's names are those of `spec.parameter_shapes()`."""

    def __init__(self, spec: DecoderSpec, dropout: float = 0.0) -> None:
        super().__init__()
        self.spec = spec
        self.input = nn.Linear(spec.n_inputs, spec.d_model)
        self.layers = nn.ModuleList(Layer(spec, dropout) for _ in range(spec.n_layers))
        self.norm = nn.RMSNorm(spec.d_model, spec.norm_epsilon)
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(spec.d_model, spec.n_outputs)

    @property
    def blocks(self) -> list[Layer]:
        """The layers, from input to readout."""
        return cast(list[Layer], list(self.layers))

    def initial_states(self, batch: int) -> list[BlockState]:
        """States of streams that have not begun."""
        return [layer.mixer.initial_state(batch) for layer in self.blocks]

    def encode(self, frames: Tensor, states: list[BlockState]) -> tuple[Tensor, list[BlockState]]:
        """Frames (b, T, F) to the last layer's residual stream (b, T, d_model)."""
        x, after = self.input(frames), []
        for layer, state in zip(self.blocks, states, strict=True):
            x, state = layer.scan(x, state)
            after.append(state)
        return x, after

    def decode(self, x: Tensor) -> Tensor:
        """The last layer's residual stream to outputs."""
        outputs: Tensor = self.readout(self.dropout(self.norm(x)))
        return outputs

    def scan(self, frames: Tensor, states: list[BlockState]) -> tuple[Tensor, list[BlockState]]:
        """A stretch of streams (b, T, F) and the states before it, to outputs (b, T, D) and the states after it."""
        x, states = self.encode(frames, states)
        return self.decode(x), states

    def step(self, frame: Tensor, states: list[BlockState]) -> tuple[Tensor, list[BlockState]]:
        """One frame (b, F) and the states before it, to outputs (b, D) and the states after it."""
        x, after = self.input(frame), []
        for layer, state in zip(self.blocks, states, strict=True):
            x, state = layer.step(x, state)
            after.append(state)
        return self.decode(x), after

    @torch.no_grad()
    def stream(self, frames: Tensor) -> Tensor:
        """One stream from its beginning, (K, F) to (K, D), in pieces of `STREAM_FRAMES`."""
        states, outputs = self.initial_states(1), []
        for piece in torch.split(frames.unsqueeze(0), STREAM_FRAMES, dim=1):
            output, states = self.scan(piece, states)
            outputs.append(output[0])
        return torch.cat(outputs)


def predict(decoder: CausalDecoder, data: DecodingData) -> Floats:
    """Decode a whole recording (K, D) in one stream, from zero state, anew wherever the front end began anew."""
    decoder.eval()
    frames = torch.from_numpy(data.frames)
    pieces = [decoder.stream(frames[start:stop]).numpy() for start, stop in data.segments(0, len(data.frames))]
    return np.concatenate(pieces)


def from_checkpoint(checkpoint: Checkpoint) -> CausalDecoder:
    """Build the decoder that a checkpoint holds, ready to predict."""
    decoder = CausalDecoder(checkpoint.spec)
    decoder.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in checkpoint.parameters.items()})
    return decoder.eval()
