"""Every hyper-parameter of cross-modal distillation, as one document; the defaults are the published ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgebci.documents import Document
from edgebci.training.crossmodal.spec import EncoderSpec, TokenSpec, TransformerSpec
from edgebci.training.recipe import Augmentation, Misalignment, Optimiser


class TeacherRecipe(Document):
    """The spike transformer: masked autoencoding over sessions, then over the target's."""

    encoder: EncoderSpec = EncoderSpec(tokens=TokenSpec(kind="spikes", patch=64))
    predictor: TransformerSpec = TransformerSpec(d_model=192, n_layers=4)
    rate_width: int = Field(default=64, gt=0)
    """Width that tokens are projected down to before log rates."""
    mask_fraction: float = Field(default=0.6, gt=0, lt=1)
    patience_epochs: int = Field(default=50, gt=0)
    optimiser: Optimiser
    fine_tuning: Optimiser


class CausalBody(Document):
    """A causal Mamba-2 student; the rest of its spec comes from the data."""

    kind: Literal["mamba2"] = "mamba2"
    d_model: int = Field(default=64, gt=0)
    n_layers: int = Field(default=2, gt=0)
    d_state: int = Field(default=16, gt=0)
    headdim: int = Field(default=32, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    time_constants_s: tuple[float, float] = (0.02, 4.0)


class TransformerBody(Document):
    """The paper's bidirectional student."""

    kind: Literal["transformer"] = "transformer"
    encoder: EncoderSpec = EncoderSpec(tokens=TokenSpec(kind="lfp", patch=32))


class StudentRecipe(Document):
    """The LFP student: loss = task + alignment_weight (1 - cosine), or another measure of misalignment."""

    body: CausalBody | TransformerBody = Field(default=TransformerBody(), discriminator="kind")
    task: Literal["frames", "behaviour"] = "frames"
    """frames: rebuild them (unsupervised); behaviour: regress the standardised target (supervised)."""
    alignment_weight: float = Field(default=5.0, ge=0)
    """0: the same student without a teacher."""
    alignment: Misalignment = "cosine"
    """Published: cosine, which forgets how much of anything there is: a student may then know where a movement goes and
    not how fast. The study `crossmodal` compares both."""
    standardise_teacher: bool = False
    """Take the mean of each of the teacher's coordinates off, and divide by its spread, over a session's training
    frames. A teacher's vectors can be nearly the same at all times; then the cosine to them is high for a student that
    says nothing. Published: false."""
    teacher_components: int = Field(default=0, ge=0)
    """Principal components of what the teacher says that are taught, after that; 0: all of it, as published. The rest
    is chance in single spikes, for the most part; on synthetic subjects, 8 of 128 taught as much as all."""
    burn_in_frames: int = Field(default=0, ge=0)
    """Start of each window without loss: a causal student has not seen its past yet."""
    augmentation: Augmentation = Augmentation(channel_dropout=0.0, gain_spread=0.0, noise_sd=0.0)
    """Of the LFP that the student sees in training; what it rebuilds stays clean. Published: none."""
    patience_epochs: int = Field(default=50, gt=0)
    optimiser: Optimiser


class CrossModalRecipe(Document):
    """Sizes, stages, seed."""

    schema_version: Literal["edgebci.crossmodal/1"] = Field(default="edgebci.crossmodal/1", alias="schema")
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, gt=0)
    """Of torch; sums are split by it, so the result's last bits depend on it."""
    devices: int = Field(default=1, gt=0)
    """That share each batch: GPUs where there are any, else processes."""
    shift_spikes: bool = False
    """The control: spikes turned round by a long random offset, for the teacher and wherever it teaches."""
    teacher: TeacherRecipe
    student: StudentRecipe
    ridge_penalties: tuple[float, ...] = Field(default=(0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0), min_length=1)
    """Of the readout, per training frame, chosen on validation; (0.0,) is least squares, as published."""

    @property
    def shift_seed(self) -> int | None:
        """Of the control's offsets; None: spikes are where they were."""
        return self.seed if self.shift_spikes else None
