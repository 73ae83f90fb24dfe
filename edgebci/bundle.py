"""The bundle: one folder that holds a decoder in every form, and a manifest that says what they are worth.

manifest.json            this module's `Manifest`: sizes, features, accuracy, agreement, hashes of all the others
decoder_float.onnx       one step in float32
decoder_int8.onnx        one step with int8 weights and int16 states; activations in int8, in fixed point in int16
decoder_fp16.onnx        one step in float16, its states in float32
decoder_fused.onnx       the float step with a runtime's fused operators, where they were asked for
decoder_chunk.onnx       several steps in one run, of the form that the precision names
precision.json, precision.svg              the frontier of mixed precision and what was chosen
jetson/                  the graph that TensorRT takes, and the programs that build, run and time it on the board
run_decoder.py           runs a step in ONNX Runtime with bound buffers; needs nothing of this package
quantized.safetensors    the same integers for `edgebci.quantized_decoder`, or `edgebci.fixed_decoder`
front_end.json, front_end.safetensors      from ADC counts to frames
firmware/                C99 of the whole device program
parameters.bin           what `edgebci calibrate` may rewrite: normalisation and readout (`edgebci.parameter_block`)
sbom.json                what of others' work went into it, and what it was made with

Which of them a bundle has, its target and its precision say. Where parameters.bin was rewritten, `Bundle.front_end` and
`Bundle.quantized_decoder` give what it says; the other files stay as they were exported and verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

from pydantic import JsonValue, field_validator

from edgebci.agreement import FloatAgreement, FrontEndAgreement, QuantizedAgreement
from edgebci.bundle_records import Accuracy as Accuracy
from edgebci.bundle_records import CalibrationRecord as CalibrationRecord
from edgebci.bundle_records import FileRecord as FileRecord
from edgebci.bundle_records import Loss as Loss
from edgebci.bundle_records import Provenance as Provenance
from edgebci.bundle_records import Recalibration as Recalibration
from edgebci.bundle_records import TensorRecord as TensorRecord
from edgebci.checkpoint import TrainingRecord
from edgebci.decoder_spec import DecoderSpec
from edgebci.device_reference import FrontEndForm
from edgebci.documents import Document, load_json
from edgebci.errors import InputError
from edgebci.features.front_end import FrontEnd
from edgebci.features.specification import FeatureSpec
from edgebci.files import replacing, sha256, write_text
from edgebci.integer_decoder import IntegerDecoder, load_integers
from edgebci.operators.dense import dense_of
from edgebci.parameter_block import ParameterBlock, ParameterLayout, read_block
from edgebci.parameters import READOUT, Tensors, with_normalization
from edgebci.targets import Arithmetic, Precision
from edgebci.workload import Workload

MANIFEST, FLOAT_ONNX, INT8_ONNX = "manifest.json", "decoder_float.onnx", "decoder_int8.onnx"
QUANTIZED, FIRMWARE = "quantized.safetensors", "firmware"
PARAMETERS, SBOM = "parameters.bin", "sbom.json"
HALF_ONNX, CHUNK_ONNX, FUSED_ONNX = "decoder_fp16.onnx", "decoder_chunk.onnx", "decoder_fused.onnx"


class BundleFiles(Document):
    """The part of every manifest that says which files belong to the bundle."""

    files: dict[str, FileRecord]

    @property
    def bundle_id(self) -> str:
        """SHA-256 of the hashes of all files but the C, which may hold this id, and the parameters, which change."""
        texts = [
            f"{name} {record.sha256}\n"
            for name, record in sorted(self.files.items())
            if name != PARAMETERS and not name.startswith(f"{FIRMWARE}/")
        ]
        return hashlib.sha256("".join(texts).encode()).hexdigest()

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, files: dict[str, FileRecord]) -> dict[str, FileRecord]:
        for name in files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ValueError(f"the file {name!r} lies outside the bundle; export the decoder again")
        return files


class Manifest(BundleFiles):
    """Everything about a bundle; the same checkpoint and data give the same manifest on the same versions."""

    schema_version: Literal["edgebci.bundle/1", "edgebci.bundle/2"] = "edgebci.bundle/2"
    """1 has no target and precision (it is for the Cortex-M4F in int8), no parameters and no bill of materials."""
    versions: dict[str, str]
    target: str = "cortex-m4f"
    precision: Precision = "int8"
    arithmetic: Arithmetic = "int8"
    """Of the quantized decoder."""
    front_end: FrontEndForm = "float32"
    """How the C computes the features: in single precision, or in fixed point at several rates."""
    front_end_agreement: FrontEndAgreement | None = None
    """How far that form in fixed point was from the feature reference."""
    spec: DecoderSpec
    features: FeatureSpec
    n_channels: int
    inputs: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]
    workload: Workload
    quantization: dict[str, JsonValue] | None
    """The recipe; None where nothing is quantized."""
    calibration: CalibrationRecord | None = None
    training: TrainingRecord
    provenance: Provenance
    float_agreement: FloatAgreement
    half_agreement: FloatAgreement | None = None
    quantized_agreement: QuantizedAgreement | None
    int8_share: float | None = None
    """Of the MACs with a weight, those of int8 weights with int8 activations."""
    accuracy: tuple[Accuracy, ...] = ()
    loss: Loss | None = None
    """What the form that runs on the target loses against the float graph, on the same frames of the test part."""
    parameters: ParameterLayout | None = None
    """What parameters.bin holds."""
    recalibration: Recalibration | None = None
    target_record: dict[str, JsonValue] | None = None
    """What the target's own part of the export says of itself."""


def shipped_onnx(precision: Precision) -> str:
    """The file of the step in that precision."""
    return {"fp32": FLOAT_ONNX, "fp16": HALF_ONNX}.get(precision, INT8_ONNX)


