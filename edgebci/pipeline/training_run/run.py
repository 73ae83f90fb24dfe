"""The stages of a training run; each is kept, so that a run of hours can be interrupted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import edgebci
from edgebci.comparison import compare, score
from edgebci.files import write_text
from edgebci.metrics import r2
from edgebci.pipeline.sessions import obtain_session
from edgebci.pipeline.studies.trial import Grid, Way, truth
from edgebci.pipeline.studies.ways import ridge_way
from edgebci.pipeline.systems.choice import make_system
from edgebci.pipeline.systems.system import System
from edgebci.pipeline.training_run.bundles import SESSIONS, export_decoder
from edgebci.pipeline.training_run.configuration import TrainingRunConfig
from edgebci.pipeline.training_run.page import training_page
from edgebci.pipeline.training_run.result import SessionResult, TrainingResult, WayResult
from edgebci.progress import Progress, part, silent
from edgebci.session import Session
from edgebci.training.recipe import TrainingRecipe

RESULT_NAME, PICTURE_NAME, PAGE_NAME = "training.json", "training.svg", "training.html"
ENCODERS, DECODERS = "encoders", "decoders"


def run_training(config: TrainingRunConfig, root: Path, teacher: Path | None, progress: Progress) -> TrainingResult:
    """Prepare sessions, train the system, decode every held-out session, export, and write what was found to `root`.

    Args:
        config: the run.
        root: its folder.
        teacher: a trained one to distil from; None: one is trained.
        progress: of the whole run.

    Raises:
        InputError: sessions, recipe and teacher do not fit each other.
        VerificationError: an exported form does not compute what it should.
    """
    # What is wrong in a recipe is told before hours of preparing sessions; nothing is trained until the system learns.
    make_system(config.recipe, (), root / ENCODERS, teacher, silent)
    sessions = _obtain(config, root, part(progress, 0.0, 0.15))
    learning = [sessions[s.name] for s in config.with_role("pretraining")]
    system = make_system(config.recipe, learning, root / ENCODERS, teacher, part(progress, 0.15, 0.6))
    system.learn(config.seeds)
    held_out = [sessions[s.name] for s in config.with_role("held_out")]
    shares = [
        part(progress, 0.6 + 0.4 * i / len(held_out), 0.6 + 0.4 * (i + 1) / len(held_out)) for i in range(len(held_out))
    ]
    result = TrainingResult(
        name=config.name,
        edgebci_version=edgebci.__version__,
        pretraining=tuple(session.name for session in learning),
        costs=system.costs(held_out[0]),
        sessions=tuple(_decode(config, system, s, root, share) for s, share in zip(held_out, shares, strict=True)),
    )
    write_text(root / RESULT_NAME, result.model_dump_json(indent=1) + "\n")
    picture = _picture(result, config)
    write_text(root / PICTURE_NAME, picture)
    write_text(root / PAGE_NAME, training_page(result, picture, system.plots(held_out, config.seeds[0], root)))
    return result


def _obtain(config: TrainingRunConfig, root: Path, progress: Progress) -> dict[str, Session]:
    sessions, n = {}, len(config.sessions)
    for i, entry in enumerate(config.sessions):
        share = part(progress, i / n, (i + 1) / n)
        preparation = config.preparation(entry)
        sessions[entry.name] = obtain_session(preparation, root / SESSIONS, entry.name, entry.subject, share)
    return sessions


def _decode(
    config: TrainingRunConfig, system: System, session: Session, root: Path, progress: Progress
) -> SessionResult:
    grid = Grid(root / DECODERS, config.seeds, part(progress, 0.0, 0.7))
    ridge = ridge_way(TrainingRecipe(ridge=config.ridge))
    ways = (ridge, *system.ways())
    results = tuple(_score(config, grid, session, way, ridge) for way in ways)
    bundle, reason = export_decoder(config, system, session, grid, root, part(progress, 0.7, 1.0))
    return SessionResult(
        session=session.name,
        subject=session.subject,
        axes=session.data.target_names,
        ways=results,
        bundle=bundle,
        not_exported=reason,
    )


def _score(config: TrainingRunConfig, grid: Grid, session: Session, way: Way, ridge: Way) -> WayResult:
    true, rate_hz, comparison = truth(session), session.data.frame_rate_hz, config.comparison
    decoded = [trial.decoded for trial in grid.trials(way, session)]
    reference = grid.trials(ridge, session)[0].decoded
    against = compare(true, decoded, reference, rate_hz, comparison.retrained_margin, comparison.seed)
    return WayResult(
        way=way.name,
        score=score(true, decoded[0], rate_hz, comparison.seed),
        r2_by_seed=tuple(float(np.mean(r2(true, one))) for one in decoded),
        against_ridge=None if way is ridge else against,
        seconds=grid.mean_seconds([session], way),
    )


def _picture(result: TrainingResult, config: TrainingRunConfig) -> str:
    from edgebci.reporting.differences_figure import Difference, differences_svg

    rows = [
        Difference(f"{session.session}: {way.way} - ridge", way.against_ridge.difference, None)
        for session in result.sessions
        for way in session.ways
        if way.against_ridge is not None
    ]
    return differences_svg(rows, config.comparison.retrained_margin)
