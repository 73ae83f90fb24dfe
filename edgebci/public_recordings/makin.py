"""A Makin session as our recording: behaviour and spikes of its .mat, LFP from its 24.4 kHz broadband.

Layout as Zenodo's descriptions of 583331 and its supplements state it, and as h5py sees it: MATLAB v7.3 is HDF5 with
every array transposed, cells are references, and an empty cell is a dataset that only its attribute MATLAB_empty tells
from one with two spikes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.progress import Progress, silent
from edgebci.public_recordings.decimation import PASS, CausalDecimator
from edgebci.public_recordings.lfp import LFP_RATE_HZ, Block, write_lfp, write_split
from edgebci.recordings import RecordingInfo, RecordingWriter
from edgebci.recordings.hdf5_file import opened
from edgebci.recordings.model import F64

BLOCK_ROWS = 32_768
"""Of broadband read at once: 1.3 s; with 96 channels 25 MB as float64."""
BROADBAND = "acquisition/timeseries/broadband"
FINGER_AXES = ("z", "-x", "-y", "azimuth", "elevation", "roll")


@dataclass(frozen=True)
class MakinBehavior:
    """What a .mat holds."""

    times_s: F64
    """(K,), 250 Hz."""
    cursor_mm: F64
    """(K, 2)."""
    target_mm: F64
    """(K, 2)."""
    finger_cm: F64
    """(K, 3 or 6)."""
    channel_names: tuple[str, ...]
    """For example "M1 001"."""
    spikes_s: F64
    """All spikes, unit by unit."""
    spike_unit: NDArray[np.int64]
    unit_names: tuple[str, ...]
    """The first of each channel holds the threshold crossings that were not sorted."""

    @property
    def velocity_mm_s(self) -> F64:
        """Central differences of the cursor, as the papers take them."""
        velocity: F64 = np.gradient(self.cursor_mm, self.times_s, axis=0)
        return velocity

    @property
    def reaches_s(self) -> F64:
        """From one change of target to the next (R, 2)."""
        changed = np.flatnonzero(np.any(np.diff(self.target_mm, axis=0) != 0, axis=1)) + 1
        edges = self.times_s[changed]
        return np.stack([edges[:-1], edges[1:]], axis=1)


@dataclass(frozen=True)
class Broadband:
    """An open NWB 1.0.6 file of broadband."""

    data: h5py.Dataset
    timestamps: h5py.Dataset
    rate_hz: float
    uv_per_count: float

    @property
    def shape(self) -> tuple[int, int]:
        """Samples, channels."""
        return self.data.shape[0], self.data.shape[1]

    def blocks(self) -> Iterator[Block]:
        """All samples in order, a little at a time."""
        for start in range(0, self.shape[0], BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            yield Block(np.ravel(self.timestamps[rows]).astype(np.float64), self.data[rows])


def convert_makin(
    mat: Path, nwb: Path, out: Path, lfp_rate_hz: float = LFP_RATE_HZ, progress: Progress = silent
) -> RecordingInfo:
    """Convert one session; memory does not grow with its length, beyond its behaviour and spikes.

    Intervals: `trials` are the reaches, `task` runs from the first change of target to the last (what the papers use).

    Raises:
        InputError: a file is missing, cut short or laid out otherwise, the two disagree, or no space is left.
    """
    behavior = read_behavior(mat)
    with open_broadband(nwb) as broadband:
        names = _names(mat, nwb, behavior, broadband.shape[1])
        first_s = float(np.ravel(broadband.timestamps[:1])[0])
        decimator = CausalDecimator(broadband.rate_hz, lfp_rate_hz, first_s)
        with RecordingWriter(
            out,
            subject_id=mat.stem.partition("_")[0],
            session_id=mat.stem,
            lfp_rate_hz=lfp_rate_hz,
            channel_names=names,
            start_s=decimator.start_s,
        ) as writer:
            writer.add_note(
                f"LFP: broadband of {broadband.rate_hz:g} Hz, causal elliptic low-pass to {PASS * lfp_rate_hz:g} Hz, "
                "not referenced"
            )
            _write_behavior(writer, behavior)
            write_lfp(writer, broadband.blocks(), decimator, broadband.uv_per_count, broadband.shape[0], progress)
            write_split(writer, behavior.times_s)
            return writer.close()


@contextmanager
def open_broadband(path: Path) -> Iterator[Broadband]:
    """Open the broadband of a session.

    Raises:
        InputError: not HDF5, or no samples with timestamps and `conversion` (volts per count) where NWB 1.0.6 has them.
    """
    with opened(path) as file:
        data, timestamps = (file.get(f"{BROADBAND}/{name}") for name in ("data", "timestamps"))
        if data is None or timestamps is None or "conversion" not in data.attrs or data.ndim != 2:
            raise InputError(
                f"{path} has no {BROADBAND}/data (samples x channels) with timestamps and conversion; "
                "give the broadband .nwb that belongs to the session"
            )
        if timestamps.size != data.shape[0] or data.shape[0] < 2:
            raise InputError(
                f"{path} has {data.shape[0]} samples but {timestamps.size} timestamps; copy it again from where it came"
            )
        period_s = float(np.median(np.diff(np.ravel(timestamps[:BLOCK_ROWS]))))
        if not period_s > 0:
            raise InputError(f"the timestamps of {path} do not ascend; copy it again from where it came")
        yield Broadband(data, timestamps, 1 / period_s, 1e6 * float(np.ravel(data.attrs["conversion"])[0]))


def read_behavior(path: Path) -> MakinBehavior:
    """Read a session's .mat; waveforms, most of its bytes, are left alone.

    Raises:
        InputError: not MATLAB v7.3, or a variable is missing or of another shape.
    """
    with opened(path) as file:
        missing = [n for n in ("t", "cursor_pos", "target_pos", "finger_pos", "spikes", "chan_names") if n not in file]
        if missing:
            raise InputError(f"{path} has no variable {missing[0]!r}; give a session of the Makin recordings")
        times_s = np.ravel(file["t"][:]).astype(np.float64)
        names = tuple(_text(file[reference]) for reference in np.ravel(file["chan_names"][:]))
        spikes_s, spike_unit, unit_names = _spikes(path, file, names)
        cursor, target, finger = (_columns(path, file, n, len(times_s)) for n in _POSITIONS)
        return MakinBehavior(times_s, cursor, target, finger, names, spikes_s, spike_unit, unit_names)


_POSITIONS = ("cursor_pos", "target_pos", "finger_pos")


def _columns(path: Path, file: h5py.File, name: str, n_times: int) -> F64:
    """A variable k x n of MATLAB (stored n x k) as (k, n)."""
    values: F64 = np.asarray(file[name][:], dtype=np.float64).T
    if values.ndim != 2 or len(values) != n_times:
        raise InputError(f"{path}: {name} is {values.shape} where {n_times} rows belong, one for each time in t")
    return values


def _text(characters: h5py.Dataset) -> str:
    """A MATLAB string, stored as one number per character."""
    return "".join(chr(c) for c in np.ravel(characters[:])).strip()


def _spikes(
    path: Path, file: h5py.File, channel_names: tuple[str, ...]
) -> tuple[F64, NDArray[np.int64], tuple[str, ...]]:
    """Times of all spikes (S,), the unit of each (S,), and the units' names; units without a spike are left out."""
    cells = file["spikes"][:]
    if cells.ndim != 2 or cells.shape[1] != len(channel_names):
        raise InputError(
            f"{path}: spikes are {cells.shape[::-1]} cells for {len(channel_names)} channels; get it again"
        )
    times: list[F64] = []
    names: list[str] = []
    for channel, name in enumerate(channel_names):
        for rank in range(cells.shape[0]):
            cell = file[cells[rank, channel]]
            if "MATLAB_empty" not in cell.attrs and cell.size:
                times.append(np.ravel(cell[:]).astype(np.float64))
                names.append(f"{name} unsorted" if rank == 0 else f"{name} unit {rank}")
    index = np.repeat(np.arange(len(times)), [len(t) for t in times]).astype(np.int64)
    return np.concatenate([*times, np.empty(0)]), index, tuple(names)


