"""LFP students: the paper's bidirectional transformer and the causal Mamba-2 decoder that an implant can run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.training.causal_decoder import CausalDecoder
from edgebci.training.crossmodal.corpus import Windows
from edgebci.training.crossmodal.recipe import CausalBody, TransformerBody
from edgebci.training.crossmodal.spec import SessionPatches
from edgebci.training.crossmodal.transformer import PatchEncoder

CAUSAL_PATCH = 1
"""The causal student sees whole frames; its channels are not grouped."""


class CausalEncoder(nn.Module):
    """The causal decoder up to what its readout sees."""

    def __init__(self, recipe: CausalBody, n_channels: int, n_outputs: int) -> None:
        super().__init__()
        self.width = recipe.d_model
        sizes = recipe.model_dump(include={"d_model", "n_layers", "d_state", "headdim"})
        names = tuple(f"output {i}" for i in range(n_outputs))
        spec = DecoderSpec(n_inputs=n_channels, output_names=names, output_unit="standardised", **sizes)
        self.decoder = CausalDecoder(spec, recipe.dropout)

    def forward(self, windows: Windows) -> Tensor:
        """Each frame's vector (b, T, d), from zero state at the start of the window."""
        frames = windows.values.flatten(2)
        missing = self.decoder.spec.n_inputs - frames.shape[-1]
        if missing < 0:
            raise InputError(
                f"a session has {frames.shape[-1]} channels where the student has {frames.shape[-1] + missing} inputs; "
                "choose fewer channels"
            )
        x, _ = self.decoder.encode(nn.functional.pad(frames, (0, missing)), self.decoder.initial_states(len(frames)))
        normed: Tensor = self.decoder.norm(x)
        return normed


class Student(nn.Module):
    """A body, a head for its task, and a projection to the teacher where widths differ."""

    def __init__(
        self,
        body: CausalBody | TransformerBody,
        task: Literal["frames", "behaviour"],
        sessions: Sequence[SessionPatches],
        n_channels: int,
        n_outputs: int,
        teacher_width: int,
    ) -> None:
        super().__init__()
        self.recipe_body, self.task, self.sessions = body, task, tuple(sessions)
        self.n_channels, self.teacher_width = n_channels, teacher_width
        self.body: CausalEncoder | PatchEncoder
        if isinstance(body, TransformerBody):
            self.body = PatchEncoder(body.encoder, sessions)
            self.head = nn.Linear(self.body.width, n_outputs)
        else:
            self.body = CausalEncoder(body, n_channels, n_outputs)
            self.head = self.body.decoder.readout
        same = teacher_width in (0, self.body.width)
        self.to_teacher = nn.Identity() if same else nn.Linear(self.body.width, teacher_width)

    def forward(self, windows: Windows) -> Tensor:
        """The representation (b, T, d)."""
        seen: Tensor = self.body(windows)
        return seen


def patch_of(body: CausalBody | TransformerBody) -> int:
    """Channels that a body takes together."""
    return body.encoder.tokens.patch if isinstance(body, TransformerBody) else CAUSAL_PATCH
