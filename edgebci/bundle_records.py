"""The parts of a bundle's manifest: what its files are, what they are worth, and what that rests on."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from pydantic import Field

from edgebci.documents import Document
from edgebci.frame_stream import FrameStream


class TensorRecord(Document):
    """An input or output of the step graphs; states are float32 in one, integers in the other."""

    name: str
    shape: tuple[int, ...]
    quantized_type: Literal["float32", "int8", "int16", "int32"]


class FileRecord(Document):
    """What a file must be."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class Accuracy(Document):
    """How well one form decodes the test interval; each dict is by output name."""

    form: str
    """torch, onnx_float, onnx_int8, host_twin, ridge, ..."""
    n_frames: int = Field(gt=0)
    r2: dict[str, float]
    pearson_r: dict[str, float]
    r2_interval_95: dict[str, tuple[float, float]] | None = None
    auroc: float | None = None
    """In detection, where R² says little."""


class Loss(Document):
    """What one form loses against another on the same frames, with a 95 % interval of the paired difference."""

    metric: Literal["mean R²", "AUROC"]
    value: float
    low: float
    high: float
    margin: float
    """What would be accepted, fixed beforehand."""
    verdict: str
    reason: str


class Provenance(Document):
    """What the figures rest on."""

    recording: str
    """Name of the file, without its folder."""
    recording_sha256: str | None
    """None where only its frames were at hand."""
    checkpoint_sha256: str
    trials: int | None = Field(ge=1)
    """Decoders that were tried on training and validation data before this one was chosen; None: nobody knows."""
    test_intervals_s: tuple[tuple[float, float], ...]
    """The test interval, opened once, after the choice."""


class CalibrationRecord(Document):
    """The frames from which the quantizer took its scales, or a block its normalisation and readout."""

    n_frames: int = Field(gt=0)
    frames_sha256: str
    """Of the frames (T, n_inputs) float32 and of where states start anew."""
    same_as_training: bool
    """Whether the checkpoint says that it was trained on these very frames."""

    @classmethod
    def of(cls, stream: FrameStream, same_as_training: bool) -> CalibrationRecord:
        """Describe the frames of one part."""
        digest = hashlib.sha256(np.ascontiguousarray(stream.frames).tobytes())
        digest.update(np.ascontiguousarray(stream.reset_before).tobytes())
        return cls(n_frames=len(stream), frames_sha256=digest.hexdigest(), same_as_training=same_as_training)


class Recalibration(Document):
    """The last time that parameters.bin was rewritten."""

    recording: str
    recording_sha256: str
    n_frames: int = Field(gt=0)
    """Of the new session, from which normalisation and readout come."""
    penalty: float
    """Of the readout's change, chosen inside those frames."""
