"""The bundle: one folder that holds a decoder in every form, and a manifest that says what they are worth.

manifest.json            this module's `Manifest`: sizes, features, accuracy, agreement, hashes of all the others
decoder_float.onnx       one step in float32
decoder_int8.onnx        one step with int8 weights and activations and int16 states
quantized.safetensors    the same integers for `edgebci.quantized_decoder`
front_end.json, front_end.safetensors      from ADC counts to frames
firmware/                C99 of the whole device program
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

from pydantic import Field, JsonValue, field_validator

from edgebci.agreement import FloatAgreement, QuantizedAgreement
from edgebci.checkpoint import TrainingRecord
from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document, load_json
from edgebci.errors import InputError
from edgebci.features.front_end import FrontEnd
from edgebci.features.specification import FeatureSpec
from edgebci.files import sha256, write_text
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.workload import Workload

MANIFEST, FLOAT_ONNX, INT8_ONNX = "manifest.json", "decoder_float.onnx", "decoder_int8.onnx"
QUANTIZED, FIRMWARE = "quantized.safetensors", "firmware"


class TensorRecord(Document):
    """An input or output of the step graphs; states are float32 in one, integers in the other."""

    name: str
    shape: tuple[int, ...]
    quantized_type: Literal["float32", "int8", "int16", "int32"]


class FileRecord(Document):
    """What a file must be."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class Accuracy(Document):
    """How well one form decodes the test interval; each dict is by output name."""

    form: str
    """torch, onnx_float, onnx_int8, host_twin, ridge, ..."""
    n_frames: int = Field(gt=0)
    r2: dict[str, float]
    pearson_r: dict[str, float]
    r2_interval_95: dict[str, tuple[float, float]] | None = None


class Provenance(Document):
    """What the figures rest on."""

    recording: str
    """Name of the file, without its folder."""
    recording_sha256: str
    checkpoint_sha256: str
    trials: int = Field(ge=1)
    """Decoders that were tried on training and validation data before this one was chosen."""
    test_intervals_s: tuple[tuple[float, float], ...]
    """The test interval, opened once, after the choice."""


class BundleFiles(Document):
    """The part of every manifest that says which files belong to the bundle."""

    files: dict[str, FileRecord]

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, files: dict[str, FileRecord]) -> dict[str, FileRecord]:
        for name in files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ValueError(f"the file {name!r} lies outside the bundle; export the decoder again")
        return files


class Manifest(BundleFiles):
    """Everything about a bundle; the same checkpoint and data give the same manifest on the same versions."""

    schema_version: Literal["edgebci.bundle/1"] = "edgebci.bundle/1"
    versions: dict[str, str]
    spec: DecoderSpec
    features: FeatureSpec
    n_channels: int
    inputs: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]
    workload: Workload
    quantization: dict[str, JsonValue]
    """The recipe."""
    training: TrainingRecord
    provenance: Provenance
    float_agreement: FloatAgreement
    quantized_agreement: QuantizedAgreement
    accuracy: tuple[Accuracy, ...] = ()


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
        """What turns ADC counts into frames."""
        return FrontEnd.load(self.folder)

    def quantized_decoder(self) -> QuantizedDecoder:
        """The bit-exact reference."""
        return QuantizedDecoder.load(self.folder / QUANTIZED)

    def with_accuracy(self, accuracy: Sequence[Accuracy]) -> Bundle:
        """Write how each form scored into the manifest, in place of what stood there."""
        manifest = self.manifest.model_copy(update={"accuracy": tuple(accuracy)})
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
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{folder} holds no {MANIFEST}, a bundle has one; give the folder that the export wrote")
    manifest = load_json(folder / MANIFEST, model)
    faults = [fault for name, record in manifest.files.items() if (fault := _fault(folder / name, name, record))]
    if faults:
        raise InputError(f"the bundle {folder} is damaged: {'; '.join(faults)}; export the decoder again")
    return manifest


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
