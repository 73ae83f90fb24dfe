"""The broadband mode: the same world at 20 or 30 kS/s, with waveforms of spikes, as an ideal recorder would have it.

    field of the populations + background, made at 2 kS/s and interpolated
    + hash: spikes of cells beside the electrode that nobody can tell apart, in proportion to the local rate
    + waveforms of the recorded units

The low-frequency part has the densities of the LFP mode: hash has the leakage's density at 300 Hz, and the leakage
itself, which stands for spikes below half the rate of an LFP, is left out. There is no noise of electrode or amplifier
and no mains: those are conditions (`edgebci.firmware_sim.electronics`). Spikes are to be detected in the signal; the
true ones stand beside it as truth alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.signal import butter, firwin, upfirdn

from edgebci.documents import Document
from edgebci.progress import Progress, silent
from edgebci.recordings import RecordingInfo, RecordingWriter
from edgebci.synthetic import chance
from edgebci.synthetic.background import Background
from edgebci.synthetic.constants import Span, assumed, setting
from edgebci.synthetic.generator import World, draw_world
from edgebci.synthetic.lfp import KernelField
from edgebci.synthetic.signals import F32, F64, StreamFilter, power_gain, white_sd_uv
from edgebci.synthetic.specification import SyntheticSpec

FIELD_HZ = 2000.0
CHUNK_S = 1.0
HALF_TAPS = 6
"""Of the interpolation, in samples of the field, to either side."""
WAVEFORM_MS = 1.6


class BroadbandSpec(Document):
    """A world in broadband. Its own rate, electrodes' noise and mains are not used."""

    world: SyntheticSpec = SyntheticSpec(n_channels=32, duration_s=180.0, rate_hz=FIELD_HZ)
    rate_hz: float = setting(20_000.0, "sampling rate", ge=20_000.0, le=30_000.0)
    spike_median_uv: float = assumed(70.0, "median over units of the trough of a spike", ge=0.0)
    spike_log_sd: float = assumed(0.5, "spread of its logarithm", ge=0.0)
    trough_ms: Span = assumed((0.12, 0.25), "standard deviation of the trough, as a Gaussian")
    hump_fraction: float = assumed(0.4, "height of the wave that follows, over the trough's", ge=0.0, le=1.0)
    hash_corner_hz: float = assumed(3000.0, "where the density of hash falls", ge=500.0)
    seed_of_waveforms: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _fields_interpolate(self) -> BroadbandSpec:
        if self.rate_hz % FIELD_HZ:
            raise ValueError(f"rate_hz {self.rate_hz:g} is no multiple of {FIELD_HZ:g}; take 20000 or 30000")
        return self


def broadband_world(spec: BroadbandSpec) -> World:
    """Draw the world, its field at 2 kS/s."""
    return draw_world(spec.world.model_copy(update={"rate_hz": FIELD_HZ}))


class BroadbandStream:
    """The broadband signal of a world, chunk by chunk, in memory that does not grow."""

    def __init__(self, spec: BroadbandSpec, world: World) -> None:
        self._spec, self._world = spec, world
        self._factor = round(spec.rate_hz / FIELD_HZ)
        # Above 1 kHz the field is without content, but the world's kernels are drawn for any rate.
        self._field = KernelField(world.spec, world.sheet, world.maps, world.bursts)
        self._background = Background(world.spec, world.sheet)
        self._up, self._rate_up = (_Interpolation(self._factor, world.spec.n_channels) for _ in range(2))
        self._hash = _Hash(spec, world)
        self._spikes = _Waveforms(spec, world)
        electrodes = world.electrodes
        self._gain = np.where(electrodes.is_dead, 0.0, electrodes.gain).astype(np.float32)

    def chunks(self) -> Iterator[F32]:
        """(T, C) microvolt, chunk after chunk."""
        total, step = round(self._world.spec.duration_s * FIELD_HZ), round(CHUNK_S * FIELD_HZ)
        # The interpolation is late by half its length: what it needs first is made first.
        self._next(-HALF_TAPS, 2 * HALF_TAPS)
        for start in range(0, total, step):
            n = min(step, total - start)
            signal, rate = self._next(start + HALF_TAPS, n)
            signal += self._hash.next_uv(rate)
            self._spikes.add_to(signal)
            signal *= self._gain
            yield signal

    def _next(self, start: int, n: int) -> tuple[F32, F32]:
        """Field and relative rate at the broadband rate, for n samples of the field."""
        times_s = (start + np.arange(n)) / FIELD_HZ
        latents = self._world.latents
        columns = [np.interp(times_s, latents.times_s, column) for column in latents.lfp.T]
        potential, rate = self._field.next_uv(np.stack(columns, axis=1).astype(np.float32), times_s)
        potential += self._background.next_uv(n)
        return self._up.push(potential), np.maximum(self._rate_up.push(np.ascontiguousarray(rate)), 0)


class _Interpolation:
    """Band-limited interpolation by a whole factor, as a stream; late by HALF_TAPS samples of its input."""

    def __init__(self, factor: int, n_channels: int) -> None:
        self._factor = factor
        taps = firwin(2 * HALF_TAPS * factor + 1, 1 / factor) * factor
        self._taps = taps.astype(np.float32)
        self._past = np.zeros((2 * HALF_TAPS, n_channels), np.float32)

    def push(self, signal: F32) -> F32:
        """(T, C) to (T * factor, C)."""
        joined = np.concatenate([self._past, signal])
        self._past = joined[-2 * HALF_TAPS :].copy()
        upsampled = upfirdn(self._taps, np.ascontiguousarray(joined.T), up=self._factor, axis=1)
        first = 2 * HALF_TAPS * self._factor
        return np.ascontiguousarray(upsampled[:, first : first + len(signal) * self._factor].T, dtype=np.float32)


