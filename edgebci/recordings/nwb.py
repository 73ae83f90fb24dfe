"""Reading an NWB file through pynwb: what a conversion takes from it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pynwb

from edgebci.errors import InputError
from edgebci.recordings import hdf5_file
from edgebci.recordings.intervals import union
from edgebci.recordings.model import F64, NwbOptions, Spikes
from edgebci.recordings.nwb_series import NwbBehavior, NwbLfp, find_behavior, find_lfp

PULSE_S = 0.1
PULSE_JOIN_S = 1.0


@dataclass(frozen=True)
class NwbSession:
    """What a conversion takes from an NWB file; intervals are (K, 2) in seconds."""

    subject_id: str
    session_id: str
    lfp: NwbLfp
    behavior: tuple[NwbBehavior, ...]
    notes: tuple[str, ...]
    spikes: Spikes | None
    unit_names: tuple[str, ...]
    stimulation_s: F64
    invalid_s: F64
    trials_s: F64


@contextmanager
def open_session(path: Path, options: NwbOptions) -> Iterator[NwbSession]:
    """Open an NWB file; the LFP is read while the context lasts.

    Raises:
        InputError: missing, cut short, not NWB, without LFP, or without a series that the options name.
    """
    with hdf5_file.opened(path) as file:
        if "nwb_version" not in file.attrs:
            raise InputError(f"{path} is HDF5 but not NWB (it has no nwb_version); give an NWB or temporaldata file")
    with warnings.catch_warnings():
        # pynwb warns of schema versions and style, which the user of a foreign file can't change.
        warnings.simplefilter("ignore")
        try:
            reader = pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True)
        except Exception as error:
            raise _not_readable(path, error) from error
        with reader:
            try:
                content = reader.read()
            except Exception as error:
                raise _not_readable(path, error) from error
            yield _session(path, content, options)


def _session(path: Path, content: pynwb.NWBFile, options: NwbOptions) -> NwbSession:
    spikes, unit_names = _spikes(content)
    behavior, notes = find_behavior(path, content, options.behavior)
    return NwbSession(
        subject_id=str(content.subject.subject_id) if content.subject and content.subject.subject_id else "unknown",
        session_id=str(content.session_id or content.identifier),
        lfp=find_lfp(path, content, options.lfp),
        behavior=behavior,
        notes=notes,
        spikes=spikes,
        unit_names=unit_names,
        stimulation_s=_stimulation(content),
        invalid_s=_table_intervals(content.invalid_times),
        trials_s=_table_intervals(content.trials),
    )


def _not_readable(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:200]
    return InputError(f"pynwb can't read {path} ({reason}); check it with pynwb's validator, or copy it again")


def _spikes(content: pynwb.NWBFile) -> tuple[Spikes | None, tuple[str, ...]]:
    units = content.units
    if units is None or getattr(units, "spike_times_index", None) is None:
        return None, ()
    stops = np.asarray(units.spike_times_index.data[:], dtype=np.int64)
    counts = stops - np.concatenate([[0], stops[:-1]])
    times = np.asarray(units.spike_times_index.target.data[:], dtype=np.float64)
    index = np.repeat(np.arange(len(counts)), counts)
    return Spikes(times, index, len(counts)), tuple(f"unit {i}" for i in units.id[:])


def _stimulation(content: pynwb.NWBFile) -> F64:
    """Where any stimulus series is not zero; a pulse of unstated width counts for 100 ms, a train as one interval."""
    sets = []
    for series in content.stimulus.values():
        if (
            not isinstance(series, pynwb.TimeSeries)
            or getattr(series.data, "dtype", np.dtype(object)).kind not in "biuf"
        ):
            continue
        values = np.asarray(series.data[:])
        on = np.flatnonzero(values.reshape(len(values), -1).any(axis=1))
        times = np.asarray(series.timestamps[:]) if series.rate is None else None
        start = times[on] if times is not None else (series.starting_time or 0.0) + on / series.rate
        sets.append(np.stack([start, start + PULSE_S], axis=1))
    return union(sets, PULSE_JOIN_S)


def _table_intervals(table: Any) -> F64:
    if table is None or not len(table):
        return np.empty((0, 2))
    rows = np.stack([np.asarray(table["start_time"][:]), np.asarray(table["stop_time"][:])], axis=1).astype(np.float64)
    return rows[np.argsort(rows[:, 0], kind="stable")]
