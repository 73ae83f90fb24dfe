"""Writing a recording chunk by chunk; the file appears under its name only when it is whole."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgebci.files import replacing
from edgebci.recordings import layout
from edgebci.recordings.model import F32, F64, QUALITY_LABELS, RecordingInfo
from edgebci.recordings.recording import open_recording

CHUNK_BYTES = 1 << 20
NESTED = ("behavior", "quality", "truth")


class RecordingWriter(contextlib.AbstractContextManager["RecordingWriter"]):
    """Writes one recording; leaving the `with` block normally renames it into place, an exception removes it.

    Args:
        path: the .h5 file to make or replace.
        subject_id, session_id: names of the animal or person and of the session.
        lfp_rate_hz: sampling rate of the LFP.
        channel_names: one name for each LFP channel.
        start_s: time of the first LFP sample.

    Raises:
        InputError: no space left, or the folder can't be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        subject_id: str,
        session_id: str,
        lfp_rate_hz: float,
        channel_names: tuple[str, ...],
        start_s: float = 0.0,
    ) -> None:
        self.lfp_rate_hz, self.start_s, self.channel_names = float(lfp_rate_hz), float(start_s), tuple(channel_names)
        self.info: RecordingInfo | None = None
        self._good = np.ones(len(channel_names), dtype=bool)
        self._notes: list[str] = []
        self._gaps: list[tuple[int, int]] = []
        self._spikes: tuple[F64, NDArray[np.int64]] | None = None
        self._stack = contextlib.ExitStack()
        self._temporary = self._stack.enter_context(replacing(Path(path)))
        try:
            # No cache of chunks: they are written whole, and one that a full disk refuses must not wait for the close.
            self._file = h5py.File(self._temporary, "w", rdcc_nbytes=0)
            layout.mark_data(self._file)
            for name, identity in (("subject", subject_id), ("session", session_id)):
                layout.mark_data(self._file.create_group(name))
                self._file[name].attrs["id"] = identity
            self._lfp = _ChunkedSignal(self._file.create_group("lfp"), len(channel_names))
        except BaseException as error:
            self._abandon(error)
            raise

    @property
    def n_samples(self) -> int:
        """LFP samples appended so far."""
        return self._lfp.n_samples

    def append_lfp(self, lfp_uv: NDArray[np.floating]) -> None:
        """Append (T, C) samples in microvolt; NaN marks a missing sample."""
        self._lfp.append(np.asarray(lfp_uv, dtype=np.float32))

    def append_gap(self, n_samples: int) -> None:
        """Append samples that were never recorded: NaN in the signal, a hole in its domain, no space on disk."""
        self._gaps.append((self.n_samples, self.n_samples + n_samples))
        rows = self._lfp.rows
        for start in range(0, n_samples, rows):
            self._lfp.append(np.full((min(rows, n_samples - start), len(self.channel_names)), np.nan, np.float32))

    def set_behavior(
        self,
        name: str,
        values: ArrayLike,
        *,
        unit: str,
        rate_hz: float | None = None,
        start_s: float = 0.0,
        timestamps_s: ArrayLike | None = None,
        axis_names: tuple[str, ...] = (),
    ) -> None:
        """Add a behaviour, values (N,) or (N, D), sampled at rate_hz from start_s, or at ascending timestamps_s."""
        self.set_series(
            f"behavior.{name}",
            values,
            unit=unit,
            rate_hz=rate_hz,
            start_s=start_s,
            timestamps_s=timestamps_s,
            axis_names=axis_names,
        )

    def set_series(
        self,
        path: str,
        values: ArrayLike,
        *,
        unit: str,
        rate_hz: float | None = None,
        start_s: float = 0.0,
        timestamps_s: ArrayLike | None = None,
        axis_names: tuple[str, ...] = (),
    ) -> None:
        """Add a time series under "group.name"; ground truth goes under "truth."."""
        parent, name = self._place(path)
        array = np.atleast_1d(np.asarray(values))
        if timestamps_s is None:
            if rate_hz is None:
                raise ValueError("a series needs rate_hz or timestamps_s")
            dataset = layout.write_regular(parent, name, array, rate_hz=rate_hz, start_s=start_s, unit=unit)
        else:
            times = np.asarray(timestamps_s, dtype=np.float64)
            domain = np.array([[times[0], times[-1] + float(np.median(np.diff(times)))]])
            dataset = layout.write_irregular(parent, name, times, {layout.VALUES: array}, domain)[layout.VALUES]
            dataset.attrs["unit"] = unit
        dataset.attrs["axis_names"] = np.array([a.encode() for a in axis_names], dtype="S")

    def set_value(self, path: str, value: str | float | NDArray[np.generic]) -> None:
        """Add a small value under "group.name": text or a number as an attribute, an array as a dataset."""
        parent, name = self._place(path)
        if isinstance(value, np.ndarray):
            layout.flush(parent.create_dataset(name, data=value))
        else:
            parent.attrs[name] = value

    def set_spikes(self, times_s: ArrayLike, unit_index: ArrayLike, unit_names: tuple[str, ...]) -> None:
        """Add spike times (S,) of all units and the unit (S,) of each; those outside the LFP are left out."""
        times, index = np.asarray(times_s, dtype=np.float64), np.asarray(unit_index, dtype=np.int64)
        order = np.argsort(times, kind="stable")
        self._spikes = times[order], index[order]
        layout.write_table(self._file, "units", {"id": np.array(unit_names, dtype=str)})

    def set_intervals(self, name: str, intervals_s: ArrayLike) -> None:
        """Add (K, 2) ascending intervals in seconds.

        train, valid and test become `train_domain` and so on (brainsets' names); stimulation, rail and dropout
        stand in `quality`; any other name stands at the top.
        """
        intervals = np.asarray(intervals_s, dtype=np.float64).reshape(-1, 2)
        if name in QUALITY_LABELS:
            parent, name = self._place(f"quality.{name}")
        else:
            parent, name = self._file, f"{name}_domain" if name in ("train", "valid", "test") else name
        layout.write_interval(parent, name, intervals)

    def set_good_channels(self, good: ArrayLike) -> None:
        """Say for each channel whether it carries a signal, (C,) bool; all do unless said."""
        self._good = np.asarray(good, dtype=bool)

    def add_note(self, sentence: str) -> None:
        """Keep a sentence that whoever uses the recording should read."""
        self._notes.append(sentence)

    def close(self) -> RecordingInfo:
        """Finish the file, reopen it with temporaldata as a check, and rename it into place."""
        self._finish()
        with open_recording(self._temporary) as recording:
            self.info = recording.info
        self._stack.close()
        return self.info

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and self.info is None:
            try:
                self.close()
            except BaseException as failure:
                self._abandon(failure)
                raise
        elif error is not None:
            self._abandon(error)

    def _abandon(self, error: BaseException) -> None:
        # HDF5 writes what it still holds when it closes, and crashes at exit if it can't: on a full disk it needs the
        # space that the doomed file takes.
        with contextlib.suppress(OSError):
            os.truncate(self._temporary, 0)
        with contextlib.suppress(OSError, RuntimeError, AttributeError):
            self._file.close()
        self._stack.__exit__(type(error), error, error.__traceback__)

    def _finish(self) -> None:
        domain = self._domain()
        self._lfp.flush()
        layout.finish_regular(self._file["lfp"], self.lfp_rate_hz, domain)
        layout.write_interval(self._file, "domain", domain)
        for name in NESTED:
            if name in self._file:
                layout.write_interval(self._file[name], "domain", domain)
        layout.write_table(self._file, "channels", {"id": np.array(self.channel_names, dtype=str), "good": self._good})
        self._write_spikes(domain)
        self._file.attrs["notes"] = np.array([n.encode() for n in self._notes], dtype="S" if self._notes else "S1")
        layout.flush(self._file)
        self._file.close()

    def _write_spikes(self, domain_s: F64) -> None:
        if self._spikes is None:
            return
        times, index = self._spikes
        inside = (times >= domain_s[0, 0]) & (times < domain_s[-1, 1])
        group = layout.write_irregular(self._file, "spikes", times[inside], {"unit_index": index[inside]}, domain_s)
        group["unit_index"].attrs["unit"] = "unit"

    def _domain(self) -> F64:
        """The stretches (K, 2) in seconds between the gaps."""
        edges = [0, *(edge for gap in self._gaps for edge in gap), self.n_samples]
        stretches = np.array(edges, dtype=np.float64).reshape(-1, 2)
        if np.any(stretches[:, 1] <= stretches[:, 0]):
            raise ValueError("a recording begins and ends with a sample, and one gap is not followed by another")
        domain: F64 = self.start_s + stretches / self.lfp_rate_hz
        return domain

    def _place(self, path: str) -> tuple[h5py.Group, str]:
        group, _, name = path.rpartition(".")
        if group not in NESTED:
            raise ValueError(f"{path!r} must start with one of {', '.join(NESTED)}")
        if group not in self._file:
            layout.mark_data(self._file.create_group(group))
        return self._file[group], name


