"""What spikes teach where all is linear, and nothing is expected beyond ridge."""

from __future__ import annotations

from pathlib import Path

from edgebci.pipeline.studies.crossmodal_worlds_study import World, ask_in_world
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Row
from edgebci.progress import Progress

NAME = "crossmodal_linear"
WORLD = World("linear", {"linear": True}, with_labels="superior", against_ridge="no difference")


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """The claims in the linear world, with the sessions and seeds of a control."""
    return tuple(ask_in_world(NAME, WORLD, size.control(), root, progress))
