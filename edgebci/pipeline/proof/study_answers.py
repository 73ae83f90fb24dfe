"""The answers of a study as figures of the proof: one for each question, one for the race."""

from __future__ import annotations

from edgebci.pipeline.proof.claim import Place
from edgebci.pipeline.proof.figure import R2, Figure, slug
from edgebci.pipeline.studies.table import Row, TimeRow
from edgebci.progress import Progress


def measure_study(name: str, place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Answers of one study; its finished trials are those of `edgebci reproduce claims --full`."""
    from edgebci.pipeline.studies.reproduce import reproduce, studies_root
    from edgebci.pipeline.studies.size import FULL

    table = reproduce(FULL, studies_root(place.runs, FULL), [name], progress)
    return (*map(_answer, table.rows), *map(_race, table.times))


def _answer(row: Row) -> Figure:
    found = row.comparison
    return Figure(
        name=slug(f"{row.candidate} against {row.reference}: {row.question}"),
        label=f"{row.question} {row.candidate} − {row.reference}",
        value=found.difference.value,
        low=found.difference.low,
        high=found.difference.high,
        unit=R2,
        evidence="measured",
        note=(
            f"{found.verdict}{_EXPECTED[row.holds]}; R² {found.candidate_r2:.3f} against {found.reference_r2:.3f}, "
            f"subjects × seeds {found.n_subjects} × {found.n_seeds}, sessions {found.n_sessions}"
        ),
        headline=row.headline,
    )


_EXPECTED = {True: "", False: ", NOT as expected", None: ""}


def _race(race: TimeRow) -> Figure:
    return Figure(
        name=slug(race.question),
        label=race.question,
        value=race.ratio.value,
        low=race.ratio.low,
        high=race.ratio.high,
        unit="times",
        evidence="measured",
        note=f"claimed: {race.claimed_ratio:g}; as good in {race.reached} of {race.races} races; 0: it never was",
    )
