"""REALM-S and REALM at their published sizes: a few updates here, to see that they train and decode.

Their full training needs a GPU, so nothing is expected of the figures; the sizes, and the way through encoder, readout
and score, are the published ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebci.pipeline.studies import realm_study
from edgebci.pipeline.studies.asking import Question, ask
from edgebci.pipeline.studies.cohort import obtain_cohort
from edgebci.pipeline.studies.size import QUICK, StudySize
from edgebci.pipeline.studies.table import Row
from edgebci.pipeline.studies.trial import Grid
from edgebci.pipeline.studies.ways import ridge_way
from edgebci.pipeline.systems.realm import UNTAUGHT, Encoders, label_free_way
from edgebci.progress import Progress, part
from edgebci.session import Session

if TYPE_CHECKING:
    from edgebci.training.realm.recipe import RealmRecipe

NAME = "sizes"
SIZES = ("REALM-S", "REALM")


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """Both sizes, label-free against ridge; the same few updates in every size of study."""
    spec = QUICK.cohort().model_copy(update={"subjects": 1, "pretraining_sessions": 1})
    cohort = obtain_cohort(spec, root / "sessions", part(progress, 0.0, 0.2))
    ridge = ridge_way(size.recipe())
    rows = []
    for i, name in enumerate(SIZES):
        share = part(progress, 0.2 + 0.4 * i, 0.6 + 0.4 * i)
        encoders = Encoders(cohort.pretraining, recipe_for(name, cohort.held_out[0]), root / name, share)
        label_free = label_free_way(encoders, UNTAUGHT)
        question = Question(f"{name} after a few updates: label-free against ridge", label_free, ridge, "either")
        rows.append(ask(NAME, Grid(root / name / "trials", (1,), share), cohort.held_out, question))
    return tuple(rows)


def recipe_for(name: str, session: Session) -> RealmRecipe:
    """The published size, on frames of this rate; channels beyond the session's are filled with zeros."""
    from edgebci.training.realm.recipe import RealmRecipe
    from edgebci.training.realm.spec import REALM_BI
    from edgebci.training.realm.spec import SIZES as SPECS

    small = realm_study.recipe_for(QUICK, session)
    rate = {"frame_rate_hz": session.data.frame_rate_hz}
    stage = small.distillation
    few = stage.optimiser.model_copy(update={"epochs": 1, "warm_up_epochs": 0, "batch_windows": 2})
    return RealmRecipe(
        teacher=REALM_BI.model_copy(update=rate),
        student=SPECS[name].model_copy(update=rate),
        distillation=stage.model_copy(update={"optimiser": few}),
        pretraining=small.pretraining.model_copy(update={"optimiser": few}),
    )
