"""Converting NWB to a recording in one pass and bounded memory, and describing either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgebci.errors import InputError
from edgebci.progress import Progress, silent
from edgebci.recordings import hdf5_file
from edgebci.recordings.intervals import total, union
from edgebci.recordings.model import BehaviorInfo, IntervalInfo, NwbOptions, RecordingInfo
from edgebci.recordings.nwb import NwbSession, open_session
from edgebci.recordings.nwb_series import NwbBehavior, NwbLfp
from edgebci.recordings.quality import Quality, QualityScan
from edgebci.recordings.recording import open_recording
from edgebci.recordings.splits import TimeSplit
from edgebci.recordings.writer import RecordingWriter

BLOCK_BYTES = 8 << 20


def describe(path: Path, options: NwbOptions | None = None) -> RecordingInfo:
    """Say what an NWB file or a recording holds, without reading its samples.

    Raises:
        InputError: as open_recording and convert do.
    """
    path = Path(path)
    with hdf5_file.opened(path) as file:
        nwb = "nwb_version" in file.attrs
    if not nwb:
        with open_recording(path) as recording:
            return recording.info
    with open_session(path, options or NwbOptions()) as session:
        return _described(session)


def convert(
    path_in: Path,
    path_out: Path,
    options: NwbOptions | None = None,
    split: TimeSplit | None = None,
    progress: Progress = silent,
) -> RecordingInfo:
    """Convert an NWB file to a recording with quality intervals and a split by time; replaces `path_out` at the end.

    Raises:
        InputError: the NWB file can't be read or has no usable LFP, behaviour and LFP do not overlap, no space left.
    """
    path_in, path_out = Path(path_in), Path(path_out)
    options = options or NwbOptions()
    with open_session(path_in, options) as session:
        info = _described(session)
        start_s, end_s = _overlap(path_in, info, options.behavior)
        with RecordingWriter(
            path_out,
            subject_id=info.subject_id,
            session_id=info.session_id,
            lfp_rate_hz=info.lfp_rate_hz,
            channel_names=info.channel_names,
            start_s=info.start_s,
        ) as writer:
            for note in info.notes:
                writer.add_note(note)
            _write_split(writer, split or TimeSplit(), start_s, end_s)
            _write_behavior(writer, session)
            quality = _write_lfp(writer, session.lfp, progress)
            _write_quality(writer, session, quality, path_in)
            return writer.close()


def _write_lfp(writer: RecordingWriter, lfp: NwbLfp, progress: Progress) -> Quality:
    scan = QualityScan(lfp.grid.rate_hz, len(lfp.channel_names))
    n_samples = lfp.n_samples
    for start, stored in lfp.pieces(BLOCK_BYTES):
        if start > writer.n_samples:
            writer.append_gap(start - writer.n_samples)
        scan.push(start, stored)
        writer.append_lfp(lfp.microvolt(stored))
        progress(writer.n_samples / n_samples, f"{writer.n_samples / lfp.grid.rate_hz:.0f} s of LFP")
    return scan.finish()


def _write_behavior(writer: RecordingWriter, session: NwbSession) -> None:
    for series in session.behavior:
        regular = series.rate_hz is not None
        writer.set_behavior(
            _member_name(series.name),
            series.values,
            unit=series.unit,
            rate_hz=series.rate_hz,
            start_s=float(series.timestamps_s[0]),
            timestamps_s=None if regular else series.timestamps_s,
            axis_names=series.axis_names,
        )
    if session.spikes is not None:
        writer.set_spikes(session.spikes.times_s, session.spikes.unit_index, session.unit_names)
    if len(session.trials_s):
        writer.set_intervals("trials", session.trials_s)


def _write_split(writer: RecordingWriter, split: TimeSplit, start_s: float, end_s: float) -> None:
    try:
        intervals = split.intervals(start_s, end_s)
    except InputError as too_short:
        # A short file is still worth converting, for instance to look at it.
        writer.add_note(f"not split into train, valid and test: {too_short}")
        return
    for name, bounds in intervals.items():
        writer.set_intervals(name, bounds)


def _write_quality(writer: RecordingWriter, session: NwbSession, quality: Quality, path: Path) -> None:
    if not quality.good.any():
        raise InputError(
            f"{path}: every channel of {session.lfp.name} is flat or missing all the time; give a recording with signal"
        )
    grid = session.lfp.grid
    dropout_s = union([grid.start_s + quality.dropout / grid.rate_hz, session.invalid_s])
    rail_s = grid.start_s + quality.rail / grid.rate_hz
    for name, rows in (("stimulation", session.stimulation_s), ("rail", rail_s), ("dropout", dropout_s)):
        writer.set_intervals(name, rows)
    writer.set_good_channels(quality.good)
    dead = [name for name, good in zip(session.lfp.channel_names, quality.good, strict=True) if not good]
    if dead:
        writer.add_note(f"flat, missing or at the rail most of the time, so not used: {', '.join(dead)}")
    for rows, what in ((dropout_s, "missing or flat"), (rail_s, "at the recorder's rail")):
        if len(rows):
            writer.add_note(f"LFP {what} for {total(rows):.3g} s in {len(rows)} stretches")


def _described(session: NwbSession) -> RecordingInfo:
    lfp = session.lfp
    n_samples = lfp.n_samples
    duration_s = n_samples / lfp.grid.rate_hz
    sets = (("trials", session.trials_s), ("stimulation", session.stimulation_s))
    return RecordingInfo(
        subject_id=session.subject_id,
        session_id=session.session_id,
        lfp_rate_hz=lfp.grid.rate_hz,
        n_channels=len(lfp.channel_names),
        n_samples=n_samples,
        start_s=lfp.grid.start_s,
        duration_s=duration_s,
        channel_names=lfp.channel_names,
        good_channels=(True,) * len(lfp.channel_names),
        behavior=tuple(_behavior_info(series) for series in session.behavior),
        n_units=len(session.unit_names),
        intervals=tuple(IntervalInfo(name=n, count=len(r), total_s=total(r)) for n, r in sets if len(r)),
        notes=session.notes + tuple(_behavior_notes(session, lfp.grid.start_s, lfp.grid.start_s + duration_s)),
    )


def _behavior_info(series: NwbBehavior) -> BehaviorInfo:
    return BehaviorInfo(
        name=_member_name(series.name),
        unit=series.unit,
        rate_hz=series.rate_hz,
        n_samples=len(series.values),
        n_dims=int(np.prod(series.values.shape[1:])),
        start_s=float(series.timestamps_s[0]),
        end_s=series.end_s,
    )


def _behavior_notes(session: NwbSession, start_s: float, end_s: float) -> Iterator[str]:
    for series in session.behavior:
        first, last = float(series.timestamps_s[0]), series.end_s
        step = (last - first) / len(series.values)
        if first > start_s + step or last < end_s - step:
            shared = max(0.0, min(last, end_s) - max(first, start_s))
            yield (
                f"behaviour {series.name!r} covers {first:g}-{last:g} s and the LFP {start_s:g}-{end_s:g} s: "
                f"the {shared:g} s that both cover are used"
            )
        missing = int(np.sum(np.isnan(series.values)))
        if missing:
            yield f"behaviour {series.name!r} has {missing} NaN values"


def _overlap(path: Path, info: RecordingInfo, wanted: tuple[str, ...]) -> tuple[float, float]:
    """The time that the LFP shares with every behaviour; one that nobody named may lie elsewhere."""
    start_s, end_s = info.start_s, info.end_s
    shared = False
    for series in info.behavior:
        first, last = max(start_s, series.start_s), min(end_s, series.end_s)
        if first < last:
            start_s, end_s, shared = first, last, True
        elif wanted:
            raise _apart(path, info, series)
    if info.behavior and not shared:
        raise _apart(path, info, info.behavior[0])
    return start_s, end_s


def _apart(path: Path, info: RecordingInfo, series: BehaviorInfo) -> InputError:
    return InputError(
        f"{path}: behaviour {series.name!r} covers {series.start_s:g}-{series.end_s:g} s, which does not overlap the "
        f"LFP ({info.start_s:g}-{info.end_s:g} s) and the other behaviours; correct the clocks of the NWB file"
    )


def _member_name(name: str) -> str:
    """A name that can stand in an HDF5 path and after a dot."""
    return name.replace("/", "_").replace(".", "_").lstrip("_")
