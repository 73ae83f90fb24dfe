"""What spikes teach where they share more or less with LFP than in the cross-modal study's world, or all is linear.

Where rho is 0, spikes and LFP still share behaviour. So a teacher can stand in for labels that a student lacks, and the
gain without labels need not vanish; with labels there is nothing left to teach, and it must. Where all is linear,
nothing is to be had beyond ridge.
"""

from __future__ import annotations

from pathlib import Path

from edgebci.pipeline.studies.asking import ask
from edgebci.pipeline.studies.crossmodal_study import claims, world
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Expected, Row
from edgebci.pipeline.studies.trial import Grid
from edgebci.progress import Progress, part

NAME, SHARED_BEHAVIOR_ALONE, LINEAR = "crossmodal_worlds", "rho 0", "linear"
WORLDS: dict[str, dict[str, object]] = {
    SHARED_BEHAVIOR_ALONE: {"latents": {"rho": 0.0}},
    "rho 0.9": {"latents": {"rho": 0.9}},
    LINEAR: {"linear": True},
}


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """The claims in every world, with the sessions and seeds of a control.

    A size with too few subjects for a verdict tries the first world alone.
    """
    names = size.asked_of(tuple(WORLDS))
    shares = [part(progress, i / len(names), (i + 1) / len(names)) for i in range(len(names))]
    return tuple(
        row for name, share in zip(names, shares, strict=True) for row in _in_world(name, size.control(), root, share)
    )


def expected(name: str) -> tuple[Expected, Expected]:
    """Of a world: what spikes add to labels, and the student to ridge."""
    return (
        "no difference" if name == SHARED_BEHAVIOR_ALONE else "superior",
        "no difference" if name == LINEAR else "superior",
    )


def _in_world(name: str, size: StudySize, root: Path, progress: Progress) -> list[Row]:
    cohort, family = world(name, WORLDS[name], size, root, part(progress, 0.0, 0.7))
    grid = Grid(root / name / "trials", size.seeds, part(progress, 0.7, 1.0))
    questions = claims(family, size, *expected(name))
    return [ask(NAME, grid, cohort.held_out, question.about(name, False)) for question in questions]
