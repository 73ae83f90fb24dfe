"""Reading a recording in temporaldata's HDF5 layout, ours or brainsets', without loading what is not asked for.

Everything is read by `.slice(..., reset_origin=False)`: touching an array of a lazy object loads all of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from temporaldata import Data

from edgebci.documents import nearest
from edgebci.errors import InputError
from edgebci.recordings import contents, hdf5_file
from edgebci.recordings.intervals import union
from edgebci.recordings.model import (
    F32,
    F64,
    QUALITY_LABELS,
    Behavior,
    RecordingInfo,
    Spikes,
)


def open_recording(path: Path) -> Recording:
    """Open a recording for reading; use it as a context manager.

    Raises:
        InputError: there is no such file, it is cut short, it is not in temporaldata's layout, or has no LFP.
    """
    path = Path(path)
    with hdf5_file.opened(path) as file:
        if "nwb_version" in file.attrs:
            raise InputError(f"{path} is an NWB file; convert it first: edgebci data convert {path} OUT.h5")
        if contents.text(file.attrs.get("object", "")) != "Data":
            raise InputError(
                f"{path} is HDF5 but not in temporaldata's layout (it holds {contents.listed(list(file))}); "
                "give a brainsets file or the output of edgebci data convert"
            )
    try:
        data = Data.load(path)
    except (KeyError, AssertionError, ValueError) as error:
        raise InputError(
            f"{path} is not laid out as temporaldata lays out a recording ({error}); write it again"
        ) from error
    try:
        return Recording(path, data)
    except BaseException:
        data.close()
        raise


class Recording(contextlib.AbstractContextManager["Recording"]):
    """An open recording; made by `open_recording`."""

    def __init__(self, path: Path, data: Data) -> None:
        self.path = path
        self._data = data
        self._lfp = contents.find_lfp(path, data)
        self._behavior = {series.name: series for series in contents.find_behavior(data, self._lfp.group)}
        self._intervals = dict(contents.find_intervals(data))
        self.info = self._describe()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._data.close()

    def lfp_uv(self, start_sample: int, stop_sample: int) -> F32:
        """LFP samples [start_sample, stop_sample) in microvolt, (T, C); samples in a gap are NaN."""
        info = self.info
        stop = min(stop_sample, info.n_samples)
        out = np.full((max(stop - start_sample, 0), info.n_channels), np.nan, dtype=np.float32)
        # Half a sample early, so that no rounding of a time in seconds can move the slice by one.
        first, last = ((i - 0.5) / info.lfp_rate_hz + info.start_s for i in (start_sample, stop))
        if len(out):
            part = self._lfp.series.slice(first, last, reset_origin=False)
            values = getattr(part, self._lfp.field)
            offset = round((part.domain.start[0] - info.start_s) * info.lfp_rate_hz) - start_sample
            out[offset : offset + len(values)] = values.reshape(len(values), info.n_channels)
        return out * np.float32(self._microvolt) if self._microvolt != 1.0 else out

    def lfp_chunks(self, chunk_s: float = 10.0) -> Iterator[tuple[int, F32]]:
        """Yield (start_sample, (T, C) microvolt) over the whole recording, in order."""
        step = max(1, round(chunk_s * self.info.lfp_rate_hz))
        for start in range(0, self.info.n_samples, step):
            yield start, self.lfp_uv(start, start + step)

    def behavior(self, name: str) -> Behavior:
        """A behaviour series by name, all of it.

        Raises:
            InputError: there is none of that name; says which was probably meant.
        """
        if name not in self._behavior:
            raise InputError(
                f"{self.path} has no behaviour {name!r}, {nearest(name, sorted(self._behavior))}"
                if self._behavior
                else f"{self.path} has no behaviour series at all, so nothing can be decoded from it"
            )
        return self._behavior[name].read()

    def spikes(self) -> Spikes:
        """All spikes in the time of the LFP; none if nothing was sorted."""
        if "spikes" not in self._data:
            return Spikes(np.empty(0), np.empty(0, dtype=np.int64), self.info.n_units)
        part = self._data.spikes.slice(self.info.start_s, self.info.end_s, reset_origin=False)
        return Spikes(part.timestamps, part.unit_index.astype(np.int64), self.info.n_units)

    def intervals(self, name: str) -> F64:
        """Start and end times (K, 2) in seconds of a named set; `quality` is the union of its three labels.

        Raises:
            InputError: there is no set of that name. train, valid, test and the quality labels may be absent: (0, 2).
        """
        if name == "quality":
            return union([self.intervals(label) for label in QUALITY_LABELS])
        if name in self._intervals:
            part = self._intervals[name].slice(-np.inf, np.inf, reset_origin=False)
            return np.stack([part.start, part.end], axis=1).astype(np.float64)
        if name in QUALITY_LABELS or name in contents.SPLIT_NAMES:
            return np.empty((0, 2))
        raise InputError(f"{self.path} has no intervals {name!r}, {nearest(name, sorted(self._intervals))}")

    def overlap_s(self, behavior_name: str) -> tuple[float, float]:
        """Start and end of the time in which there is both LFP and this behaviour.

        Raises:
            InputError: they do not overlap at all, or there is no such behaviour.
        """
        self.behavior(behavior_name)
        series = next(b for b in self.info.behavior if b.name == behavior_name)
        start, end = max(series.start_s, self.info.start_s), min(series.end_s, self.info.end_s)
        if end <= start:
            raise InputError(
                f"{self.path}: behaviour {behavior_name!r} covers {series.start_s:g}-{series.end_s:g} s and the LFP "
                f"{self.info.start_s:g}-{self.info.end_s:g} s, which do not overlap; check the clocks of the two"
            )
        return start, end

    def _describe(self) -> RecordingInfo:
        values = self._lfp.dataset
        domain, rate = self._lfp.series.domain, float(self._lfp.series.sampling_rate)
        n_channels = int(np.prod(values.shape[1:]))
        self._microvolt = contents.microvolt_per_unit(self.path, self._lfp)
        names, good = contents.channels(self._data, n_channels)
        return RecordingInfo(
            subject_id=contents.identity(self._data, "subject"),
            session_id=contents.identity(self._data, "session"),
            lfp_rate_hz=rate,
            n_channels=n_channels,
            n_samples=values.shape[0],
            start_s=float(domain.start[0]),
            duration_s=values.shape[0] / rate,
            channel_names=names,
            good_channels=good,
            behavior=tuple(series.info() for series in self._behavior.values()),
            n_units=len(self._data.units) if "units" in self._data else 0,
            intervals=tuple(contents.interval_info(name, self.intervals(name)) for name in self._intervals),
            notes=tuple(contents.text(note) for note in np.atleast_1d(getattr(self._data, "notes", ()))),
        )
