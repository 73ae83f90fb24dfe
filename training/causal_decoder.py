"""The decoder that goes into the implant: linear input, causal cells, linear readout."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from edgebci.checkpoint import Checkpoint
from edgebci.decoder_spec import DecoderSpec
from edgebci.training.cells import make_cell
from edgebci.training.network import Network
from edgebci.training.network import predict as predict


class Layer(nn.Module):
    """x + mixer(rms_norm(x))."""

    def __init__(self, spec: DecoderSpec, dropout: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(spec.d_model, spec.norm_epsilon)
        self.mixer: Any = make_cell(spec.cell, spec.block)
        self.dropout = nn.Dropout(dropout)

    def scan(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """A stretch of a stream (b, T, d_model)."""
        y, state = self.mixer.scan(self.norm(x), state)
        return x + self.dropout(y), state

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One frame (b, d_model)."""
        y, state = self.mixer.step(self.norm(x), state)
        return x + y, state


class CausalDecoder(Network):
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

    def initial_states(self, batch: int) -> list[Any]:
        """States of streams that have not begun."""
        return [layer.mixer.initial_state(batch) for layer in self.blocks]

    def encode(self, frames: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
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

    def step(self, frame: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        """One frame (b, F) and the states before it, to outputs (b, D) and the states after it."""
        x, after = self.input(frame), []
        for layer, state in zip(self.blocks, states, strict=True):
            x, state = layer.step(x, state)
            after.append(state)
        return self.decode(x), after


def from_checkpoint(checkpoint: Checkpoint) -> CausalDecoder:
    """Build the decoder that a checkpoint holds, ready to predict."""
    decoder = CausalDecoder(checkpoint.spec)
    decoder.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in checkpoint.parameters.items()})
    return decoder.eval()
