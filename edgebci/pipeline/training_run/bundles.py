"""A held-out session's decoder as a verified bundle."""

from __future__ import annotations

from pathlib import Path

from edgebci.bundle import Provenance
from edgebci.checkpoint import save_checkpoint
from edgebci.errors import InputError
from edgebci.export.bundle_writer import export_bundle
from edgebci.files import sha256
from edgebci.frame_stream import part_stream
from edgebci.pipeline.cache import run_stage
from edgebci.pipeline.preparation import Prepared, load_prepared
from edgebci.pipeline.sessions import load_source
from edgebci.pipeline.studies.trial import Grid
from edgebci.pipeline.systems.system import System
from edgebci.pipeline.training_run.configuration import TrainingRunConfig
from edgebci.progress import Progress
from edgebci.session import Session

BUNDLES, CHECKPOINT_NAME, BUNDLE_NAME = "bundles", "decoder.safetensors", "bundle"


def export_decoder(
    config: TrainingRunConfig, system: System, session: Session, grid: Grid, root: Path, progress: Progress
) -> tuple[str | None, str | None]:
    """Export what the first seed made of the session: the bundle's folder below `root`, or None and why not.

    Raises:
        VerificationError: an exported form does not compute what it should.
    """
    if not config.export:
        return None, "the run's TOML says export = false"
    seed, source = config.seeds[0], root / "sessions" / session.name
    try:
        checkpoint = system.deployable(session, seed, grid.folder(system.ways()[-1], session, seed))
    except InputError as error:
        return None, str(error)
    file = root / BUNDLES / f"{session.name}.safetensors"
    save_checkpoint(file, checkpoint)

    def work(folder: Path) -> None:
        prepared = load_prepared(source)
        export_bundle(
            folder / BUNDLE_NAME,
            checkpoint,
            prepared.front_end,
            part_stream(prepared.data, "train"),
            part_stream(prepared.data, "test"),
            _provenance(file, source, prepared, len(config.seeds)),
            config.quantization,
            config.firmware.core,
            progress,
        )

    inputs = [sha256(file), session.data.fingerprint("train", "test"), config.quantization.model_dump_json()]
    stage = run_stage(root / BUNDLES, session.name, [*inputs, config.firmware.core], work)
    return str((stage.folder / BUNDLE_NAME).relative_to(root)), None


def _provenance(checkpoint: Path, source: Path, prepared: Prepared, trials: int) -> Provenance:
    recording, digest = load_source(source)
    return Provenance(
        recording=recording,
        recording_sha256=digest,
        checkpoint_sha256=sha256(checkpoint),
        trials=trials,
        test_intervals_s=(prepared.part_s("test"),),
    )
