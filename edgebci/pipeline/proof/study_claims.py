"""What the studies of the papers' claims found, at their full size: one figure for each answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgebci.pipeline.proof.claim import Claim, Place
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.sources import Sources
from edgebci.pipeline.proof.study_answers import measure_study
from edgebci.progress import Progress

_TITLES = {
    "distillation": ("Does distillation help?", 150.0),
    "realm": ("REALM on sessions that it has not met", 180.0),
    "crossmodal": ("Spikes teach a decoder of LFP", 130.0),
    "crossmodal_worlds": ("Spikes teach where they share more or less with LFP", 100.0),
    "crossmodal_linear": ("Spikes teach where all is linear", 50.0),
    "crossmodal_rat": ("Spikes of a rat teach a decoder of its LFP", 40.0),
    "possm": ("POSSM", 130.0),
    "rats": ("Two rats, each by itself", 170.0),
    "sizes": ("REALM at its published sizes, a few updates", 5.0),
}


# What a newcomer would ask of each study; of the others, the long table has the answers.
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
    "crossmodal": (
        "cross_modal_against_lfp_only_is_a_student_that_spikes_taught_better_than_lfp_only_rho_0_5",
        "cross_modal_by_cosine_against_lfp_only_is_a_student_that_the_cosine_taught_better_than_lfp_only_rho_0_5",
        "cross_modal_supervised_against_ridge_is_it_better_than_ridge_if_it_learns_from_labels_rho_0_5",
    ),
    "possm": (
        "possm_gru_scratch_against_wiener_is_possm_gru_better_than_a_wiener_filter",
        "possm_gru_identified_against_possm_gru_scratch_is_unit_identification_better_than_training_from_scratch",
    ),
}

_RECORDINGS = {"rats": "rat_r1838_open_field.nwb", "crossmodal_rat": "rat_r1838_open_field.nwb"}
_ANSWERS = "edgebci/pipeline/proof/study_answers.py"
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
            sources=Sources(_modules(name), (_ANSWERS,), (*aside, *_NOT_ASKED)),
            minutes=_TITLES[name][1],
            measure=_measure(name),
            recording=_RECORDINGS.get(name),
            quoted=_QUOTED.get(name, ()),
        )
        for name in names
    )


def _modules(name: str) -> tuple[str, ...]:
    studies = (name, "time") if name == "realm" else (name,)
    return tuple(f"edgebci.pipeline.studies.{study}_study" for study in studies)


def _measure(name: str) -> Callable[[Place, Progress], tuple[Figure, ...]]:
    return partial(measure_study, name)
