"""Sizes of the transformers: how values become tokens, and what the tokens pass through."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edgebci.documents import Document

MOST_COUNTS = 5
"""Spikes per frame that have an embedding of their own; more are seen as this many."""


class TransformerSpec(Document):
    """Pre-norm blocks with rotary time, full attention and a gated MLP."""

    d_model: int = Field(default=256, gt=0)
    n_layers: int = Field(default=10, gt=0)
    n_heads: int = Field(default=8, gt=0)
    mlp_ratio: int = Field(default=4, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    rotary_base: float = Field(default=1e4, gt=1)
    norm_epsilon: float = Field(default=1e-5, gt=0)
    attention_bias: bool = True
    """With biases the paper's student has 10.57 M parameters, as counted for the published file; without, 10.56 M."""

    locality_frames: tuple[float, ...] = ()
    """For each head, over how many frames its attention falls by e before anything is learned (Press et al. 2022, arXiv
    2108.12409); (): it does not, as published. Spikes must be averaged over some 100 ms to say anything, and from
    attention that is even over the whole window, a teacher of minutes of data does not find that."""

    @model_validator(mode="after")
    def _one_locality_for_each_head(self) -> TransformerSpec:
        if self.locality_frames and len(self.locality_frames) != self.n_heads:
            raise ValueError(f"{len(self.locality_frames)} locality_frames for {self.n_heads} heads; give one for each")
        if min(self.locality_frames, default=1.0) <= 0:
            raise ValueError(f"locality_frames {self.locality_frames} must be above 0; leave them away for none")
        return self

    @model_validator(mode="after")
    def _heads_turn_in_pairs(self) -> TransformerSpec:
        if self.d_model % (2 * self.n_heads):
            raise ValueError(f"d_model {self.d_model} is no multiple of 2 * n_heads = {2 * self.n_heads}; choose one")
        return self


class TokenSpec(Document):
    """Patches of channels or units, each a token per frame."""

    kind: Literal["lfp", "spikes"]
    patch: int = Field(gt=0)
    """Channels or units in one patch (paper: 32 channels, 64 units)."""
    taps: int = Field(default=5, gt=0)
    """Of the causal convolution over time; LFP only."""
    dilation: int = Field(default=2, gt=0)
    """Frames between taps; LFP only."""


class EncoderSpec(Document):
    """Tokens and the transformer over them."""

    tokens: TokenSpec
    transformer: TransformerSpec = TransformerSpec()

    @model_validator(mode="after")
    def _patches_fill_the_width(self) -> EncoderSpec:
        if self.tokens.kind == "spikes" and self.transformer.d_model % self.tokens.patch:
            raise ValueError(
                f"patches of {self.tokens.patch} units do not divide d_model {self.transformer.d_model}, which their "
                "embeddings fill side by side; choose a divisor"
            )
        return self


class SessionPatches(Document):
    """One session that a model has embeddings for."""

    name: str
    n_patches: int = Field(gt=0)
