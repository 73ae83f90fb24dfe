"""The LFP and behaviour series of an NWB file: found by name and type, with their units and times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb
from numpy.typing import NDArray
from pynwb.behavior import BehavioralTimeSeries, SpatialSeries
from pynwb.ecephys import LFP, ElectricalSeries, SpikeEventSeries
from pynwb.misc import IntervalSeries

from edgebci.documents import nearest
from edgebci.errors import InputError
from edgebci.recordings.model import F32, F64
from edgebci.recordings.timebase import Grid, fit_grid, regular_pieces

# A tracker's clock jitters by less than this share of its interval; beyond it the timestamps themselves are kept.
JITTER = 0.05


@dataclass(frozen=True)
class NwbLfp:
    """One ElectricalSeries: microvolt = stored * scale_uv (C,) + offset_uv.

    `timestamps` is None where samples follow the grid; else each belongs to the grid point nearest to it.
    """

    name: str
    data: h5py.Dataset
    grid: Grid
    timestamps: h5py.Dataset | F64 | None
    scale_uv: F64
    offset_uv: float
    channel_names: tuple[str, ...]

    @property
    def n_samples(self) -> int:
        """Grid points from the first sample to the last."""
        if self.timestamps is None:
            return int(self.data.shape[0])
        return int(self.grid.place(np.asarray(self.timestamps[-1:]))[0]) + 1

    def pieces(self, n_bytes: int) -> Iterator[tuple[int, NDArray[np.generic]]]:
        """Yield (grid point of the first sample, stored samples (T, C)) of about `n_bytes`, in order, gaps left out."""
        rows, previous = _rows(self.data, n_bytes), -1
        for start in range(0, self.data.shape[0], rows):
            stored = _read(self.data, slice(start, start + rows), self.name).reshape(-1, len(self.channel_names))
            if self.timestamps is None:
                yield start, stored
                continue
            points = self.grid.place(np.asarray(self.timestamps[start : start + rows + 1]))
            following = int(points[-1]) + (len(points) == len(stored))
            yield from regular_pieces(stored, points[: len(stored)], previous, following)
            previous = int(points[len(stored) - 1])

    def microvolt(self, stored: NDArray[np.generic]) -> F32:
        """Scale stored samples (T, C); single precision is finer than any recorder's step."""
        scaled = stored.astype(np.float32) * self.scale_uv.astype(np.float32)
        return scaled + np.float32(self.offset_uv) if self.offset_uv else scaled


@dataclass(frozen=True)
class NwbBehavior:
    """One behaviour: values (N,) or (N, D) in `unit`; rate_hz is None where only the timestamps tell its times."""

    name: str
    values: NDArray[np.generic]
    unit: str
    rate_hz: float | None
    timestamps_s: F64
    axis_names: tuple[str, ...] = ()

    @property
    def end_s(self) -> float:
        """One sampling interval after the last sample."""
        step = 1.0 / self.rate_hz if self.rate_hz else float(np.median(np.diff(self.timestamps_s)))
        return float(self.timestamps_s[-1]) + step


def _series(content: pynwb.NWBFile) -> dict[str, pynwb.TimeSeries]:
    """Every time series of the file by name; two of one name get their parent's name in front."""
    found = [o for o in content.objects.values() if isinstance(o, pynwb.TimeSeries)]
    names = [series.name for series in found]
    return {s.name if names.count(s.name) == 1 else f"{s.parent.name}/{s.name}": s for s in found}


def find_lfp(path: Path, content: pynwb.NWBFile, wanted: str | None) -> NwbLfp:
    """The ElectricalSeries called `wanted`, or the only one, or the only one in an LFP container.

    Raises:
        InputError: there is none (says what there is), several, or none of that name.
    """
    every = _series(content)
    electrical = {
        name: s for name, s in every.items() if isinstance(s, ElectricalSeries) and not isinstance(s, SpikeEventSeries)
    }
    if not electrical:
        there = ", ".join(f"{name} ({type(s).__name__})" for name, s in sorted(every.items())) or "no time series"
        raise InputError(f"{path} has no LFP: no ElectricalSeries in it; it holds {there}; give a file with LFP")
    if wanted is not None and wanted not in electrical:
        raise InputError(f"{path} has no LFP series {wanted!r}, {nearest(wanted, sorted(electrical))}")
    # What stands in an LFP container is the LFP, even beside the raw signal that it was made from.
    candidates = {n: s for n, s in electrical.items() if isinstance(s.parent, LFP)} or electrical
    if wanted is None and len(candidates) > 1:
        raise InputError(f"{path} has several LFP series: {', '.join(sorted(candidates))}; name one of them as the lfp")
    name = wanted if wanted is not None else next(iter(candidates))
    return _electrical(path, name, electrical[name])


def _electrical(path: Path, name: str, series: ElectricalSeries) -> NwbLfp:
    data = series.data
    n_channels = int(np.prod(data.shape[1:]))
    names = _electrode_names(series)
    if len(names) != n_channels:
        raise InputError(
            f"{path}: {name} has {n_channels} columns but {len(names)} electrodes; data must be (time, channel): "
            "write the file again"
        )
    if not data.shape[0]:
        raise InputError(f"{path}: {name} holds no samples; give a recording with samples")
    per_channel = 1.0 if series.channel_conversion is None else np.asarray(series.channel_conversion[:])
    timestamps = series.timestamps if series.rate is None else None
    if timestamps is not None and len(timestamps) != data.shape[0]:
        raise InputError(
            f"{path}: {name} has {data.shape[0]} samples but {len(timestamps)} timestamps; write the file again"
        )
    grid = (
        Grid(float(series.rate), float(series.starting_time or 0.0))
        if timestamps is None
        else fit_grid(timestamps, name)
    )
    return NwbLfp(
        name=name,
        data=data,
        grid=grid,
        timestamps=timestamps,
        scale_uv=np.broadcast_to(1e6 * series.conversion * per_channel, (n_channels,)).astype(np.float64),
        offset_uv=1e6 * float(series.offset or 0.0),
        channel_names=names,
    )


