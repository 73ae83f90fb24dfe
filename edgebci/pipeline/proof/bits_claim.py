"""The whole device over 100,000 steps of real, random and adversarial input: equal bits on every core that runs here.

The stretch is cut into pieces that each begin at power-on. Each piece is followed by the NumPy reference, the host
twin, the host twin with vector kernels and every emulated core; outputs, features and last states must be equal byte
by byte. A piece that ended is kept, so that an interrupted proof goes on behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgebci.device_reference import run_reference
from edgebci.documents import Document
from edgebci.edge_student import EdgeStudent, load_edge_student
from edgebci.errors import VerificationError
from edgebci.export.host_kernels import generate_for_host
from edgebci.features.specification import Counts
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_host, compile_target
from edgebci.pipeline.device import first_difference, reference_difference, target_difference
from edgebci.pipeline.edge_student_program import EdgeStudentProgram, build_program
from edgebci.pipeline.proof.claim import CannotMeasureError, Place
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.hostile_counts import SYNTHETIC, real_counts
from edgebci.pipeline.proof.parts import kept
from edgebci.progress import Progress, part
from edgebci.recordings.conversion import convert

SEED = 1
CORES = ("cortex-m4f", "cortex-m7", "cortex-m33")
"""Emulated here; M55 and aarch64 need QEMU, whose absence `edgebci run-on-target` tells."""

FILTER_STATES = ("front_end.s1", "front_end.s2", "front_end.power")


@dataclass(frozen=True)
class BitsSize:
    """How long the proof is: `pieces` of each of six kinds of input, of `frames` steps."""

    pieces: int = 4
    frames: int = 4_200


class Piece(Document):
    """One piece that every form computed with equal bits."""

    kind: str
    steps: int
    silent_filters: bool
    """Whether every state of the front end's filters was zero at its end. The decoder's never are: biases drive it."""


@dataclass(frozen=True)
class _Programs:
    """The reference decoder, compiled for everything that it runs on."""

    plain: EdgeStudentProgram
    vectors: Path
    elves: dict[str, Path]


def measure_bits(place: Place, progress: Progress, size: BitsSize = BitsSize()) -> tuple[Figure, ...]:
    """Follow every piece on everything; raises VerificationError where two differ."""
    student = load_edge_student(place.checkout / "examples" / "edge_student.toml")
    progress(0.0, "compiling")
    programs = _compiled(student, place.folder / "program")
    kinds = [*SYNTHETIC, "real"]
    jobs = [(kind, seed) for seed in range(size.pieces) for kind in kinds]
    recording = _converted(place)
    found = []
    for k, (kind, seed) in enumerate(jobs):
        within = part(progress, 0.05 + 0.95 * k / len(jobs), 0.05 + 0.95 * (k + 1) / len(jobs))
        make = partial(real_counts, recording) if kind == "real" else SYNTHETIC[kind]
        follow = partial(_follow, programs, kind, make(student, size.frames, SEED + seed), within)
        found.append(kept(place.folder / "pieces", f"{kind.replace(' ', '_')}_{seed}", Piece, follow))
    return _figures(found)


def _compiled(student: EdgeStudent, folder: Path) -> _Programs:
    plain = build_program(student, folder, SEED)
    generate_for_host(folder / "decoder_int8.onnx", plain.front_end, folder / "vectors")
    vectors = compile_host(folder / "vectors", folder / "vectors.so")
    elves = {core: compile_target(folder / "firmware", folder / f"{core}.elf", core) for core in CORES}
    return _Programs(plain, vectors, elves)


def _converted(place: Place) -> Path:
    if place.recording is None:
        raise CannotMeasureError("there is no real recording to decode")
    path = place.folder / "real.h5"
    if not path.is_file():
        convert(place.recording, path)
    return path


def _follow(programs: _Programs, kind: str, counts: Counts, progress: Progress) -> Piece:
    """Run one piece on everything.

    Raises:
        VerificationError: two forms differ; says which, and where first.
    """
    plain = programs.plain
    host = HostTwin(plain.host_library)
    twin = host.run(counts)
    reference = run_reference(plain.front_end, plain.decoder, counts, None, part(progress, 0.0, 0.3))
    _require_equal(reference_difference(reference, twin, host), kind, "the host twin")
    vectors = HostTwin(programs.vectors).run(counts)
    _require_equal(_named(first_difference(vectors.outputs, twin.outputs)), kind, "the vector kernels")
    for i, (core, elf) in enumerate(programs.elves.items()):
        n = plain.front_end.n_channels, plain.front_end.spec.samples_per_frame, plain.decoder.spec.n_outputs
        target = run_on_target(elf, counts, None, *n, part(progress, 0.3 + 0.2 * i, 0.5 + 0.2 * i))
        _require_equal(target_difference(twin, host, target), kind, core)
    silent = not any(host.state(name).any() for name in FILTER_STATES)
    return Piece(kind=kind, steps=len(twin.outputs), silent_filters=silent)


def _named(frame: int | None) -> str | None:
    return None if frame is None else f"outputs differ first at frame {frame}"


def _require_equal(difference: str | None, kind: str, where: str) -> None:
    if difference:
        raise VerificationError(f"{where}, on {kind}: {difference}, in the program of the edge student; report it")


def _figures(pieces: list[Piece]) -> tuple[Figure, ...]:
    total = sum(piece.steps for piece in pieces)
    kinds = sorted({piece.kind for piece in pieces})
    silent = [piece for piece in pieces if piece.kind == "silence"]
    return (
        Figure(
            name="steps_everywhere",
            label="steps of the whole device on which NumPy reference, host twin, vector kernels and every emulated "
            "core are equal bit for bit",
            value=total,
            evidence="counted",
            note=f"{', '.join(CORES)}; {', '.join(kinds)}",
        ),
        Figure(
            name="silent_pieces",
            label="stretches of silence at whose end every state of every filter is zero",
            value=f"{sum(piece.silent_filters for piece in silent)} of {len(silent)}",
            evidence="counted",
            headline=False,
        ),
    )
