"""A harder stream of frames: slow drift and artefacts, laid over held-out frames.

The generator of synthetic recordings has rest, engagement, mains, dead and noisy channels; it has no drift within a
session and no artefacts. Both are added to the normalised frames, where the decoder meets them: drift as gain and
offset of each feature, an artefact as all features at the limits of the normaliser, as a front end that hit its rails
gives them.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgebci.documents import Document
from edgebci.frame_stream import FrameStream

F64 = NDArray[np.float64]


class Disturbance(Document):
    """How far features drift, and how often an artefact comes."""

    drift_time_constant_s: float = Field(default=600.0, gt=0)
    """Correlation time of gain and offset of each feature, which are independent of the others'."""
    gain_log_sd: float = Field(default=0.15, ge=0)
    offset_sd: float = Field(default=0.3, ge=0)
    """In standard deviations of a feature."""
    artefacts_per_minute: float = Field(default=2.0, ge=0)
    artefact_s: tuple[float, float] = (0.1, 1.0)
    """Shortest and longest artefact."""
    limit_sd: float = Field(default=8.0, gt=0)
    """Where the normaliser limits features, in standard deviations."""


def disturbed(stream: FrameStream, rate_hz: float, disturbance: Disturbance, seed: int) -> FrameStream:
    """The same stream with drift and artefacts; frames inside an artefact are not scored, those after it are."""
    random = np.random.default_rng(seed)
    shape = stream.frames.shape
    gain = np.exp(disturbance.gain_log_sd * _drift(shape, rate_hz, disturbance, random))
    offset = disturbance.offset_sd * _drift(shape, rate_hz, disturbance, random)
    limit = disturbance.limit_sd
    frames = np.clip(stream.frames * gain + offset, -limit, limit)
    struck = _artefacts(len(frames), rate_hz, disturbance, random)
    frames[struck] = limit * random.choice([-1.0, 1.0], (int(struck.sum()), shape[1]))
    return dataclasses.replace(stream, frames=frames.astype(np.float32), scored=stream.scored & ~struck)


def _drift(shape: tuple[int, ...], rate_hz: float, disturbance: Disturbance, random: np.random.Generator) -> F64:
    """(T, F) of variance 1: an autoregressive process at one value per second, joined by lines."""
    seconds = np.arange(int(np.ceil(shape[0] / rate_hz)) + 2)
    keep = np.exp(-1.0 / disturbance.drift_time_constant_s)
    values = random.standard_normal((len(seconds), shape[1]))
    for k in seconds[1:]:
        values[k] = keep * values[k - 1] + np.sqrt(1 - keep**2) * values[k]
    times_s = np.arange(shape[0]) / rate_hz
    before = times_s.astype(np.int64)
    share = (times_s - before)[:, None]
    between: F64 = (1 - share) * values[before] + share * values[before + 1]
    return between


def _artefacts(
    n_frames: int, rate_hz: float, disturbance: Disturbance, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Frames (T,) inside an artefact."""
    minutes = n_frames / rate_hz / 60
    struck = np.zeros(n_frames, bool)
    for _ in range(random.poisson(disturbance.artefacts_per_minute * minutes)):
        start, length = random.integers(n_frames), random.uniform(*disturbance.artefact_s) * rate_hz
        struck[start : start + max(round(length), 1)] = True
    return struck