class _ChunkedSignal:
    """The LFP dataset, written in whole chunks; a chunk of nothing but NaN is not stored."""

    def __init__(self, group: h5py.Group, n_channels: int) -> None:
        self.rows = max(1, CHUNK_BYTES // (4 * n_channels))
        self.n_samples = 0
        self._pending = np.empty((0, n_channels), dtype=np.float32)
        self._written = 0
        self._dataset = group.create_dataset(
            layout.SIGNAL,
            shape=(0, n_channels),
            maxshape=(None, n_channels),
            chunks=(self.rows, n_channels),
            dtype="float32",
            fillvalue=np.nan,
        )
        self._dataset.attrs["unit"] = "uV"

    def append(self, block: F32) -> None:
        """Take (T, C) samples and write every chunk that they fill."""
        self.n_samples += len(block)
        whole = np.concatenate([self._pending, block]) if len(self._pending) else block
        full = len(whole) // self.rows * self.rows
        for start in range(0, full, self.rows):
            self._write(whole[start : start + self.rows])
        # A copy, so that a large block is not kept alive by its last rows.
        self._pending = whole[full:].copy()

    def flush(self) -> None:
        """Write the rest, which fills its chunk only partly."""
        self._write(self._pending)
        self._pending = self._pending[:0]

    def _write(self, block: F32) -> None:
        self._dataset.resize(self._written + len(block), axis=0)
        # NaN is the fill value: a chunk that was never written reads as missing samples.
        if len(block) and not (np.isnan(block[0, 0]) and np.isnan(block).all()):
            self._dataset[self._written : self._written + len(block)] = block
        self._written += len(block)
