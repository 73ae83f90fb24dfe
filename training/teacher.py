"""The teacher: bidirectional Mamba-2 with a place for hidden frames. It never runs on the implant."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from edgebci.decoder_spec import DecoderSpec
from edgebci.training.bidirectional import BidirectionalMamba2
from edgebci.training.model_file import ModelHeader, load_model


class TeacherLayer(nn.Module):
    """x + mixer(rms_norm(x)), looking both ways."""

    def __init__(self, spec: DecoderSpec, dropout: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(spec.d_model, spec.norm_epsilon)
        self.mixer = BidirectionalMamba2(spec.block)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(b, T, d_model) to the same."""
        changed: Tensor = x + self.dropout(self.mixer(self.norm(x)))
        return changed


class Teacher(nn.Module):
    """Masked autoencoder; `spec`'s outputs are its inputs, the features."""

    def __init__(self, spec: DecoderSpec, dropout: float = 0.0) -> None:
        super().__init__()
        self.spec = spec
        self.input = nn.Linear(spec.n_inputs, spec.d_model)
        self.mask_token = nn.Parameter(torch.zeros(spec.d_model))
        self.layers = nn.Sequential(*(TeacherLayer(spec, dropout) for _ in range(spec.n_layers)))
        self.predictor = nn.Sequential(
            nn.RMSNorm(spec.d_model, spec.norm_epsilon),
            nn.Linear(spec.d_model, 2 * spec.d_model),
            nn.GELU(),
            nn.Linear(2 * spec.d_model, spec.n_inputs),
        )

    def encode(self, frames: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Frames (b, T, F), of which `hidden` (b, T) are not shown, to the last layer's residual stream (b, T, d)."""
        x = self.input(frames)
        if hidden is not None:
            x = torch.where(hidden.unsqueeze(-1), self.mask_token, x)
        encoded: Tensor = self.layers(x)
        return encoded

    def forward(self, frames: Tensor, hidden: Tensor) -> Tensor:
        """Rebuild all frames (b, T, F) from those that are not hidden."""
        rebuilt: Tensor = self.predictor(self.encode(frames, hidden))
        return rebuilt


class TeacherHeader(ModelHeader):
    """Header of a teacher's checkpoint."""

    schema_version: Literal["edgebci.teacher/1"] = "edgebci.teacher/1"
    spec: DecoderSpec


def load_teacher(path: Path) -> Teacher:
    """Read a teacher, frozen, ready to encode; raises InputError where `path` is not one."""
    return load_model(path, TeacherHeader, lambda header: Teacher(header.spec))[0]
