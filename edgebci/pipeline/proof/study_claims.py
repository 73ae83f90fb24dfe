"""What the studies of the papers' claims found, at their full size: one figure for each answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgebci.pipeline.proof.claim import Claim, Place
from edgebci.pipeline.proof.figure import R2, Figure, slug
from edgebci.pipeline.proof.sources import Sources
from edgebci.pipeline.studies.table import Row, TimeRow
from edgebci.progress import Progress

_TITLES = {
    "distillation": ("Does distillation help?", 150.0),
    "realm": ("REALM on sessions that it has not met", 180.0),
    "crossmodal": ("Spikes teach a decoder of LFP", 200.0),
    "possm": ("POSSM", 130.0),
    "rats": ("Two rats, each by itself", 40.0),
    "sizes": ("REALM at its published sizes, a few updates", 5.0),
}


# What a newcomer would ask of each study; the others show their first answer.
_QUOTED = {
    "distillation": (
        "distilled_against_alone_does_the_teacher_help_kernel",
        "guided_against_ridge_is_the_distilled_student_better_than_ridge_if_ridge_teaches_it_as_well_kernel",
    ),
    "realm": (
        "student_label_free_against_untaught_label_free_does_the_teacher_help_label_free",
        "student_fine_tuned_against_random_fine_tuned_is_fine_tuning_better_than_training_from_scratch",
        "student_fine_tuned_against_ridge_is_fine_tuning_better_than_ridge",
    ),
    "possm": (
        "possm_gru_scratch_against_wiener_is_possm_gru_better_than_a_wiener_filter",
        "possm_gru_identified_against_possm_gru_scratch_is_unit_identification_better_than_training_from_scratch",
    ),
}

_HERE = "edgebci/pipeline/proof/study_claims.py"
# How decoders leave as bundles is imported with the systems, and no study asks for it.
_NOT_ASKED = (
    "export/**/*",
    "edgebci/operators/*",
    "edgebci/pipeline/systems/*system.py",
    *(
        f"edgebci/{name}.py"
        for name in (
            "*bundle*",
            "*quantized*",
            "agreement",
            "bill_of_materials",
            "decoder_float",
            "frame_stream",
            "parameter*",
            "possm_float",
            "possm_stream",
            "targets",
            "workload",
        )
    ),
)


def study_claims(names: tuple[str, ...], aside: tuple[str, ...]) -> tuple[Claim, ...]:
    """A claim for each study.

    Args:
        names: of the studies.
        aside: files that no figure depends on.
    """
    return tuple(
        Claim(
            name=f"study_{name}",
            title=_TITLES[name][0],
            command=f"edgebci reproduce claims --full --only {name}",
            sources=Sources(_modules(name), (_HERE,), (*aside, *_NOT_ASKED)),
            minutes=_TITLES[name][1],
            measure=_measure(name),
            quoted=_QUOTED.get(name, ()),
        )
        for name in names
    )


def _modules(name: str) -> tuple[str, ...]:
    studies = (name, "time") if name == "realm" else (name,)
    return tuple(f"edgebci.pipeline.studies.{study}_study" for study in studies)


def _measure(name: str) -> Callable[[Place, Progress], tuple[Figure, ...]]:
    return partial(measure_study, name)


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
