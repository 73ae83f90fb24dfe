"""What happens at a time and spoils the signal: each event is a few waveforms, and the weight with which each channel
hears them.

Sizes are of the user's choosing, with defaults of the order that awake animals show; none is a claim about a device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.signal import butter, sosfilt

from edgebci.documents import Document
from edgebci.synthetic.signals import F32, F64

DECAYS = 9.0
"""A decay is followed for this many time constants: to a ten-thousandth."""
EMG_SOURCES = 3


class MotionStep(Document):
    """The electrode moves: its potential jumps, by about step_uv on each channel, and comes back with decay_s."""

    kind: Literal["motion_step"]
    at_s: float = Field(ge=0)
    step_uv: float = Field(default=500.0)
    decay_s: float = Field(default=0.5, gt=0)

    @property
    def end_s(self) -> float:
        """When it is down to a twentieth."""
        return self.at_s + 3 * self.decay_s


class Chewing(Document):
    """Muscles of the jaw: noise of 20 Hz upward in bursts, from a few places, so alike on channels but not the same."""

    kind: Literal["chewing"]
    at_s: float = Field(ge=0)
    duration_s: float = Field(default=10.0, gt=0)
    emg_uv: float = Field(default=50.0, gt=0)
    """Root mean square within a burst."""
    chews_per_s: float = Field(default=1.5, gt=0)
    lowest_hz: float = Field(default=20.0, gt=0)
    highest_hz: float = Field(default=400.0, gt=0)

    @property
    def end_s(self) -> float:
        """The last burst's end."""
        return self.at_s + self.duration_s


class Stimulation(Document):
    """A train of pulses nearby, each leaving a potential that decays; the rest is what the amplifier makes of it."""

    kind: Literal["stimulation"]
    at_s: float = Field(ge=0)
    duration_s: float = Field(default=1.0, gt=0)
    pulses_per_s: float = Field(default=100.0, gt=0)
    artefact_mv: float = Field(default=20.0, gt=0)
    decay_ms: float = Field(default=1.0, gt=0)

    @property
    def end_s(self) -> float:
        """The last pulse's end."""
        return self.at_s + self.duration_s


class ReferenceFailure(Document):
    """The reference electrode loses contact: every channel gets the same noise and mains."""

    kind: Literal["reference_failure"]
    at_s: float = Field(ge=0)
    duration_s: float = Field(default=5.0, gt=0)
    noise_uv: float = Field(default=200.0, ge=0)
    noise_corner_hz: float = Field(default=10.0, gt=0)
    mains_uv: float = Field(default=200.0, ge=0)
    mains_hz: float = Field(default=50.0, gt=0)

    @property
    def end_s(self) -> float:
        """When contact is back."""
        return self.at_s + self.duration_s


AnyEvent = Annotated[MotionStep | Chewing | Stimulation | ReferenceFailure, Field(discriminator="kind")]


@dataclass(frozen=True)
class Rendered:
    """From sample `first` on, waveforms (T, K) in microvolt that channels hear with weights (K, C)."""

    first: int
    waveforms: F32
    weights: F32

    def add_to(self, signal_uv: F32, start: int) -> None:
        """Add what falls into the chunk (T, C) that begins at sample `start`."""
        first, stop = max(self.first, start), min(self.first + len(self.waveforms), start + len(signal_uv))
        if first < stop:
            part = self.waveforms[first - self.first : stop - self.first]
            signal_uv[first - start : stop - start] += part @ self.weights


def render(events: Sequence[AnyEvent], n_channels: int, rate_hz: float, seed: int) -> tuple[Rendered, ...]:
    """Draw every event; each has a stream of random numbers of its own, so that one does not change another."""
    drawn: list[Rendered] = []
    for i, event in enumerate(events):
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(7, i))))
        waveforms = _waveforms(event, rate_hz, rng)
        weights = _weights(event, waveforms.shape[1], n_channels, rng)
        first = round(event.at_s * rate_hz)
        drawn.append(Rendered(first, waveforms.astype(np.float32), weights.astype(np.float32)))
    return tuple(drawn)


def _waveforms(event: AnyEvent, rate_hz: float, rng: np.random.Generator) -> F64:
    if isinstance(event, MotionStep):
        return event.step_uv * np.exp(-_times(DECAYS * event.decay_s, rate_hz) / event.decay_s)[:, None]
    if isinstance(event, Chewing):
        return _muscle(event, rate_hz, rng)
    if isinstance(event, Stimulation):
        return _pulses(event, rate_hz)
    return _open_reference(event, rate_hz, rng)


def _weights(event: AnyEvent, n_waveforms: int, n_channels: int, rng: np.random.Generator) -> F64:
    shape = (n_waveforms, n_channels)
    draw: dict[str, Callable[[], F64]] = {
        "motion_step": lambda: 1 + 0.3 * rng.standard_normal(shape),
        # Mostly the same everywhere: the muscle is far from the array.
        "chewing": lambda: (0.9 + 0.3 * rng.standard_normal(shape)) / np.sqrt(n_waveforms),
        "stimulation": lambda: np.exp(0.5 * rng.standard_normal(shape)),
        "reference_failure": lambda: np.ones(shape),
    }
    return draw[event.kind]()


def _muscle(event: Chewing, rate_hz: float, rng: np.random.Generator) -> F64:
    times_s = _times(event.duration_s, rate_hz)
    band = event.lowest_hz, min(event.highest_hz, 0.45 * rate_hz)
    sections = butter(2, band, "bandpass", fs=rate_hz, output="sos")
    noise = sosfilt(sections, rng.standard_normal((len(times_s), EMG_SOURCES)), axis=0)
    envelope = np.maximum(np.sin(2 * np.pi * event.chews_per_s * times_s), 0.0)
    scaled: F64 = event.emg_uv * noise / noise.std(axis=0) * envelope[:, None]
    return scaled


def _pulses(event: Stimulation, rate_hz: float) -> F64:
    tail_s = DECAYS * event.decay_ms / 1000
    impulses = np.zeros(len(_times(event.duration_s + tail_s, rate_hz)))
    at = np.arange(0, event.duration_s, 1 / event.pulses_per_s)
    np.add.at(impulses, np.round(at * rate_hz).astype(int), 1.0)
    decay = np.exp(-1000 / (event.decay_ms * rate_hz))
    trace: F64 = 1000 * event.artefact_mv * sosfilt([[1, 0, 0, 1, -decay, 0]], impulses)
    return trace[:, None]


def _open_reference(event: ReferenceFailure, rate_hz: float, rng: np.random.Generator) -> F64:
    times_s = _times(event.duration_s, rate_hz)
    sections = butter(1, min(event.noise_corner_hz, 0.4 * rate_hz), fs=rate_hz, output="sos")
    noise = sosfilt(sections, rng.standard_normal(len(times_s)))
    spread = float(noise.std())
    mains = np.sqrt(2) * event.mains_uv * np.sin(2 * np.pi * event.mains_hz * times_s + rng.uniform(0, 2 * np.pi))
    return np.asarray(event.noise_uv * noise / (spread if spread > 0 else 1.0) + mains)[:, None]


def _times(duration_s: float, rate_hz: float) -> F64:
    return np.arange(max(1, round(duration_s * rate_hz))) / rate_hz