def _names(mat: Path, nwb: Path, behavior: MakinBehavior, n_channels: int) -> tuple[str, ...]:
    if len(behavior.channel_names) != n_channels:
        raise InputError(
            f"{nwb} has {n_channels} channels but {mat} names {len(behavior.channel_names)}; give files of one session"
        )
    return behavior.channel_names


def _write_behavior(writer: RecordingWriter, behavior: MakinBehavior) -> None:
    series = (
        ("cursor_velocity", behavior.velocity_mm_s, "mm/s", ("x", "y")),
        ("cursor_position", behavior.cursor_mm, "mm", ("x", "y")),
        ("target_position", behavior.target_mm, "mm", ("x", "y")),
        ("finger_position", behavior.finger_cm, "cm", FINGER_AXES[: behavior.finger_cm.shape[1]]),
    )
    for name, values, unit, axes in series:
        writer.set_behavior(name, values, unit=unit, timestamps_s=behavior.times_s, axis_names=axes)
    writer.set_spikes(behavior.spikes_s, behavior.spike_unit, behavior.unit_names)
    reaches_s = behavior.reaches_s
    writer.set_intervals("trials", reaches_s)
    if len(reaches_s):
        writer.set_intervals("task", [[reaches_s[0, 0], reaches_s[-1, 1]]])
