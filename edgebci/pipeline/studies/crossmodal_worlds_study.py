"""What spikes teach where they share more or less with LFP than in the cross-modal study's world.

Where rho is 0, spikes and LFP still share behaviour. So a teacher can stand in for labels that a student lacks, and the
gain without labels need not vanish; with labels there is nothing left to teach, and it must.
"""

from __future__ import annotations

from pathlib import Path

from edgebci.pipeline.studies.asking import ask
from edgebci.pipeline.studies.crossmodal_study import claims, world
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Expected, Row
from edgebci.pipeline.studies.trial import Grid
from edgebci.progress import Progress, part

NAME, SHARED_BEHAVIOR_ALONE = "crossmodal_worlds", "rho 0"
WORLDS: dict[str, dict[str, object]] = {
    SHARED_BEHAVIOR_ALONE: {"latents": {"rho": 0.0}},
    "rho 0.9": {"latents": {"rho": 0.9}},
}


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """The claims in every world, with the sessions and seeds of a control.

    A size with too few subjects for a verdict tries the first world alone.
    """
    names = size.asked_of(tuple(WORLDS))
    shares = [part(progress, i / len(names), (i + 1) / len(names)) for i in range(len(names))]
    return tuple(
        row
        for name, share in zip(names, shares, strict=True)
        for row in ask_in_world(
            NAME, name, WORLDS[name], size.control(), root, share, (expected_of_labels(name), "superior")
        )
    )


def expected_of_labels(name: str) -> Expected:
    """Of a world: what spikes add to labels."""
    return "no difference" if name == SHARED_BEHAVIOR_ALONE else "superior"


def ask_in_world(
    study: str,
    name: str,
    constants: dict[str, object],
    size: StudySize,
    root: Path,
    progress: Progress,
    expected: tuple[Expected, Expected],
) -> list[Row]:
    """The claims in a world that the generator's `constants` make; what is expected of labels, and against ridge."""
    cohort, family = world(name, constants, size, root, part(progress, 0.0, 0.7))
    grid = Grid(root / name / "trials", size.seeds, part(progress, 0.7, 1.0))
    questions = claims(family, size, *expected)
    return [ask(study, grid, cohort.held_out, question.about(name, False)) for question in questions]
