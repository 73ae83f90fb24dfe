"""Systems whose decoders take frames: their checkpoints become bundles as that of `edgebci run` does."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from edgebci.bundle import Provenance
from edgebci.checkpoint import Checkpoint, save_checkpoint
from edgebci.export.bundle_writer import export_bundle
from edgebci.files import sha256
from edgebci.frame_stream import part_stream
from edgebci.pipeline.preparation import Prepared, load_prepared
from edgebci.pipeline.sessions import load_source
from edgebci.pipeline.systems.system import BundleOrder, System
from edgebci.progress import Progress
from edgebci.session import Session

CHECKPOINT_NAME = "decoder.safetensors"


class FrameSystem(System):
    """Its decoders are checkpoints."""

    @abstractmethod
    def deployable(self, session: Session, seed: int, trial: Path) -> Checkpoint:
        """The decoder that the last of `ways` left in the folder `trial`, as the exporter takes it.

        Raises:
            InputError: it may not run on an implant; says why.
        """

    def export(self, session: Session, seed: int, trial: Path, order: BundleOrder, progress: Progress) -> None:
        """Write the checkpoint beside the bundle's folder, and the bundle, verified over the test part."""
        checkpoint = self.deployable(session, seed, trial)
        file = order.folder.parent / CHECKPOINT_NAME
        save_checkpoint(file, checkpoint)
        prepared = load_prepared(order.prepared)
        export_bundle(
            order.folder,
            checkpoint,
            prepared.front_end,
            part_stream(prepared.data, "train"),
            part_stream(prepared.data, "test"),
            _provenance(file, order, prepared),
            order.recipe,
            order.core,
            progress,
        )


def _provenance(checkpoint: Path, order: BundleOrder, prepared: Prepared) -> Provenance:
    recording, digest = load_source(order.prepared)
    return Provenance(
        recording=recording,
        recording_sha256=digest,
        checkpoint_sha256=sha256(checkpoint),
        trials=order.trials,
        test_intervals_s=(prepared.part_s("test"),),
    )
