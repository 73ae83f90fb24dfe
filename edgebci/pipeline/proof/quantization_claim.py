"""What int8 costs in R², after training and in training, at the full size of the study: one figure for each row.

A figure's value is the loss, its range the 95 % interval; the headlines are the largest upper bounds, against goals
that were fixed beforehand.
"""

from __future__ import annotations

from edgebci.pipeline.proof.claim import CannotMeasureError, Claim, Place
from edgebci.pipeline.proof.figure import R2, Figure, slug
from edgebci.pipeline.proof.sources import Sources
from edgebci.pipeline.quantization_study import MARGINS, LossRow, LossTable, Way
from edgebci.progress import Progress

MINUTES = 110.0


def quantization_claim(aside: tuple[str, ...]) -> Claim:
    """The claim; `aside`: files that no figure depends on."""
    return Claim(
        name="quantization",
        title="What int8 costs",
        command="edgebci reproduce quantization --full",
        sources=Sources(
            ("edgebci.pipeline.quantization_sessions", "edgebci.training.quantization_aware.learning"),
            ("edgebci/pipeline/proof/quantization_claim.py",),
            aside,
        ),
        minutes=MINUTES,
        measure=measure_quantization,
        quoted=tuple(slug(f"worst {way}") for way in MARGINS),
    )


def measure_quantization(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Losses of all decoders; finished trainings are those of `edgebci reproduce quantization --full`.

    Raises:
        CannotMeasureError: a rat's recording is not on this machine.
    """
    from edgebci.pipeline.quantization_sessions import FULL, reproduce_quantization
    from edgebci.pipeline.studies.rats import RATS, absent

    if missing := absent(RATS):
        raise CannotMeasureError("; ".join(missing))
    table = reproduce_quantization(FULL, place.runs / "quantization" / FULL.name, progress)
    return (*(_worst(table, way) for way in MARGINS), *map(_figure, table.rows))


def _worst(table: LossTable, way: Way) -> Figure:
    rows = [row for row in table.rows if row.way == way]
    worst = max(rows, key=lambda row: row.upper_loss)
    reached = sum(row.goal == "reached" for row in rows)
    return Figure(
        name=slug(f"worst {way}"),
        label=f"{way}: largest upper 95 % bound of the loss in R²",
        value=worst.upper_loss,
        unit=R2,
        evidence="measured",
        note=(
            f"goal {MARGINS[way]:g} reached in {reached} of {len(rows)}; worst: {worst.case}, {worst.stream}, "
            f"{worst.goal}"
        ),
    )


def _figure(row: LossRow) -> Figure:
    difference = row.comparison.difference
    kept = ", start of the training kept" if row.start_kept else ""
    return Figure(
        name=slug(f"{row.case} {row.way} {row.stream}"),
        label=f"{row.case}, {row.stream}: loss of {row.way}",
        value=-difference.value,
        low=-difference.high,
        high=-difference.low,
        unit=R2,
        evidence="measured",
        note=(
            f"{row.goal} at {row.comparison.margin:g}{kept}; R² {row.r2_float:.3f} in float, {row.seconds:,.0f} s, "
            f"{row.comparison.n_blocks} blocks"
        ),
        headline=False,
    )
