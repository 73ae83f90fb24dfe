"""The reference decoder on its emulated core: equal bits, what a step costs, and how fast it is emulated."""

from __future__ import annotations

import statistics

from edgebci.edge_student import lfp_like_counts, load_edge_student
from edgebci.features.specification import Counts
from edgebci.firmware_sim.emulator import Machine
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.pipeline.configuration import PlacementConfig
from edgebci.pipeline.device import firmware_section
from edgebci.pipeline.edge_student_program import CORE, EdgeStudentProgram, build_program, check_host, run_target
from edgebci.pipeline.placement import decoder_load, put_into
from edgebci.pipeline.proof.claim import Place, seconds_of
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.report_figures import cost_figures, implant_figures
from edgebci.progress import Progress, part
from edgebci.workload import workload

SEED, STEPS_ON_CORE, STEPS_ON_HOST = 1, 1_000, 10_000
TIMED_STEPS, REPEATS = 500, 5
PLACEMENTS = (
    PlacementConfig(implant="utah96-lfp", compute="stm32l4r5", radio="ble-2m"),
    PlacementConfig(implant="brown-wireless-device", compute="nrf52840", radio="ble-2m"),
)


def measure_edge_student(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Equal bits, cycles, instructions, bytes, and power in two implants."""
    student = load_edge_student(place.checkout / "examples" / "edge_student.toml")
    progress(0.0, "compiling")
    program = build_program(student, place.folder / "program", SEED)
    target = run_target(program, lfp_like_counts(student, STEPS_ON_CORE, SEED + 1), part(progress, 0.1, 0.4))
    n_long = check_host(program, lfp_like_counts(student, STEPS_ON_HOST, SEED + 2), part(progress, 0.4, 1.0))
    firmware = firmware_section(CORE, target)
    load = decoder_load(CORE, firmware, program.front_end, student.decoder.n_outputs)
    return (
        Figure(
            name="steps_on_core",
            label=f"steps on which NumPy reference, host twin and emulated {CORE} are equal bit for bit",
            value=len(target.outputs),
            evidence="counted",
        ),
        Figure(
            name="steps_on_host",
            label="steps on which NumPy reference and host twin are equal bit for bit",
            value=n_long,
            evidence="counted",
        ),
        *cost_figures(firmware, workload(student.decoder).macs),
        *implant_figures(tuple(put_into(placement, load) for placement in PLACEMENTS)),
    )


def measure_emulation(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Million instructions per second of the emulated core, with and without the profile that cycles come from."""
    student = load_edge_student(place.checkout / "examples" / "edge_student.toml")
    progress(0.0, "compiling")
    program = build_program(student, place.folder / "program", SEED)
    counts = lfp_like_counts(student, TIMED_STEPS, SEED + 1)
    progress(0.3, "timing")
    instructions = _instructions(program, counts)
    speeds = {
        profile: [instructions / 1e6 / _seconds(program, counts, profile) for _ in range(REPEATS)]
        for profile in (True, False)
    }
    return (
        _speed("profiled", "emulated instructions per second, profiled", speeds[True]),
        _speed("plain", "emulated instructions per second, not profiled", speeds[False]),
        Figure(
            name="instructions",
            label="instructions timed",
            value=instructions,
            evidence="counted",
            headline=False,
        ),
    )


def _speed(name: str, label: str, speeds: list[float]) -> Figure:
    return Figure(
        name=name,
        label=label,
        value=statistics.median(speeds),
        low=min(speeds),
        high=max(speeds),
        unit="million/s",
        evidence="measured",
        note=f"one core, {REPEATS} runs",
    )


def _instructions(program: EdgeStudentProgram, counts: Counts) -> int:
    machine = _powered_on(program, profile=True)
    before = machine.instructions
    _push(machine, program, counts)
    return machine.instructions - before


def _seconds(program: EdgeStudentProgram, counts: Counts, profile: bool) -> float:
    machine = _powered_on(program, profile)
    _push(machine, program, counts[: len(counts) // TIMED_STEPS])  # translates the code
    return seconds_of(lambda: _push(machine, program, counts))


def _powered_on(program: EdgeStudentProgram, profile: bool) -> Machine:
    machine = Machine(FirmwareImage.load(program.elf), profile=profile)
    machine.call("edgebci_harness_init")
    return machine


def _push(machine: Machine, program: EdgeStudentProgram, counts: Counts) -> None:
    step = program.front_end.spec.samples_per_frame
    buffer = machine.view("edgebci_harness_counts", f"<i{counts.itemsize}").reshape(step, -1)
    for start in range(0, len(counts), step):
        buffer[:] = counts[start : start + step]
        machine.call("edgebci_harness_push", step)
