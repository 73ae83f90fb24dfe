"""What spikes teach where they share more or less with LFP than in the cross-modal study's world.

Where rho is 0, spikes and LFP still share behaviour. So a teacher can stand in for labels that a student lacks, and the
gain without labels need not vanish; with labels there is nothing left to teach, and it must.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgebci.pipeline.studies import crossmodal_study
from edgebci.pipeline.studies.asking import ask
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Expected, Row
from edgebci.pipeline.studies.trial import Grid
from edgebci.progress import Progress, part

NAME = "crossmodal_worlds"


@dataclass(frozen=True)
class World:
    """Constants of the generator, and what is expected there.

    Fields:
        with_labels: of what spikes add where both students learn from labels.
        against_ridge: of the taught student.
    """

    name: str
    generator: Mapping[str, object]
    with_labels: Expected
    against_ridge: Expected


WORLDS = (
    World("rho 0", {"latents": {"rho": 0.0}}, with_labels="no difference", against_ridge="superior"),
    World("rho 0.9", {"latents": {"rho": 0.9}}, with_labels="superior", against_ridge="superior"),
)


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """The claims in every world, with the sessions and seeds of a control.

    A size with too few subjects for a verdict tries the first world alone.
    """
    worlds = size.asked_of(WORLDS)
    shares = [part(progress, i / len(worlds), (i + 1) / len(worlds)) for i in range(len(worlds))]
    return tuple(
        row
        for world, share in zip(worlds, shares, strict=True)
        for row in ask_in_world(NAME, world, size.control(), root, share)
    )


def ask_in_world(study: str, world: World, size: StudySize, root: Path, progress: Progress) -> list[Row]:
    """The claims in one world."""
    trained, asked = part(progress, 0.0, 0.7), part(progress, 0.7, 1.0)
    cohort, family = crossmodal_study.world(world.name, world.generator, size, root, trained)
    grid = Grid(root / world.name / "trials", size.seeds, asked)
    questions = crossmodal_study.claims(family, size, world.with_labels, world.against_ridge)
    return [ask(study, grid, cohort.held_out, question.about(world.name, False)) for question in questions]
