"""What broadband alone can show: R2 over the sampling rate, and LFP against spiking-band power against spikes.

No decoder ships for other rates and signals, so each gets the same one, fitted to it: ridge on lagged features, five
contiguous folds with gaps (`edgebci.synthetic.decoding`). Spikes are threshold crossings in the noisy signal. The
world is synthetic and its spike sizes and LFP are assumed: the order of conditions is what to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.firmware_sim.electronics.conditions import SourceQuality
from edgebci.firmware_sim.electronics.front_end import rate_factor
from edgebci.firmware_sim.electronics.source import refusal
from edgebci.metrics import F64
from edgebci.pipeline.simulation.listening import (
    FRAME_HZ,
    Listener,
    PowerListener,
    SpikeListener,
    front_end,
    lfp_features,
    sbp_features,
)
from edgebci.pipeline.simulation.sweeps import Sweep, SweepPoint, knees
from edgebci.progress import Progress, silent
from edgebci.recordings import Recording
from edgebci.synthetic.broadband import BroadbandSpec, BroadbandStream, broadband_world
from edgebci.synthetic.decoding import ridge_r2
from edgebci.synthetic.signals import F32

RATES_HZ = (250.0, 500.0, 1000.0, 2000.0)
NOISE_NV = (20.0, 50.0, 100.0, 200.0, 400.0, 800.0)
RATE_NOISE_NV = 50.0
"""At which rates are compared."""
COUNT_FRAMES = 3
"""Crossings are counted over this many frames, as in the acceptance of synthetic recordings."""
SETTLING_S = 5.0
Signal = Literal["LFP", "spiking-band power", "spikes"]
BroadbandSweep = Literal["rate", "signals"]
CHUNK_S = 1.0


@dataclass(frozen=True)
class BroadbandSource:
    """A broadband signal that can be heard once, and the velocity at any times (K,): (K, D)."""

    name: str
    rate_hz: float
    n_channels: int
    duration_s: float
    chunks: Callable[[], Iterator[F32]]
    velocity: Callable[[F64], F64]
    quality: SourceQuality


class BroadbandReport(Document):
    """Sweeps over a broadband recording; nothing in them is measured on a device."""

    schema_version: Literal["edgebci.broadband/1"] = "edgebci.broadband/1"
    basis: Literal["modelled"] = "modelled"
    recording: str
    rate_hz: float
    n_channels: int
    seconds: float
    sweeps: tuple[Sweep, ...]


def from_world(spec: BroadbandSpec) -> BroadbandSource:
    """A synthetic world, made while it is heard."""
    world = broadband_world(spec)
    movement = world.movement

    def velocity(times_s: F64) -> F64:
        return np.stack([np.interp(times_s, movement.times_s, axis) for axis in movement.velocity_cm_s.T], axis=1)

    # It has no noise of a recorder, no step, and spikes up to half its rate.
    quality = SourceQuality(noise_nv_per_rthz=0.0, step_uv=0.0, band_hz=spec.rate_hz / 2)
    return BroadbandSource(
        f"synthetic, seed {spec.world.seed}",
        spec.rate_hz,
        world.spec.n_channels,
        world.spec.duration_s,
        lambda: BroadbandStream(spec, world).chunks(),
        velocity,
        quality,
    )


def from_recording(recording: Recording, behavior: str, quality: SourceQuality) -> BroadbandSource:
    """A recording of your own; raises InputError where it has no such behaviour."""
    info, series = recording.info, recording.behavior(behavior)

    def velocity(times_s: F64) -> F64:
        moments = times_s + info.start_s
        return np.stack([np.interp(moments, series.timestamps_s, axis) for axis in series.values.T], axis=1)

    return BroadbandSource(
        recording.path.name,
        info.lfp_rate_hz,
        info.n_channels,
        info.duration_s,
        lambda: (chunk for _, chunk in recording.lfp_chunks(CHUNK_S)),
        velocity,
        quality,
    )


@dataclass(frozen=True)
class _Asked:
    line: str
    x: float
    listener: Listener | None
    refused: str | None


def explore(source: BroadbandSource, sweeps: Sequence[BroadbandSweep], progress: Progress = silent) -> BroadbandReport:
    """Listen once, with every front end at the same time, and decode what each heard.

    Raises:
        InputError: the recording is too slow for spikes, or its rate is no multiple of the front ends'.
    """
    asked = {name: _rates(source) if name == "rate" else _signals(source) for name in sweeps}
    listeners = [one.listener for points in asked.values() for one in points if one.listener is not None]
    heard_s = 0.0
    for chunk in source.chunks():
        for listener in listeners:
            listener.push(chunk)
        heard_s += len(chunk) / source.rate_hz
        progress(0.9 * heard_s / source.duration_s, "listening")
    return BroadbandReport(
        recording=source.name,
        rate_hz=source.rate_hz,
        n_channels=source.n_channels,
        seconds=heard_s,
        sweeps=tuple(_decoded(name, points, source) for name, points in asked.items()),
    )


def _rates(source: BroadbandSource) -> list[_Asked]:
    asked = []
    for filtered in (True, False):
        line = "with anti-alias filter" if filtered else "without"
        for rate_hz in RATES_HZ:
            refused = refusal(source.quality, noise_nv_per_rthz=RATE_NOISE_NV, band_hz=rate_hz / 2)
            listener = None if refused else _power(source, "LFP", rate_hz, RATE_NOISE_NV, filtered)
            asked.append(_Asked(line, rate_hz, listener, refused))
    return asked


def _signals(source: BroadbandSource) -> list[_Asked]:
    kinds: tuple[Signal, ...] = ("LFP", "spiking-band power", "spikes")
    asked = []
    for kind in kinds:
        for noise_nv in NOISE_NV:
            refused = refusal(source.quality, noise_nv_per_rthz=noise_nv)
            asked.append(_Asked(kind, noise_nv, None if refused else _listener(source, kind, noise_nv), refused))
    return asked


def _listener(source: BroadbandSource, kind: Signal, noise_nv: float) -> Listener:
    if kind == "LFP":
        return _power(source, kind, 1000.0, noise_nv, filtered=True)
    if kind == "spiking-band power":
        return _power(source, kind, 2000.0, noise_nv, filtered=True)
    if source.rate_hz < 20_000:
        raise InputError(
            f"{source.name} has {source.rate_hz:g} samples per second, spikes need 20,000; give a broadband recording"
        )
    return SpikeListener(front_end(source.rate_hz, noise_nv), source.n_channels, source.rate_hz)


def _power(source: BroadbandSource, kind: Signal, rate_hz: float, noise_nv: float, filtered: bool) -> PowerListener:
    rate_factor(source.rate_hz, rate_hz)
    spec = lfp_features(rate_hz) if kind == "LFP" else sbp_features(rate_hz)
    return PowerListener(front_end(rate_hz, noise_nv, filtered), spec, source.n_channels, source.rate_hz)


def _decoded(name: BroadbandSweep, asked: Sequence[_Asked], source: BroadbandSource) -> Sweep:
    points = tuple(
        SweepPoint(
            line=one.line,
            x=one.x,
            r2=None if one.listener is None else _r2(one.listener, source),
            refused=one.refused,
        )
        for one in asked
    )
    better: Literal["more", "less"] = "more" if name == "rate" else "less"
    x_name = "samples per second" if name == "rate" else "white noise (nV/√Hz)"
    return Sweep(name=name, x_name=x_name, better=better, points=points, knees=knees(points, better))


def _r2(listener: Listener, source: BroadbandSource) -> float:
    """Mean over axes, without the first seconds."""
    frames = listener.frames()
    if isinstance(listener, SpikeListener):
        total = np.cumsum(frames, axis=0)
        total[COUNT_FRAMES:] -= total[:-COUNT_FRAMES].copy()
        frames = total
    times_s = (1 + np.arange(len(frames))) / FRAME_HZ
    kept = times_s >= SETTLING_S
    return float(ridge_r2([frames[kept].astype(np.float32)], source.velocity(times_s[kept])).mean())


def listed(text: str) -> tuple[BroadbandSweep, ...]:
    """Read `rate,signals`; raises InputError for any other."""
    known: tuple[BroadbandSweep, ...] = ("rate", "signals")
    asked = [name.strip() for name in text.split(",")]
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise InputError(f"there is no sweep {unknown[0]!r} over broadband; allowed: {', '.join(known)}")
    return tuple(name for name in known if name in asked)


def broadband_file(path: Path) -> Path:
    """The path, where it is one of ours; raises InputError for any other suffix."""
    if path.suffix != ".h5":
        raise InputError(f"{path} is no .h5 recording; convert it first: edgebci data convert {path} OUT.h5")
    return path
