"""The bundle of a decoder of spikes: as `edgebci.bundle`, with chunks of tokens where that has a front end.

manifest.json            this module's `PossmManifest`
decoder_float.onnx       one step in float32
decoder_fp16.onnx        one step in float16, its states in float32
decoder_int8.onnx        one step with int8 weights and activations and int16 states
quantized.safetensors    the same integers for `edgebci.possm_quantized`
firmware/                C99 of the whole device program
decoder_chunk.onnx, run_decoder.py         several steps in one run, and a runner (targets of ONNX Runtime only)
jetson/                  what goes to the board (Jetson targets only)
sbom.json                what of others' work went into it, and what it was made with

Which of them a bundle has, its target and its precision say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from edgebci.agreement import FloatAgreement, QuantizedAgreement
from edgebci.bundle import (
    QUANTIZED,
    Accuracy,
    BundleFiles,
    BundleFolder,
    Loss,
    read_manifest,
    shipped_onnx,
    write_manifest,
)
from edgebci.checkpoint import TrainingRecord
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import PossmStepSpec
from edgebci.targets import Precision


class PossmManifest(BundleFiles):
    """Everything about the bundle; the same checkpoint and data give the same manifest on the same versions."""

    schema_version: Literal["edgebci.possm_bundle/1", "edgebci.possm_bundle/2", "edgebci.possm_bundle/3"] = (
        "edgebci.possm_bundle/3"
    )
    """1 has no target (it is for the Cortex-M4F), no accuracy and no bill of materials; 2 is always in int8."""
    versions: dict[str, str]
    target: str = "cortex-m4f"
    precision: Precision = "int8"
    spec: PossmStepSpec
    weight_bytes: int
    """Weights, tables, scales and every vector, in the types of the precision."""
    state_bytes: int
    """States of one stream, in the types of the precision."""
    quantization: dict[str, JsonValue] | None = None
    """The recipe of int8."""
    int8_share: float | None = None
    """Of the MACs with a weight, those of int8 weights with int8 activations, on the target."""
    target_record: dict[str, JsonValue] | None = None
    """What is special to the target."""
    training: TrainingRecord
    checkpoint_sha256: str
    float_agreement: FloatAgreement
    half_agreement: FloatAgreement | None = None
    quantized_agreement: QuantizedAgreement | None = None
    accuracy: tuple[Accuracy, ...] = ()
    loss: Loss | None = None
    """What the form that ships loses against the float graph, on the same chunks of the test part."""


@dataclass(frozen=True)
class PossmBundle(BundleFolder):
    """An opened, undamaged bundle."""

    manifest: PossmManifest

    @property
    def shipped_onnx(self) -> Path:
        """The step in the precision that was asked for."""
        return self.folder / shipped_onnx(self.manifest.precision)

    def quantized_decoder(self) -> QuantizedPossmStep:
        """The bit-exact reference; raises InputError where the bundle has no int8."""
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
