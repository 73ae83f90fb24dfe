"""`training.html`: what a training run found, in one file that opens offline."""

from __future__ import annotations

from collections.abc import Sequence

from edgebci.pipeline.systems.system import Plot
from edgebci.pipeline.training_run.result import SessionResult, TrainingResult
from edgebci.reporting.page import drawing, page_text
from edgebci.reporting.sentences import interval_text


def training_page(result: TrainingResult, differences_svg: str, plots: Sequence[Plot]) -> str:
    """The page: findings first, then every session, then what the system itself draws."""
    return page_text(
        "training.html.j2",
        result=result,
        decision=[_finding(session) for session in result.sessions],
        differences=drawing(differences_svg),
        plots=[{"title": plot.title, "svg": drawing(plot.svg), "note": plot.note} for plot in plots],
    )


def _finding(session: SessionResult) -> str:
    """The way that is meant for an implant, which is the last, against ridge."""
    way = session.ways[-1]
    if way.against_ridge is None:
        return f"{session.session}: ridge alone, R² {interval_text(way.score.r2_mean)}."
    found = way.against_ridge
    return (
        f"{session.session}: {way.way}, R² {interval_text(way.score.r2_mean)}; against ridge "
        f"{interval_text(found.difference)}: {found.verdict}."
    )