class _Hash:
    """Noise with the spectrum of many spikes, whose power follows the rate beside the electrode."""

    def __init__(self, spec: BroadbandSpec, world: World) -> None:
        leakage, rate_hz = world.spec.leakage, spec.rate_hz
        high_pass = butter(2, leakage.corner_hz, "highpass", fs=rate_hz, output="sos")
        sections = np.concatenate([high_pass, butter(2, spec.hash_corner_hz, fs=rate_hz, output="sos")])
        gain = power_gain(sections, 300.0, rate_hz)
        self._sd_uv = np.float32(white_sd_uv(leakage.density_300hz_uv2_per_hz / gain, rate_hz))
        self._filter = StreamFilter(sections, world.spec.n_channels)
        self._rng = chance.for_session(world.spec, "hash")

    def next_uv(self, relative_rate: F32) -> F32:
        """(T, C) for the rate over its mean (T, C)."""
        noise = self._rng.standard_normal(relative_rate.shape, dtype=np.float32)
        noise *= self._sd_uv * np.sqrt(relative_rate)
        return self._filter.push(noise)


class _Waveforms:
    """The spikes of the recorded units: a trough and a hump, of each unit's own size and width, on its channel."""

    def __init__(self, spec: BroadbandSpec, world: World) -> None:
        self._shapes = waveforms_uv(spec, world)
        self._channel, self._unit = world.units.channel, world.spikes.unit_index
        self._sample = np.floor(world.spikes.times_s * spec.rate_hz).astype(np.int64)
        self._start = 0
        self._late: F32 = np.zeros((self._shapes.shape[1], world.spec.n_channels), np.float32)

    def add_to(self, signal_uv: F32) -> None:
        """Add the spikes that begin in the next len(signal_uv) samples, and what is left of those before."""
        n, length = len(signal_uv), self._shapes.shape[1]
        first, last = np.searchsorted(self._sample, [self._start, self._start + n])
        both = np.concatenate([self._late, np.zeros((n, signal_uv.shape[1]), np.float32)])
        unit = self._unit[first:last]
        rows = (self._sample[first:last] - self._start)[:, None] + np.arange(length)
        np.add.at(both, (rows, self._channel[unit][:, None]), self._shapes[unit])
        signal_uv += both[:n]
        self._late, self._start = both[n:], self._start + n


def waveforms_uv(spec: BroadbandSpec, world: World) -> F32:
    """The waveform of each unit, (U, T), in microvolt."""
    rng = chance.for_subject(world.spec, "waveforms", spec.seed_of_waveforms)
    n_units = len(world.units.channel)
    peak_uv = spec.spike_median_uv * np.exp(spec.spike_log_sd * rng.standard_normal(n_units))
    width_ms = rng.uniform(*spec.trough_ms, n_units)[:, None]
    times_ms = np.arange(round(WAVEFORM_MS * spec.rate_hz / 1000)) * 1000 / spec.rate_hz - 0.4
    trough = np.exp(-0.5 * (times_ms / width_ms) ** 2)
    hump = spec.hump_fraction * np.exp(-0.5 * ((times_ms - 2.5 * width_ms) / (1.6 * width_ms)) ** 2)
    shapes: NDArray[np.float32] = (peak_uv[:, None] * (hump - trough)).astype(np.float32)
    return shapes


def synthesize_broadband(spec: BroadbandSpec, path: Path, progress: Progress = silent) -> RecordingInfo:
    """Write the broadband recording: signal, `velocity` and `position`, and as truth the spikes and the specification.

    Raises:
        InputError: no space left, or the folder can't be written.
    """
    progress(0.0, "drawing behaviour and latents")
    world = broadband_world(spec)
    names = tuple(f"ch{i:03d}" for i in range(world.spec.n_channels))
    total = world.spec.duration_s * spec.rate_hz
    with RecordingWriter(
        path,
        subject_id=f"broadband-{world.spec.seed}-{world.spec.subject}",
        session_id=f"session-{world.spec.session}",
        lfp_rate_hz=spec.rate_hz,
        channel_names=names,
    ) as writer:
        for chunk in BroadbandStream(spec, world).chunks():
            writer.append_lfp(chunk)
            progress(writer.n_samples / total, "writing the broadband signal")
        inside = world.movement.inside(world.spec.duration_s)
        series: dict[str, tuple[F64, str]] = {
            "velocity": (world.movement.velocity_cm_s, "cm/s"),
            "position": (world.movement.position_cm, "cm"),
        }
        for name, (values, unit) in series.items():
            rate_hz = world.spec.behavior.rate_hz
            writer.set_behavior(name, values[inside], unit=unit, rate_hz=rate_hz, axis_names=("x", "y"))
        writer.set_value("truth.spike_times_s", world.spikes.times_s)
        writer.set_value("truth.spike_unit", world.spikes.unit_index)
        writer.set_value("truth.unit_channel", world.units.channel)
        writer.set_value("truth.specification", spec.model_dump_json())
        return writer.close()