AnyManifest = TypeVar("AnyManifest", bound=BundleFiles)


@dataclass(frozen=True)
class BundleFolder:
    """Where the files lie that every bundle has."""

    folder: Path

    @property
    def float_onnx(self) -> Path:
        """The float step."""
        return self.folder / FLOAT_ONNX

    @property
    def int8_onnx(self) -> Path:
        """The quantized step."""
        return self.folder / INT8_ONNX

    @property
    def firmware(self) -> Path:
        """The folder of C."""
        return self.folder / FIRMWARE


@dataclass(frozen=True)
class Bundle(BundleFolder):
    """An opened, undamaged bundle."""

    manifest: Manifest

    def front_end(self) -> FrontEnd:
        """What turns ADC counts into frames, with the normalisation of the parameter block."""
        front_end, block = FrontEnd.load(self.folder), self.parameters()
        return with_normalization(front_end, block) if block else front_end

    def quantized_decoder(self) -> IntegerDecoder:
        """The bit-exact reference in the manifest's arithmetic, with the readout of the parameter block.

        Raises:
            InputError: the bundle has no quantized form.
        """
        if self.manifest.quantized_agreement is None:
            raise InputError(
                f"{self.folder} was exported in {self.manifest.precision} and holds no quantized decoder; "
                "export with --precision int8"
            )
        decoder, block = load_integers(self.folder / QUANTIZED), self.parameters()
        return replace(decoder, readout=dense_of(block.tensors, READOUT)) if block else decoder

    def parameters(self) -> ParameterBlock | None:
        """The parameter block; None in a bundle of schema 1. Raises InputError where it is another bundle's."""
        if self.manifest.parameters is None:
            return None
        path, id_of_all = self.folder / PARAMETERS, self.manifest.bundle_id
        return read_block(path.read_bytes(), self.manifest.parameters, id_of_all, str(path))

    def with_parameters(self, file: Path) -> Bundle:
        """Take a parameter block that was made for this bundle elsewhere, in place of the one that stands here.

        Raises:
            InputError: it is damaged, of another layout or of another bundle; the old one is kept.
        """
        if self.manifest.parameters is None:
            raise InputError(
                f"{self.folder} was written before bundles had a parameter block; export the decoder again"
            )
        block = read_block(file.read_bytes(), self.manifest.parameters, self.manifest.bundle_id, str(file))
        return Bundle(self.folder, write_parameters(self.folder, self.manifest, dict(block.tensors)))

    @property
    def shipped_onnx(self) -> Path:
        """The step in the precision that was asked for."""
        return self.folder / shipped_onnx(self.manifest.precision)

    def with_accuracy(self, accuracy: Sequence[Accuracy], loss: Loss | None = None) -> Bundle:
        """Write how each form scored into the manifest, in place of what stood there."""
        manifest = self.manifest.model_copy(update={"accuracy": tuple(accuracy), "loss": loss})
        write_manifest(self.folder, manifest)
        return Bundle(self.folder, manifest)


def open_bundle(folder: Path) -> Bundle:
    """Open a bundle after comparing every file with its hash.

    Raises:
        InputError: no bundle there, another schema, or damaged files (all of them are named).
    """
    return Bundle(folder, read_manifest(folder, Manifest))


def read_manifest(folder: Path, model: type[AnyManifest]) -> AnyManifest:
    """Read a manifest and compare every file with its hash; raises InputError as `open_bundle` does."""
    require_manifest(folder)
    manifest = load_json(folder / MANIFEST, model)
    faults = bundle_faults(folder, manifest)
    if faults:
        raise InputError(f"the bundle {folder} is damaged: {'; '.join(faults)}; export the decoder again")
    return manifest


def require_manifest(folder: Path) -> None:
    """Raise InputError where `folder` is no bundle."""
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{folder} holds no {MANIFEST}, a bundle has one; give the folder that the export wrote")


def bundle_faults(folder: Path, manifest: BundleFiles) -> list[str]:
    """What is wrong with the files that the manifest names, each in a few words; empty where nothing is."""
    return [fault for name, record in manifest.files.items() if (fault := _fault(folder / name, name, record))]


def write_parameters(
    folder: Path, manifest: Manifest, tensors: Tensors, change: Recalibration | None = None
) -> Manifest:
    """Write parameters.bin, and the manifest with its hash and layout; returns that manifest.

    The manifest goes last: if the work ends between the two, the bundle is refused and not used with half of each.
    """
    block = ParameterBlock(manifest.bundle_id, tensors)
    with replacing(folder / PARAMETERS) as temporary:
        temporary.write_bytes(block.to_bytes())
    record = FileRecord(sha256=sha256(folder / PARAMETERS), size_bytes=(folder / PARAMETERS).stat().st_size)
    files = dict(sorted({**manifest.files, PARAMETERS: record}.items()))
    written = manifest.model_copy(update={"files": files, "parameters": block.layout, "recalibration": change})
    write_manifest(folder, written)
    return written


def write_manifest(folder: Path, manifest: Document) -> None:
    """Write manifest.json."""
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")


def file_records(folder: Path) -> dict[str, FileRecord]:
    """Hash every file below `folder` except the manifest, by its name with forward slashes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return {
        path.relative_to(folder).as_posix(): FileRecord(sha256=sha256(path), size_bytes=path.stat().st_size)
        for path in paths
    }


def _fault(path: Path, name: str, record: FileRecord) -> str | None:
    if not path.is_file():
        return f"{name} is missing"
    size = path.stat().st_size
    if size != record.size_bytes:
        return f"{name} has {size} bytes where the manifest says {record.size_bytes}"
    return None if sha256(path) == record.sha256 else f"{name} is not what the manifest's hash says"
