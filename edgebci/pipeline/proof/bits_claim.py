"""The whole device over 100,000 steps of real, random and adversarial input: equal bits on every core that runs here.

The stretch is cut into pieces that each begin at power-on. Each piece is followed in both forms of the device, with
int8 activations behind a float32 front end and all in fixed point, by the NumPy reference, the host twin (the first
form also with vector kernels) and every core; outputs, features and last states must be equal byte by byte. A piece
that ended is kept, so that an interrupted proof goes on behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx

from edgebci.device_reference import FrontEndForm, run_reference
from edgebci.documents import Document
from edgebci.edge_student import EdgeStudent, load_edge_student
from edgebci.errors import MissingToolError, VerificationError
from edgebci.export.c_generator import generate
from edgebci.export.fixed_graph import fixed_step_graph
from edgebci.export.host_kernels import generate_for_host
from edgebci.features.front_end import FrontEnd
from edgebci.features.specification import Counts
from edgebci.firmware_sim.cores import CORES
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import TargetRun, run_on_target
from edgebci.firmware_sim.toolchain import compile_host, compile_target
from edgebci.firmware_sim.user_program import UserRun, compile_user, run_user, runner
from edgebci.integer_decoder import IntegerDecoder
from edgebci.pipeline.device import first_difference, reference_difference, target_difference
from edgebci.pipeline.edge_student_program import build_program
from edgebci.pipeline.kernel_bounds import drawn
from edgebci.pipeline.proof.claim import CannotMeasureError, Place
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.hostile_counts import SYNTHETIC, real_counts
from edgebci.pipeline.proof.parts import kept
from edgebci.progress import Progress, part
from edgebci.recordings.conversion import convert

SEED = 1
EMULATED = ("cortex-m4f", "cortex-m7", "cortex-m33")
ALONE = ("cortex-m55", "aarch64")
"""Where QEMU is installed; else they are left out and not named."""
SLOW = ("riscv32",)
"""As these, on the first piece of each kind."""

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
    cores: tuple[str, ...]
    silent_filters: bool
    """Whether every state of the float32 front end's filters was zero at its end. The decoder's never are: biases drive
    it."""


@dataclass(frozen=True)
class _Program:
    """The reference decoder in one form, compiled for everything that it runs on."""

    form: FrontEndForm
    front_end: FrontEnd
    decoder: IntegerDecoder
    host: Path
    vectors: Path | None
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
        left_out = () if seed == 0 else SLOW
        follow = partial(_follow, programs, kind, make(student, size.frames, SEED + seed), left_out, within)
        found.append(kept(place.folder / "pieces", f"{kind.replace(' ', '_')}_{seed}", Piece, follow))
    return _figures(found)


def _compiled(student: EdgeStudent, folder: Path) -> tuple[_Program, ...]:
    plain = build_program(student, folder, SEED)
    generate_for_host(folder / "decoder_int8.onnx", plain.front_end, folder / "vectors")
    vectors = compile_host(folder / "vectors", folder / "vectors.so")
    elves = _elves(folder / "decoder_int8.onnx", plain.front_end, "float32", folder)
    int8 = _Program("float32", plain.front_end, plain.decoder, plain.host_library, vectors, elves)
    front_end, decoder = drawn(student, SEED)
    onnx.save(fixed_step_graph(decoder), folder / "decoder_fixed.onnx")
    elves = _elves(folder / "decoder_fixed.onnx", front_end, "fixed", folder)
    host = compile_host(folder / "fixed_cortex-m4f", folder / "fixed_twin.so")
    return int8, _Program("fixed", front_end, decoder, host, None, elves)


def _elves(graph: Path, front_end: FrontEnd, form: FrontEndForm, folder: Path) -> dict[str, Path]:
    """Programs by core: those of `EMULATED`, and of `ALONE` and `SLOW` what there is an emulator for."""
    found = {}
    for name in (*EMULATED, *(core for core in (*ALONE, *SLOW) if _runs(core))):
        sources = folder / f"{form}_{name}"
        generate(graph, front_end, sources, name, form=form)
        compiled = sources.with_suffix(".elf")
        found[name] = (
            compile_target(sources, compiled, name)
            if name in EMULATED
            else compile_user(sources, compiled, CORES[name])
        )
    return found


def _runs(core: str) -> bool:
    try:
        runner(CORES[core])
    except MissingToolError:
        return False
    return True


def _converted(place: Place) -> Path:
    if place.recording is None:
        raise CannotMeasureError("there is no real recording to decode")
    path = place.folder / "real.h5"
    if not path.is_file():
        convert(place.recording, path)
    return path


def _follow(
    programs: tuple[_Program, ...], kind: str, counts: Counts, left_out: tuple[str, ...], progress: Progress
) -> Piece:
    """Run one piece on everything but the cores that are `left_out`.

    Raises:
        VerificationError: two forms differ; says which, and where first.
    """
    silent, cores = True, [name for name in programs[0].elves if name not in left_out]
    for k, program in enumerate(programs):
        within = part(progress, k / len(programs), (k + 1) / len(programs))
        host = HostTwin(program.host)
        twin = host.run(counts)
        on = f"{kind}, {program.form} front end"
        reference = run_reference(
            program.front_end, program.decoder, counts, None, part(within, 0.0, 0.3), program.form
        )
        _require_equal(reference_difference(reference, twin, host), on, "the host twin")
        if program.vectors:
            vectors = HostTwin(program.vectors).run(counts)
            _require_equal(_named(first_difference(vectors.outputs, twin.outputs)), on, "the vector kernels")
            silent = not any(host.state(name).any() for name in FILTER_STATES)
        for i, core in enumerate(cores):
            here = part(within, 0.3 + 0.7 * i / len(cores), 0.3 + 0.7 * (i + 1) / len(cores))
            _require_equal(target_difference(twin, host, _run(program, core, counts, here)), on, core)
    return Piece(kind=kind, steps=len(twin.outputs), cores=tuple(cores), silent_filters=silent)


def _run(program: _Program, core: str, counts: Counts, progress: Progress) -> TargetRun | UserRun:
    step, n_outputs = program.front_end.spec.samples_per_frame, program.decoder.spec.n_outputs
    progress(0.0, core)
    if core in EMULATED:
        n_channels = program.front_end.n_channels
        return run_on_target(program.elves[core], counts, None, n_channels, step, n_outputs, progress)
    return run_user(program.elves[core], CORES[core], counts, None, step, n_outputs)


def _named(frame: int | None) -> str | None:
    return None if frame is None else f"outputs differ first at frame {frame}"


def _require_equal(difference: str | None, kind: str, where: str) -> None:
    if difference:
        raise VerificationError(f"{where}, on {kind}: {difference}, in the program of the edge student; report it")


def _figures(pieces: list[Piece]) -> tuple[Figure, ...]:
    kinds = sorted({piece.kind for piece in pieces})
    cores = {core: sum(piece.steps for piece in pieces if core in piece.cores) for core in pieces[0].cores}
    total = sum(piece.steps for piece in pieces)
    everywhere = [core for core, steps in cores.items() if steps == total]
    fewer = [f"{core} on {steps:,} of them" for core, steps in cores.items() if steps < total]
    silent = [piece for piece in pieces if piece.kind == "silence"]
    return (
        Figure(
            name="steps_everywhere",
            label="steps of the whole device, in int8 and in fixed point, on which NumPy reference, host twin, vector "
            "kernels and every core are equal bit for bit",
            value=total,
            evidence="counted",
            note="; ".join([", ".join(everywhere), *fewer, ", ".join(kinds)]),
        ),
        Figure(
            name="silent_pieces",
            label="stretches of silence at whose end every state of every float32 filter is zero",
            value=f"{sum(piece.silent_filters for piece in silent)} of {len(silent)}",
            evidence="counted",
            headline=False,
        ),
    )
