"""POSSM's backbones side by side on single spikes, and what pretraining is worth to a session of unknown units.

The same sizes with three backbones learn a held-out session from scratch, the main one all of them, the others one of
each subject; ridge on spike counts (the Wiener filter) is beside them. A model pretrained on the first sessions of all
subjects meets a held-out session by unit identification, where embeddings of its units and nothing else are trained, or
is then tuned in full, with all labels and with few. No output looks at a later spike, so that all rivals know the same
at each moment.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from edgebci.pipeline.studies.asking import Question, ask
from edgebci.pipeline.studies.cohort import Cohort, obtain_cohort
from edgebci.pipeline.studies.realm_study import held_by, with_labels
from edgebci.pipeline.studies.size import StudySize
from edgebci.pipeline.studies.table import Row
from edgebci.pipeline.studies.trial import Grid
from edgebci.pipeline.systems.possm import Pretrained, possm_way, wiener_way
from edgebci.possm_spec import Backbone
from edgebci.progress import Progress, part
from edgebci.session import Session

if TYPE_CHECKING:
    from edgebci.training.possm.recipe import PossmRecipe, Stage

NAME = "possm"
PRETRAINING_SESSIONS = 2
BACKBONES: tuple[Backbone, ...] = ("gru", "mamba2", "s4d")
MAIN: Backbone = "gru"
WINDOW_S, BATCH_WINDOWS = 2.0, 8
UPDATES_PER_EPOCH, FEWEST_UPDATES = 10, 80
"""Of one session: short sessions and few labels have few windows, so updates are counted and not passes over them."""


def run(size: StudySize, root: Path, progress: Progress) -> tuple[Row, ...]:
    """All questions; finished models and trials are kept in `root`."""
    # Channels of LFP cost time and are not looked at.
    spec = size.model_copy(update={"n_channels": 4}).cohort()
    spec = spec.model_copy(update={"pretraining_sessions": PRETRAINING_SESSIONS})
    cohort = obtain_cohort(spec, root / "sessions", part(progress, 0.0, 0.2))
    recipe = recipe_for(cohort.pretraining[0], size.teacher_epochs)
    pretrained = Pretrained(cohort.pretraining, recipe, root / "models", part(progress, 0.2, 0.5))
    # First of all, so that no trial's time holds it.
    pretrained.train((MAIN,), size.seeds)
    grid = Grid(root / "trials", size.seeds, part(progress, 0.5, 0.9))
    recipe = recipe_for(cohort.held_out[0], size.student_epochs)
    main = [ask(NAME, grid, cohort.held_out, question) for question in questions(pretrained, recipe, size)]
    # The other backbones take longest and carry no claim of the paper's beyond themselves.
    others = [ask(NAME, grid, cohort.first_held_out(), question) for question in backbones(pretrained, recipe, size)]
    few = Grid(root / "trials", size.control_seeds, part(progress, 0.9, 1.0))
    return (*main, *others, *few_labels(pretrained, cohort, few, size))


def questions(pretrained: Pretrained, recipe: PossmRecipe, size: StudySize) -> list[Question]:
    """With all labels of a held-out session, and what the paper leads to expect."""
    wiener = wiener_way(size.recipe().ridge)
    scratch, identified, tuned = (
        possm_way(pretrained, MAIN, manner, recipe) for manner in ("scratch", "identified", "tuned")
    )
    return [
        Question(f"is POSSM, {MAIN}, better than a Wiener filter?", scratch, wiener, "superior"),
        Question("is unit identification better than training from scratch?", identified, scratch, "superior"),
        Question("is fine-tuning better than training from scratch?", tuned, scratch, "superior"),
        Question("is fine-tuning better than unit identification?", tuned, identified, "superior"),
        Question("is unit identification better than a Wiener filter?", identified, wiener, "superior"),
    ]


def backbones(pretrained: Pretrained, recipe: PossmRecipe, size: StudySize) -> list[Question]:
    """The other backbones, from scratch, beside the main one."""
    wiener, main = wiener_way(size.recipe().ridge), possm_way(pretrained, MAIN, "scratch", recipe)
    others = {backbone: possm_way(pretrained, backbone, "scratch", recipe) for backbone in BACKBONES[1:]}
    return [
        *(
            Question(f"is POSSM, {b}, better than a Wiener filter?", way, wiener, "superior")
            for b, way in others.items()
        ),
        *(Question(f"is {b} better than {MAIN}?", way, main, "either") for b, way in others.items()),
    ]


def few_labels(pretrained: Pretrained, cohort: Cohort, grid: Grid, size: StudySize) -> list[Row]:
    """With the first minutes of labels: where pretraining pays."""
    rows, wiener = [], wiener_way(size.recipe().ridge)
    for minutes in held_by(cohort.held_out[0], size.label_minutes):
        sessions = [with_labels(session, minutes) for session in cohort.first_held_out()]
        recipe = recipe_for(sessions[0], size.student_epochs)
        scratch, identified = (possm_way(pretrained, MAIN, manner, recipe) for manner in ("scratch", "identified"))
        asked = [
            Question("is unit identification better than training from scratch?", identified, scratch, "superior"),
            Question("is unit identification better than a Wiener filter?", identified, wiener, "superior"),
        ]
        rows += [
            ask(NAME, grid, sessions, question.about(f"{minutes:g} min of labels", minutes == 1)) for question in asked
        ]
    return rows


def recipe_for(session: Session, epochs: int) -> PossmRecipe:
    """The edge sizes, with updates for a session of this length as the study's epochs say, in every manner alike."""
    from edgebci.training.possm.model import PossmRegularisation
    from edgebci.training.possm.published import EDGE
    from edgebci.training.possm.recipe import PossmRecipe, UnitDropout

    window = round(WINDOW_S * session.data.frame_rate_hz)
    frames = sum(stop - start for start, stop in session.data.intervals("train"))
    per_epoch = math.ceil(frames / window / BATCH_WINDOWS)
    whole = math.ceil(max(FEWEST_UPDATES, UPDATES_PER_EPOCH * epochs) / per_epoch)
    first = math.ceil(whole / 4)
    return PossmRecipe(
        schema="edgebci.possm/1",
        threads=1,
        model=EDGE,
        regularisation=PossmRegularisation(feed_forward_dropout=0.1, backbone_dropout=0.1),
        unit_dropout=UnitDropout(least=60, mode=100, most=120),
        training=_stage(whole, 2e-3, window),
        unit_identification=_stage(whole, 1e-2, window),
        identification_before_tuning=_stage(first, 1e-2, window),
        fine_tuning=_stage(max(whole - first, 1), 2e-3, window),
    )


def _stage(epochs: int, learning_rate: float, window_frames: int) -> Stage:
    from edgebci.training.possm.recipe import Stage
    from edgebci.training.recipe import Optimiser

    optimiser = Optimiser(
        learning_rate=learning_rate,
        schedule="one_cycle",
        warm_up_epochs=1,
        weight_decay=1e-4,
        average_decay=0.95,
        epochs=epochs,
        batch_windows=BATCH_WINDOWS,
        window_frames=window_frames,
    )
    return Stage(optimiser=optimiser)
