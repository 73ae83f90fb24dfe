"""Cross-modal distillation on the rat with sorted units: its training part teaches, its test part is decoded."""

from __future__ import annotations

from pathlib import Path

from edgebci.hierarchical import THIS_RECORDING
from edgebci.pipeline.studies.asking import Question, ask
from edgebci.pipeline.studies.crossmodal_study import claims, recipe_for
from edgebci.pipeline.studies.rats import R1838, obtain_rat
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Row
from edgebci.pipeline.studies.trial import Grid
from edgebci.pipeline.systems.crossmodal import SHIFTED, TAUGHT, TAUGHT_BY_COSINE, Family, Models, fitted_way
from edgebci.progress import Progress, part

NAME, TARGET = "crossmodal_rat", "position"
RATS = (R1838,)


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """All questions of this one recording, or none where it is not here."""
    if not R1838.path.is_file():
        return ()
    session = obtain_rat(R1838, TARGET, root / "sessions", part(progress, 0.0, 0.1))
    family = Family((Models((session,), recipe_for(size), root / "models", part(progress, 0.1, 0.8)),))
    grid = Grid(root / "trials", size.seeds, part(progress, 0.8, 1.0))
    taught, shifted, by_cosine = (fitted_way(family, kind) for kind in (TAUGHT, SHIFTED, TAUGHT_BY_COSINE))
    asked = [
        *claims(family, size, "superior", "superior"),
        Question("is squared error a better lesson than the cosine, which is published?", taught, by_cosine, "either"),
        Question("do spikes turned round in time teach less?", taught, shifted, "superior"),
    ]
    return tuple(ask(NAME, grid, [session], q.about(R1838.name), THIS_RECORDING) for q in size.asked_of(asked))
