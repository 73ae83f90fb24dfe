"""All studies, one after the other; what is finished is kept, so that a study of hours can be interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgebci.documents import nearest
from edgebci.errors import InputError
from edgebci.files import write_text
from edgebci.pipeline.proof.claim import DATA_VARIABLE
from edgebci.pipeline.studies import (
    crossmodal_linear_study,
    crossmodal_rat_study,
    crossmodal_study,
    crossmodal_worlds_study,
    distillation_study,
    possm_study,
    rats,
    rats_study,
    realm_study,
    sizes_study,
    time_study,
)
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Row, Table
from edgebci.progress import Progress, part

Study = Callable[[StudySize, Path, Progress], tuple[Row, ...]]

STUDIES: dict[str, Study] = {
    distillation_study.NAME: distillation_study.run,
    realm_study.NAME: realm_study.run,
    crossmodal_study.NAME: crossmodal_study.run,
    crossmodal_worlds_study.NAME: crossmodal_worlds_study.run,
    crossmodal_linear_study.NAME: crossmodal_linear_study.run,
    crossmodal_rat_study.NAME: crossmodal_rat_study.run,
    possm_study.NAME: possm_study.run,
    rats_study.NAME: rats_study.run,
    sizes_study.NAME: sizes_study.run,
}
RATS = {rats_study.NAME: rats.RATS, crossmodal_rat_study.NAME: crossmodal_rat_study.RATS}
"""Recordings that a study asks for."""
TABLE_NAME, PICTURE_NAME = "claims.json", "claims.svg"


def studies_root(runs: Path, size: StudySize) -> Path:
    """Where the studies of one size keep their trials, below the folder of all runs."""
    return runs / "claims" / size.name


def reproduce(size: StudySize, root: Path, only: list[str], progress: Progress) -> Table:
    """Run the studies named in `only`, or all, and write their rows and a picture of them to `root`.

    Raises:
        InputError: there is no study of that name, or all that was asked for needs recordings that are not here.
    """
    for name in only:
        if name not in STUDIES:
            raise InputError(f"no study {name!r}; {nearest(name, list(STUDIES))}")
    chosen = {name: study for name, study in STUDIES.items() if not only or name in only}
    rows: list[Row] = []
    for i, (name, study) in enumerate(chosen.items()):
        share = part(progress, i / len(chosen), (i + 1) / len(chosen))
        rows += study(size, root / name, share)
    # The race uses the encoders of the REALM study, and half of its trials.
    times = (time_study.run(size, root / realm_study.NAME, progress),) if realm_study.NAME in chosen else ()
    not_run = rats.absent(list(dict.fromkeys(rat for name in chosen for rat in RATS.get(name, ()))))
    if not rows:
        raise InputError(f"nothing to show: {'; '.join(not_run)}; set {DATA_VARIABLE} to the folder that has them")
    table = Table(size=size.name, rows=tuple(rows), times=times, not_run=not_run)
    write_text(root / TABLE_NAME, table.model_dump_json(indent=1) + "\n")
    write_text(root / PICTURE_NAME, _picture(table))
    return table


def _picture(table: Table) -> str:
    from edgebci.reporting.differences_figure import Difference, differences_svg

    margin = max(row.comparison.margin for row in table.rows)
    return differences_svg([Difference(r.question, r.comparison.difference, r.holds) for r in table.rows], margin)
