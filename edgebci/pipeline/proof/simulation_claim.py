"""How long it takes to simulate an implant over ten minutes, and how much memory, with 96 and with 1,024 channels.

The decoder is the reference decoder with random weights, its inputs widened to the channels; the signal is slow noise.
Neither changes what there is to do. Each simulation is a process of its own: front end, decoder on the host twin,
timeline, power.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebci.edge_student import EdgeStudent, lfp_like_counts, load_edge_student
from edgebci.pipeline.proof.claim import Place, seconds_of, timed
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.student_bundle import student_bundle
from edgebci.progress import Progress, part
from edgebci.recordings.writer import RecordingWriter

SECONDS, SHORT_SECONDS, SEED = 600, 150, 1


@dataclass(frozen=True)
class Simulation:
    """What is simulated how often, and within how many seconds it should be."""

    n_channels: int
    implant: str
    compute: str
    repeats: int
    goal_s: float


SIMULATIONS = (
    Simulation(96, "utah96-lfp", "stm32u385", 3, 20.0),
    Simulation(1024, "neuralink-class-1024", "stm32u575", 1, 180.0),
)


def measure_simulation(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Seconds of both, and the peak of memory over ten minutes beside that over two and a half."""
    student = load_edge_student(place.checkout / "examples" / "edge_student.toml")
    n = len(SIMULATIONS)
    return tuple(
        figure
        for i, one in enumerate(SIMULATIONS)
        for figure in _measured(one, student, place.folder, part(progress, i / n, (i + 1) / n))
    )


def _measured(one: Simulation, student: EdgeStudent, folder: Path, progress: Progress) -> tuple[Figure, ...]:
    progress(0.0, f"recording of {one.n_channels} channels")
    widened = widen(student, one.n_channels)
    bundle, _ = student_bundle(widened, folder / f"student_{one.n_channels}")
    recording = folder / f"noise_{one.n_channels}.h5"
    write_noise(recording, widened, SECONDS)
    command = [
        *(sys.executable, "-m", "edgebci.cli.main", "simulate", str(bundle), "--recording", str(recording)),
        *("--implant", one.implant, "--compute", one.compute, "--radio", "ble-2m", "--json"),
    ]
    progress(0.4, f"simulating {one.n_channels} channels")
    short_bytes = peak_bytes([*command, "--seconds", str(SHORT_SECONDS)])
    peaks: list[int] = []
    seconds = [seconds_of(lambda: peaks.append(peak_bytes(command))) for _ in range(one.repeats)]
    recording.unlink()
    return (_time(one, seconds), *_memory(one, max(peaks), short_bytes))


def widen(student: EdgeStudent, n_channels: int) -> EdgeStudent:
    """The same decoder for another number of channels."""
    decoder = student.decoder.model_copy(update={"n_inputs": student.features.n_features(n_channels)})
    return student.model_copy(update={"n_channels": n_channels, "decoder": decoder})


def write_noise(path: Path, student: EdgeStudent, seconds: int) -> None:
    """A recording of slow noise, with a slow movement of the axes that the student decodes."""
    features, decoder = student.features, student.decoder
    names = tuple(f"channel{i}" for i in range(student.n_channels))
    times_s = np.arange(round(seconds * features.frame_rate_hz)) / features.frame_rate_hz
    moved = np.stack([np.sin(2 * np.pi * times_s / (i + 2)) for i in range(decoder.n_outputs)], axis=1)
    with RecordingWriter(
        path, subject_id="noise", session_id="noise", lfp_rate_hz=features.rate_hz, channel_names=names
    ) as writer:
        for i in range(seconds):
            counts = lfp_like_counts(student, round(features.frame_rate_hz), SEED + i)
            writer.append_lfp(features.adc.uv_per_count * counts)
        writer.set_behavior(
            "velocity", moved, unit=decoder.output_unit, rate_hz=features.frame_rate_hz, axis_names=decoder.output_names
        )


def peak_bytes(command: list[str]) -> int:
    """Run it to its end; its largest resident memory.

    Raises:
        CalledProcessError: it failed.
    """
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said)
    return 1024 * usage.ru_maxrss


def _time(one: Simulation, seconds: list[float]) -> Figure:
    asked = f"{'met' if max(seconds) <= one.goal_s else 'MISSED'}, asked was at most {one.goal_s:g}"
    return timed(
        f"seconds_{one.n_channels}",
        f"simulating {SECONDS // 60} minutes of {one.n_channels:,} channels: {asked}",
        seconds,
        f"{one.implant}; front end, host twin, timeline, power",
    )


def _memory(one: Simulation, long_bytes: int, short_bytes: int) -> tuple[Figure, Figure]:
    return (
        Figure(
            name=f"peak_memory_{one.n_channels}",
            label=f"peak resident memory, {one.n_channels:,} channels",
            value=long_bytes / 1e9,
            unit="GB",
            evidence="measured",
            note=f"{SECONDS:g} s of signal",
        ),
        Figure(
            name=f"memory_growth_{one.n_channels}",
            label=f"peak memory over {SECONDS:g} s beside that over {SHORT_SECONDS:g} s, {one.n_channels:,} channels",
            value=long_bytes / short_bytes,
            unit="times",
            evidence="measured",
        ),
    )
