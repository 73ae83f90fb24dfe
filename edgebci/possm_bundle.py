"""The bundle of a decoder of spikes: as `edgebci.bundle`, with chunks of tokens where that has a front end.

manifest.json            this module's `PossmManifest`
decoder_float.onnx       one step in float32
decoder_int8.onnx        one step with int8 weights and activations and int16 states
quantized.safetensors    the same integers for `edgebci.possm_quantized`
firmware/                C99 of the whole device program
sbom.json                what of others' work went into it, and what it was made with
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from edgebci.agreement import FloatAgreement, QuantizedAgreement
from edgebci.bundle import QUANTIZED, Accuracy, BundleFiles, BundleFolder, Loss, read_manifest, write_manifest
from edgebci.checkpoint import TrainingRecord
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import PossmStepSpec


class PossmManifest(BundleFiles):
    """Everything about the bundle; the same checkpoint and data give the same manifest on the same versions."""

    schema_version: Literal["edgebci.possm_bundle/1", "edgebci.possm_bundle/2"] = "edgebci.possm_bundle/2"
    """1 has no target (it is for the Cortex-M4F), no accuracy and no bill of materials."""
    versions: dict[str, str]
    target: str = "cortex-m4f"
    precision: Literal["int8"] = "int8"
    spec: PossmStepSpec
    weight_bytes: int
    """int8 weights, tables, scales and every float32 vector."""
    state_bytes: int
    """int16 states of one stream."""
    quantization: dict[str, JsonValue]
    """The recipe."""
    training: TrainingRecord
    checkpoint_sha256: str
    float_agreement: FloatAgreement
    quantized_agreement: QuantizedAgreement
    accuracy: tuple[Accuracy, ...] = ()
    loss: Loss | None = None
    """What the int8 form loses against the float graph, on the same chunks of the test part."""


@dataclass(frozen=True)
class PossmBundle(BundleFolder):
    """An opened, undamaged bundle."""

    manifest: PossmManifest

    def quantized_decoder(self) -> QuantizedPossmStep:
        """The bit-exact reference."""
        return QuantizedPossmStep.load(self.folder / QUANTIZED)

    def with_accuracy(self, accuracy: Sequence[Accuracy], loss: Loss | None = None) -> PossmBundle:
        """Write how each form scored into the manifest, in place of what stood there."""
        manifest = self.manifest.model_copy(update={"accuracy": tuple(accuracy), "loss": loss})
        write_manifest(self.folder, manifest)
        return PossmBundle(self.folder, manifest)


def open_possm_bundle(folder: Path) -> PossmBundle:
    """Open a bundle after comparing every file with its hash.

    Raises:
        InputError: no bundle there, another schema, or damaged files (all of them are named).
    """
    return PossmBundle(folder, read_manifest(folder, PossmManifest))
