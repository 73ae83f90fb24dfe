"""Sizes of REALM's encoders (arXiv 2605.14867): the published ones by name, and one that fits an implant.

A tokenizer turns each frame of raw LFP (one value per channel, 100 Hz) into a token, and Mamba-2 layers mix tokens over
time: causally in a student, both ways in a teacher.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edgebci.block_spec import BlockSpec
from edgebci.documents import Document


class EncoderSpec(Document):
    """Tokenizer and layers."""

    n_channels: int = Field(default=96, gt=0, le=4096)
    """Sessions of fewer channels are filled up with zeros."""
    frame_rate_hz: float = Field(default=100.0, gt=0)
    both_ways: bool = False
    """Looks ahead as well: a teacher."""

    tokenizer: Literal["attention", "linear"] = "attention"
    """REALM's, or one matrix; the fields up to `activation` are then unused."""
    channel_features: int = Field(default=8, gt=0)
    """What the convolution, the same one for every channel, makes of a channel."""
    conv_taps: int = Field(default=3, gt=0)
    attention_taps: int = Field(default=5, gt=0)
    """Neighbouring channels that a channel's gate depends on."""
    attention_mean: Literal["exponential", "cumulative"] = "exponential"
    """The mean that causal gates follow; cumulative: since the stream began, as published."""
    attention_s: float = Field(default=10.0, gt=0)
    """Time constant of the exponential mean."""
    activation: Literal["gelu", "silu"] = "gelu"

    d_model: int = Field(default=256, gt=0)
    n_layers: int = Field(gt=0)
    expand: int = Field(default=2, gt=0)
    headdim: int = Field(default=64, gt=0)
    d_state: int = Field(default=64, gt=0)
    d_conv: int = Field(default=4, ge=2)
    block: Literal["realm", "mamba2"] = "realm"
    """Mamba-2 with REALM's changes, or as `mamba_ssm` has it, for which the implant has a kernel."""
    norm: Literal["layer", "rms"] = "layer"
    norm_epsilon: float = Field(default=1e-5, gt=0)

    preprocessing: Literal["causal", "paper"] = "causal"
    """How the frames were filtered: `paper` is zero-phase over the whole session, so every frame knows the future."""

    @model_validator(mode="after")
    def _taps_have_a_middle(self) -> EncoderSpec:
        for name in ("conv_taps", "attention_taps"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; choose an odd number, so that one tap is the middle"
                )
        return self

    @property
    def block_spec(self) -> BlockSpec:
        """Sizes and variants of one Mamba-2 block."""
        published = self.block == "realm"
        return BlockSpec(
            d_model=self.d_model,
            d_state=self.d_state,
            headdim=self.headdim,
            expand=self.expand,
            d_conv=self.d_conv,
            norm_epsilon=self.norm_epsilon,
            late_projections=published,
            rotary=published,
            input_scaled_by_dt=not published,
            gated_norm=not published,
        )

    @property
    def attention_frames(self) -> float | None:
        """Time constant of the mean in frames; None where it is cumulative."""
        return None if self.attention_mean == "cumulative" else self.attention_s * self.frame_rate_hz

    @property
    def exportable(self) -> bool:
        """Whether this encoder may run on an implant."""
        return self.why_not_exportable is None

    @property
    def why_not_exportable(self) -> str | None:
        """One sentence, or None where nothing speaks against it."""
        if self.both_ways:
            return "the encoder looks ahead in time; distil it to a causal student"
        if self.preprocessing == "paper":
            return "its frames were filtered with zero phase, which looks ahead in time; train it on causal frames"
        if self.tokenizer == "attention" and self.attention_mean == "cumulative":
            return (
                "its channel attention averages since the stream's start, so that it stops adapting within minutes; "
                "set attention_mean to exponential"
            )
        return None

    def as_published(self) -> EncoderSpec:
        """The paper's mode, for reproduction only: cumulative attention on zero-phase frames."""
        return self.model_copy(update={"attention_mean": "cumulative", "preprocessing": "paper"})

    def same_tokenizer(self, other: EncoderSpec) -> bool:
        """Whether the other's tokenizer weights fit this one."""
        names = (
            "tokenizer",
            "n_channels",
            "channel_features",
            "conv_taps",
            "attention_taps",
            "activation",
            "d_model",
            "norm",
        )
        return all(getattr(self, name) == getattr(other, name) for name in names)


REALM_S = EncoderSpec(n_layers=8, expand=1)
REALM = EncoderSpec(n_layers=10)
REALM_L = EncoderSpec(n_layers=22)
REALM_BI = EncoderSpec(n_layers=8, expand=1, both_ways=True)
REALM_BI_L = EncoderSpec(n_layers=10, both_ways=True)
"""The teacher of the published students."""
EDGE = EncoderSpec(
    channel_features=2,
    activation="silu",
    d_model=64,
    n_layers=2,
    headdim=32,
    d_state=16,
    block="mamba2",
    norm="rms",
)
"""A student for an implant; its costs are in `realm.workload`."""
EDGE_LINEAR = EDGE.model_copy(update={"tokenizer": "linear"})
"""A student whose tokenizer is one matrix and has no memory."""
EDGE_BI = EDGE.model_copy(update={"n_layers": 4, "both_ways": True})
"""A teacher whose tokenizer fits `EDGE`."""

SIZES = {
    "REALM-S": REALM_S,
    "REALM": REALM,
    "REALM-L": REALM_L,
    "REALM-bi": REALM_BI,
    "REALM-bi-L": REALM_BI_L,
    "edge": EDGE,
    "edge-linear": EDGE_LINEAR,
    "edge-bi": EDGE_BI,
}
