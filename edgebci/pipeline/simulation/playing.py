"""Playing a recording through several front ends and decoders at once, chunk by chunk, on a few threads.

The decoders are host twins: the C of the bundle, compiled. While they decode one chunk, which holds no lock of Python,
the front ends make the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgebci.features.specification import Adc, Counts
from edgebci.firmware_sim.electronics.conditions import FrontEndModel
from edgebci.firmware_sim.electronics.converter import as_counts
from edgebci.firmware_sim.electronics.front_end import FrontEndStream, rate_factor
from edgebci.firmware_sim.host_twin import DeviceRun, HostTwin
from edgebci.progress import Progress, silent
from edgebci.recordings import Recording
from edgebci.synthetic.signals import F32, F64

Bool = NDArray[np.bool_]
Portion = tuple[Counts, Bool]
CHUNK_SAMPLES = 400_000
"""Of all channels together: little enough for the cache of a core."""


class Source(Protocol):
    """What makes counts of a recording."""

    def push(self, lfp_uv: F32) -> Portion:
        """Counts (T, C) and missing (T,) for the next samples (T', C)."""
        ...


class Clean:
    """The recording as the decoder's own converter takes it, with nothing added."""

    def __init__(self, adc: Adc) -> None:
        self._adc = adc

    def push(self, lfp_uv: F32) -> Portion:
        """See `Source`."""
        return self._adc.counts(lfp_uv), np.asarray(np.isnan(lfp_uv).all(axis=1))


class Degraded:
    """The recording as a front end converts it, in counts of the decoder's converter.

    clipped: samples of each channel that the converter clipped so far, (C,); n_samples: rows so far.
    """

    def __init__(self, model: FrontEndModel, adc: Adc, n_channels: int, source_rate_hz: float) -> None:
        self._stream, self._adc = FrontEndStream(model, n_channels, source_rate_hz), adc
        self.clipped, self.n_samples = np.zeros(n_channels, np.int64), 0

    def push(self, lfp_uv: F32) -> Portion:
        """See `Source`."""
        converted = self._stream.push(lfp_uv)
        self.clipped += converted.clipped
        self.n_samples += len(converted.codes)
        return as_counts(converted.codes, self._stream.model.converter, self._adc), converted.missing

    @property
    def clipped_share(self) -> float:
        """Of all samples so far."""
        return float(self.clipped.sum()) / max(self.n_samples * len(self.clipped), 1)


class Lossy:
    """Another source whose rows get lost: `lost` (T,) of the whole recording, by sample of the decoder's rate."""

    def __init__(self, source: Source, lost: Bool) -> None:
        self._source, self._lost, self._next = source, lost, 0

    def push(self, lfp_uv: F32) -> Portion:
        """See `Source`."""
        counts, missing = self._source.push(lfp_uv)
        lost = self._lost[self._next : self._next + len(counts)]
        self._next += len(counts)
        return counts, missing | lost


@dataclass(frozen=True)
class Route:
    """Which source a decoder listens to, and the library that `compile_host` built of it."""

    source: str
    library: Path


@dataclass(frozen=True)
class Played:
    """What a decoder gave for K frames: outputs (K, D) and valid (K,)."""

    outputs: NDArray[np.float32]
    valid: Bool

    def held(self) -> F64:
        """Outputs of which every frame that is not valid repeats the last that was; zeros before there is one."""
        rows = np.maximum.accumulate(np.where(self.valid, np.arange(1, len(self.valid) + 1), 0))
        return np.concatenate([np.zeros((1, self.outputs.shape[1])), self.outputs])[rows]


def play(
    recording: Recording,
    seconds: float | None,
    sources: Mapping[str, Source],
    routes: Mapping[str, Route],
    threads: int,
    progress: Progress = silent,
) -> dict[str, Played]:
    """Play a recording, or its first seconds, from power-on; memory does not grow with its length.

    Names whose routes are equal share one decoder, which takes most of the time.
    """
    twins = {route: HostTwin(route.library) for route in dict.fromkeys(routes.values())}
    parts: dict[Route, list[DeviceRun]] = {route: [] for route in twins}
    waiting: dict[Route, Future[DeviceRun]] = {}
    with ThreadPoolExecutor(threads) as pool:
        for fraction, lfp_uv in chunks(recording, seconds):
            made = pool.map(lambda source, x=lfp_uv: source.push(x), sources.values())
            counts = dict(zip(sources, made, strict=True))
            _collect(waiting, parts)
            waiting = {route: pool.submit(twin.push, *counts[route.source]) for route, twin in twins.items()}
            progress(fraction, "front end and decoder")
        _collect(waiting, parts)
    played = {
        route: Played(np.concatenate([run.outputs for run in runs]), np.concatenate([run.valid for run in runs]))
        for route, runs in parts.items()
    }
    return {name: played[route] for name, route in routes.items()}


def chunks(recording: Recording, seconds: float | None) -> Iterator[tuple[float, F32]]:
    """The fraction done and the samples (T, C) of each chunk."""
    n = n_samples(recording, seconds)
    step = max(1, CHUNK_SAMPLES // recording.info.n_channels)
    for start in range(0, n, step):
        stop = min(start + step, n)
        yield stop / n, recording.lfp_uv(start, stop)


def n_samples(recording: Recording, seconds: float | None) -> int:
    """Samples of the recording that are played."""
    info = recording.info
    return info.n_samples if seconds is None else min(round(seconds * info.lfp_rate_hz), info.n_samples)


def clean_source(model: FrontEndModel, adc: Adc, recording: Recording) -> Source:
    """The recording with nothing added; one that is faster than the decoder goes through the filter and the sampler."""
    info = recording.info
    if rate_factor(info.lfp_rate_hz, model.rate_hz) == 1:
        return Clean(adc)
    converter = {"bits": adc.bits, "full_scale_uv": adc.uv_per_count * (1 << adc.bits)}
    ideal = FrontEndModel.model_validate(
        {"rate_hz": model.rate_hz, "converter": converter, "anti_alias": model.anti_alias}
    )
    return Degraded(ideal, adc, info.n_channels, info.lfp_rate_hz)


def _collect(waiting: Mapping[Route, Future[DeviceRun]], parts: Mapping[Route, list[DeviceRun]]) -> None:
    for route, future in waiting.items():
        run = future.result()
        # Copies: a run's arrays are views of larger ones, with the features of every frame.
        parts[route].append(DeviceRun(run.outputs.copy(), run.valid.copy(), run.features[:0].copy()))
