"""Flint sessions as our recordings: each Subject of a Flint_2012_e<k>.mat is one session of monkey C.

The layout follows the data set's own read-me (DREAM database of CRCNS) and what public readers of it do; no file was at
hand when this was written, so the reader asks for no more than it needs:

    Subject(n).Trial(m)     n sessions of one day, trials in order of time
        Time                (k, 1) seconds, 100 Hz
        HandVel, HandPos    (k, 2 or 3); the third axis is empty of meaning
        TargetPos           (k, 2 or 3), NaN where there is none; optional
        Neuron(u).LFP       (n, 1) at 2 kHz, or empty: then the channel is left out
        Neuron(u).Spike     spike times in seconds on the clock of Time; also read: Spikes, SpikeTimes; optional

The file names no unit of the LFP: its size tells, and a note in the recording says what was taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from edgebci.errors import InputError
from edgebci.progress import Progress, silent
from edgebci.public_recordings.decimation import PASS, CausalDecimator
from edgebci.public_recordings.lfp import LFP_RATE_HZ, Block, write_lfp, write_split
from edgebci.recordings import RecordingInfo, RecordingWriter
from edgebci.recordings.model import F64

FILES = tuple(f"Flint_2012_e{k}.mat" for k in range(1, 6))
SESSIONS_OF_DAY = (1, 2, 4, 3, 2)
"""Subjects in each file, as both papers list them."""
SESSIONS = tuple(f"Flint_e{k + 1}_{i + 1}" for k, count in enumerate(SESSIONS_OF_DAY) for i in range(count))
WHERE = "https://crcns.org/data-sets/movements/dream"
"""Where the user gets them, once its terms are accepted."""
RECORDED_HZ = 2000.0
SUBJECT = "flint_monkey_c"
SLACK_S = 0.02
"""Between two trials, beyond which samples are missing: two samples of behaviour."""
SPIKE_NAMES = ("Spike", "Spikes", "SpikeTimes")
_UNITS = ((5e-3, "V", 1e6), (2.0, "mV", 1e3), (np.inf, "uV", 1.0))
"""Largest standard deviation that is read as this unit, its name, microvolt in it: LFP has 2 to 2000 uV."""

Struct = np.void


@dataclass(frozen=True)
class FlintTrial:
    """One trial as arrays; behaviour (k, ...) at 100 Hz, LFP (n, C) at 2 kHz."""

    times_s: F64
    velocity: F64
    position: F64
    target: F64
    lfp: F64
    spikes_s: tuple[F64, ...]


@dataclass(frozen=True)
class FlintSession:
    """One Subject."""

    name: str
    trials: tuple[FlintTrial, ...]

    @property
    def n_channels(self) -> int:
        """With LFP."""
        return int(self.trials[0].lfp.shape[1])

    def joined(self, field: str) -> F64:
        """A behaviour over all trials."""
        return np.concatenate([getattr(trial, field) for trial in self.trials])

    def blocks(self) -> Iterator[Block]:
        """LFP trial by trial, each on the clock of its behaviour; where trials touch, samples follow on seamlessly."""
        follows_s = -np.inf
        for trial in self.trials:
            touches = abs(trial.times_s[0] - follows_s) < SLACK_S
            start_s = follows_s if touches else float(trial.times_s[0])
            late = max(0, round((follows_s - start_s) * RECORDED_HZ)) if np.isfinite(follows_s) else 0
            times_s = start_s + np.arange(len(trial.lfp)) / RECORDED_HZ
            if late < len(times_s):
                yield Block(times_s[late:], trial.lfp[late:])
                follows_s = float(times_s[-1]) + 1 / RECORDED_HZ

    def spikes(self) -> tuple[F64, F64]:
        """Times (S,) and units (S,) of all spikes."""
        found = [(times, unit) for trial in self.trials for unit, times in enumerate(trial.spikes_s)]
        units = [np.full(len(times), unit, dtype=np.float64) for times, unit in found]
        return np.concatenate([*(times for times, _ in found), np.empty(0)]), np.concatenate([*units, np.empty(0)])


def flint_sessions(path: Path) -> tuple[FlintSession, ...]:
    """Read all sessions of a file; scipy reads MATLAB v5 whole, so a day takes about as much memory as it has bytes.

    Raises:
        InputError: not such a file, or no trial with LFP.
    """
    subjects = _subjects(path)
    day = path.stem.rpartition("_")[2]
    return tuple(_session(path, f"Flint_{day}_{i + 1}", subject) for i, subject in enumerate(subjects))


def convert_flint(
    session: FlintSession, out: Path, lfp_rate_hz: float = LFP_RATE_HZ, progress: Progress = silent
) -> RecordingInfo:
    """Write one session; `task` runs from its first moment to its last.

    Raises:
        InputError: no usable channel, LFP and behaviour do not overlap, or no space is left.
    """
    unit, uv_per_step = _unit(session)
    decimator = CausalDecimator(RECORDED_HZ, lfp_rate_hz, float(session.trials[0].times_s[0]))
    with RecordingWriter(
        out,
        subject_id=SUBJECT,
        session_id=session.name,
        lfp_rate_hz=lfp_rate_hz,
        channel_names=tuple(f"channel {i + 1}" for i in range(session.n_channels)),
        start_s=decimator.start_s,
    ) as writer:
        writer.add_note(f"the file names no unit of the LFP; from its size it was taken as {unit}")
        writer.add_note(f"LFP: 2 kHz, causal elliptic low-pass to {PASS * lfp_rate_hz:g} Hz, not referenced")
        _write_behavior(writer, session)
        n_samples = sum(len(trial.lfp) for trial in session.trials)
        write_lfp(writer, session.blocks(), decimator, uv_per_step, n_samples, progress)
        write_split(writer, session.joined("times_s"))
        return writer.close()


def _subjects(path: Path) -> list[Struct]:
    if not path.is_file():
        raise InputError(f"no file {path}; get {', '.join(FILES)} from {WHERE} and name their folder with --from")
    try:
        content = loadmat(path, variable_names=["Subject"], squeeze_me=False)
    except PermissionError as error:
        raise InputError(f"{path} may not be read; let it be, or copy it to where you may") from error
    except Exception as error:  # scipy lets through all it meets: zlib.error, IndexError, UnboundLocalError
        raise InputError(f"{path} is no whole MATLAB v5 file ({error}); get it again from {WHERE}") from error
    subjects = content.get("Subject")
    if subjects is None or subjects.dtype.names is None or "Trial" not in subjects.dtype.names:
        raise InputError(f"{path} has no struct Subject with Trial; get {FILES[0]} and its like from {WHERE}")
    return list(subjects.ravel())


def _session(path: Path, name: str, subject: Struct) -> FlintSession:
    trials = [trial for trial in (_trial(path, raw) for raw in subject["Trial"].ravel()) if trial is not None]
    if not trials:
        raise InputError(f"{path}: session {name} has no trial with LFP; get the file again from {WHERE}")
    widths = {trial.lfp.shape[1] for trial in trials}
    if len(widths) > 1:
        raise InputError(
            f"{path}: the trials of {name} have {min(widths)} to {max(widths)} channels of LFP; get the file again"
        )
    return FlintSession(name, tuple(trials))


def _trial(path: Path, raw: Struct) -> FlintTrial | None:
    """None where there is no LFP."""
    for field in ("Time", "HandVel", "Neuron"):
        if field not in (raw.dtype.names or ()):
            raise InputError(f"{path}: a trial has no field {field}; get the file again from {WHERE}")
    neurons = raw["Neuron"].ravel()
    channels = [np.ravel(n["LFP"]) for n in neurons if "LFP" in n.dtype.names and n["LFP"].size]
    times_s = np.ravel(raw["Time"]).astype(np.float64)
    if not channels or not len(times_s):
        return None
    shortest = min(len(channel) for channel in channels)
    lfp = np.stack([channel[:shortest] for channel in channels], axis=1).astype(np.float64)
    _check_rate(path, times_s, shortest)
    n_times, none = len(times_s), np.full((len(times_s), 2), np.nan)
    return FlintTrial(
        times_s=times_s,
        velocity=_plane(raw, "HandVel", n_times, none),
        position=_plane(raw, "HandPos", n_times, none),
        target=_plane(raw, "TargetPos", n_times, none),
        lfp=np.nan_to_num(lfp),
        spikes_s=tuple(_spikes(neuron) for neuron in neurons),
    )


def _check_rate(path: Path, times_s: F64, n_samples: int) -> None:
    seconds = times_s[-1] - times_s[0]
    if seconds > 1.0 and abs(n_samples / seconds / RECORDED_HZ - 1) > 0.05:
        raise InputError(
            f"{path}: a trial of {seconds:.2f} s has {n_samples} samples of LFP, which is not {RECORDED_HZ:g} Hz; "
            "the file is laid out otherwise than expected"
        )


def _plane(raw: Struct, field: str, n_times: int, absent: F64) -> F64:
    """The first two axes (k, 2), stored as rows or as columns."""
    if field not in (raw.dtype.names or ()):
        return absent
    values: Any = np.asarray(raw[field], dtype=np.float64)
    values = values if len(values) == n_times else values.T
    return values[:, :2] if values.ndim == 2 and len(values) == n_times and values.shape[1] >= 2 else absent


def _spikes(neuron: Struct) -> F64:
    for name in SPIKE_NAMES:
        if name in (neuron.dtype.names or ()):
            return np.ravel(neuron[name]).astype(np.float64)
    return np.empty(0)


def _unit(session: FlintSession) -> tuple[str, float]:
    size = float(np.median(session.trials[0].lfp.std(axis=0)))
    return next((name, factor) for limit, name, factor in _UNITS if size <= limit)


def _write_behavior(writer: RecordingWriter, session: FlintSession) -> None:
    times_s, kept = np.unique(session.joined("times_s"), return_index=True)
    for name, field in (("hand_velocity", "velocity"), ("hand_position", "position"), ("target_position", "target")):
        values = session.joined(field)[kept]
        if np.isfinite(values).any():
            writer.set_behavior(name, values, unit="as recorded", timestamps_s=times_s, axis_names=("x", "y"))
    spikes_s, unit = session.spikes()
    n_units = len(session.trials[0].spikes_s)
    writer.set_spikes(spikes_s, unit, tuple(f"unit {i + 1}" for i in range(n_units)))
    bounds = [(trial.times_s[0], trial.times_s[-1]) for trial in session.trials]
    writer.set_intervals("trials", bounds)
    writer.set_intervals("task", [[times_s[0], times_s[-1]]])
