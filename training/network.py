"""What every causal network decoder is: layers that carry a state, scanned in training and stepped on an implant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgebci.decoding_data import DecodingData, Floats

STREAM_FRAMES = 2048
"""Frames per piece when a long stream is decoded; bounds memory, does not change the result."""


class Network(nn.Module, ABC):
    """Frames to outputs. A state is the layer's own NamedTuple of tensors; `states` holds one for each layer."""

    readout: nn.Linear
    """The last layer: to the outputs."""
    stream_frames: int = STREAM_FRAMES

    @abstractmethod
    def initial_states(self, batch: int) -> list[Any]:
        """States of streams that have not begun."""

    @abstractmethod
    def encode(self, frames: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        """Frames (b, T, F) and the states before them, to the last layer (b, T, width) and the states after them."""

    @abstractmethod
    def decode(self, x: Tensor) -> Tensor:
        """The last layer to outputs."""

    @abstractmethod
    def step(self, frame: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        """One frame (b, F) and the states before it, to outputs (b, D) and the states after it."""

    def scan(self, frames: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        """A stretch of streams (b, T, F) and the states before it, to outputs (b, T, D) and the states after it."""
        x, states = self.encode(frames, states)
        return self.decode(x), states

    @torch.no_grad()
    def stream(self, frames: Tensor) -> Tensor:
        """One stream from its beginning, (K, F) to (K, D), in pieces of `stream_frames`."""
        states, outputs = self.initial_states(1), []
        for piece in torch.split(frames.unsqueeze(0), self.stream_frames, dim=1):
            output, states = self.scan(piece, states)
            outputs.append(output[0])
        return torch.cat(outputs)


def predict(network: Network, data: DecodingData) -> Floats:
    """Decode a whole recording (K, D) in one stream, from zero state, anew wherever the front end began anew."""
    network.eval()
    frames = torch.from_numpy(data.frames)
    pieces = [network.stream(frames[start:stop]).numpy() for start, stop in data.segments(0, len(data.frames))]
    return np.concatenate(pieces)