def _electrode_names(series: ElectricalSeries) -> tuple[str, ...]:
    """The electrode table's channel_name or label where it has one; else location and number, such as "HPC 2"."""
    table = series.electrodes.table
    rows = [int(row) for row in series.electrodes.data[:]]
    for column in ("channel_name", "label"):
        if column in table.colnames:
            return tuple(str(table[column][row]) for row in rows)
    where = [str(table["location"][row]) if "location" in table.colnames else "electrode" for row in rows]
    return tuple(f"{place} {table.id[row]}" for place, row in zip(where, rows, strict=True))


def find_behavior(
    path: Path, content: pynwb.NWBFile, wanted: tuple[str, ...]
) -> tuple[tuple[NwbBehavior, ...], tuple[str, ...]]:
    """The behaviour series called `wanted`, in that order, or all that can be read; and a note on each that can't.

    Raises:
        InputError: none is called so (says the nearest), or one that is wanted can't be read.
    """
    there = {name: s for name, s in _series(content).items() if _is_behavior(s)}
    for name in wanted:
        if name not in there:
            raise InputError(
                f"{path} has no behaviour {name!r}, {nearest(name, sorted(there))}"
                if there
                else f"{path} has no behaviour series at all, so {name!r} can't be decoded; give one with behaviour"
            )
    found, notes = [], []
    for name in wanted or sorted(there):
        try:
            found.append(_read_behavior(path, name, there[name]))
        except InputError as fault:
            if wanted:
                raise
            notes.append(f"left out: {fault}")
    return tuple(found), tuple(notes)


def _is_behavior(series: pynwb.TimeSeries) -> bool:
    """A numeric series of at most two dimensions that stands where NWB keeps behaviour."""
    numeric = getattr(series.data, "dtype", np.dtype(object)).kind in "biuf"
    if isinstance(series, ElectricalSeries | IntervalSeries) or not numeric or len(series.data.shape) > 2:
        return False
    ancestors = []
    parent = series.parent
    while parent is not None:
        ancestors.append(parent)
        parent = parent.parent
    return (
        isinstance(series, SpatialSeries)
        or any(isinstance(a, BehavioralTimeSeries) for a in ancestors)
        or any(isinstance(a, pynwb.ProcessingModule) and a.name == "behavior" for a in ancestors)
    )


def _read_behavior(path: Path, name: str, series: pynwb.TimeSeries) -> NwbBehavior:
    stored = _read(series.data, slice(None), name)
    if len(stored) < 2:
        raise InputError(f"{path}: behaviour {name!r} has {len(stored)} samples; leave it out, or give a longer one")
    rate_hz, times = _behavior_times(path, name, series, len(stored))
    n_dims = int(np.prod(stored.shape[1:]))
    return NwbBehavior(
        name=name,
        values=stored * float(series.conversion) + float(series.offset or 0.0),
        unit=str(series.unit),
        rate_hz=rate_hz,
        timestamps_s=times,
        axis_names=("x", "y", "z")[:n_dims] if isinstance(series, SpatialSeries) and n_dims in (2, 3) else (),
    )


def _behavior_times(path: Path, name: str, series: pynwb.TimeSeries, n_samples: int) -> tuple[float | None, F64]:
    """Rate in hertz, None where the timestamps do not keep to one, and the time of every sample."""
    if series.rate is not None:
        return float(series.rate), float(series.starting_time or 0.0) + np.arange(n_samples) / series.rate
    times = np.asarray(series.timestamps[:], dtype=np.float64)
    if len(times) != n_samples:
        raise InputError(f"{path}: behaviour {name!r} has {n_samples} samples but {len(times)} timestamps; correct it")
    if not np.all(np.diff(times) > 0):
        raise InputError(f"{path}: the timestamps of behaviour {name!r} do not ascend; correct them in the NWB file")
    rate_hz = float((len(times) - 1) / (times[-1] - times[0]))
    jitter = np.abs((times - times[0]) * rate_hz - np.arange(len(times))).max()
    return rate_hz if jitter < JITTER else None, times


def _read(data: h5py.Dataset, rows: slice, name: str) -> NDArray[Any]:
    try:
        return np.asarray(data[rows])
    except OSError as error:
        raise InputError(
            f"{data.file.filename}: samples of {name} can't be read ({error}); copy the file again, or write it "
            "without a filter that this computer lacks"
        ) from error


def _rows(data: h5py.Dataset, n_bytes: int) -> int:
    """Rows of about n_bytes, a multiple of the stored chunk so that none is decompressed twice."""
    rows: int = max(1, n_bytes // max(1, data.dtype.itemsize * int(np.prod(data.shape[1:]))))
    chunk: int = data.chunks[0] if data.chunks else 1
    return max(chunk, rows // chunk * chunk) if chunk <= 16 * rows else rows
