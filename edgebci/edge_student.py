"""The reference decoder that speed, size and power are reported for: sizes and features, without trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document, load_toml
from edgebci.features.specification import Counts, FeatureSpec

SIGNAL_UV = 60.0
SLOW_HZ = 5.0
"""Corner of the first-order low-pass that makes white noise look like LFP."""


class EdgeStudent(Document):
    """A decoder with its front end: `examples/edge_student.toml`."""

    schema_version: Literal["edgebci.edge_student/1"] = Field(alias="schema")
    n_channels: int = Field(gt=0, le=1024)
    features: FeatureSpec
    decoder: DecoderSpec

    @model_validator(mode="after")
    def _decoder_takes_the_features(self) -> EdgeStudent:
        n_features = self.features.n_features(self.n_channels)
        if self.decoder.n_inputs != n_features:
            raise ValueError(
                f"decoder.n_inputs is {self.decoder.n_inputs}, but {self.n_channels} channels have {n_features} "
                f"features; set n_inputs = {n_features}"
            )
        return self


def load_edge_student(path: Path) -> EdgeStudent:
    """Read the TOML; raises InputError as load_toml does."""
    return load_toml(path, EdgeStudent)


def lfp_like_counts(student: EdgeStudent, n_frames: int, seed: int) -> Counts:
    """Counts (n_frames * samples_per_frame, C) of slow noise, half of it common to all channels, as LFP is.

    It stands in for a recording where only bits, time and size count.
    """
    from scipy import signal

    rng = np.random.default_rng(seed)
    features, n_channels = student.features, student.n_channels
    shape = (n_frames * features.samples_per_frame, n_channels)
    white: NDArray[np.float64] = rng.standard_normal(shape) + rng.standard_normal((shape[0], 1))
    keep = float(np.exp(-2 * np.pi * SLOW_HZ / features.rate_hz))
    slow = signal.lfilter([np.sqrt(1 - keep**2)], [1.0, -keep], white, axis=0)
    return features.adc.counts(SIGNAL_UV / np.sqrt(2) * slow)
