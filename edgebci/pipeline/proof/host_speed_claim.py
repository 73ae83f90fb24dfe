"""How fast the host library decodes a step of the reference decoder, beside ONNX Runtime and torch in one run."""

from __future__ import annotations

from edgebci.edge_student import load_edge_student
from edgebci.pipeline.host_bench import bench_bundle
from edgebci.pipeline.host_bench_result import LIBRARY, HostBench, best_of
from edgebci.pipeline.proof.claim import Place
from edgebci.pipeline.proof.figure import Figure, slug
from edgebci.pipeline.proof.student_bundle import student_bundle
from edgebci.progress import Progress, part


def measure_host_speed(place: Place, progress: Progress, rounds: int = 200, ticks: int = 500) -> tuple[Figure, ...]:
    """Bench the bundle of the reference decoder."""
    student = load_edge_student(place.checkout / "examples" / "edge_student.toml")
    bundle, checkpoint = student_bundle(student, place.folder / "student")
    return figures_of(bench_bundle(bundle, checkpoint, rounds, ticks, part(progress, 0.1, 1.0)))


def figures_of(found: HostBench) -> tuple[Figure, ...]:
    """How many times as fast, and how long a step takes."""
    step = best_of(found.times, LIBRARY, "back to back", "p50_us")
    taken = Figure(
        name="step_us",
        label="one step of the decoder in the host library, called from Python",
        value=step.p50_us,
        unit="µs",
        evidence="measured",
        note=f"median of {step.steps:,}, {found.instructions}, one thread; 99 % below {step.p99_us:.3g} µs",
    )
    ratios = (
        Figure(
            name=f"times_{slug(speed.what)}",
            label=f"times as fast as ONNX Runtime's best form, {speed.what}",
            value=speed.times,
            unit="times",
            evidence="measured",
            note=speed.sentence().partition("; ")[2],
            headline="p50" in speed.what,
        )
        for speed in found.speeds
    )
    return (taken, *ratios)
