"""A held-out session's decoder as a verified bundle, or the reason why there is none."""

from __future__ import annotations

from pathlib import Path

from edgebci.errors import InputError
from edgebci.files import sha256
from edgebci.pipeline.cache import run_stage
from edgebci.pipeline.studies.trial import DECODED_NAME, Grid
from edgebci.pipeline.systems.system import BundleOrder, System
from edgebci.pipeline.training_run.configuration import TrainingRunConfig
from edgebci.progress import Progress
from edgebci.session import Session

SESSIONS, BUNDLES, BUNDLE_NAME = "sessions", "bundles", "bundle"


def export_decoder(
    config: TrainingRunConfig, system: System, session: Session, grid: Grid, root: Path, progress: Progress
) -> tuple[str | None, str | None]:
    """Export what the first seed made of the session: the bundle's folder below `root`, or None and why not.

    Raises:
        VerificationError: an exported form does not compute what it should.
    """
    if not config.export:
        return None, "the run's TOML says export = false"
    seed, way = config.seeds[0], system.ways()[-1]
    trial = grid.folder(way, session, seed)

    def work(folder: Path) -> None:
        order = BundleOrder(
            folder=folder / BUNDLE_NAME,
            prepared=root / SESSIONS / session.name,
            recipe=config.quantization,
            core=config.firmware.core,
            trials=len(config.seeds),
        )
        system.export(session, seed, trial, order, progress)

    made_of = [sha256(trial / DECODED_NAME), way.identity, session.data.fingerprint("train", "test")]
    made_with = [config.quantization.model_dump_json(), config.firmware.core]
    try:
        stage = run_stage(root / BUNDLES, session.name, [*made_of, *made_with], work)
    except InputError as error:
        return None, str(error)
    return str((stage.folder / BUNDLE_NAME).relative_to(root)), None
