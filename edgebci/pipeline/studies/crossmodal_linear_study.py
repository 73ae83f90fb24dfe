"""What spikes teach where all is linear, and nothing is expected beyond ridge."""

from __future__ import annotations

from pathlib import Path

from edgebci.pipeline.studies.crossmodal_worlds_study import ask_in_world
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Expected, Row
from edgebci.progress import Progress

NAME, WORLD = "crossmodal_linear", "linear"
EXPECTED: tuple[Expected, Expected] = ("superior", "no difference")
"""Of spikes where both have labels, and of the student against ridge."""


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """The claims in the linear world, with the sessions and seeds of a control."""
    return tuple(ask_in_world(NAME, WORLD, {"linear": True}, size.control(), root, progress, EXPECTED))
