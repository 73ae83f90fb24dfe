"""The bundle of a decoder that was made elsewhere: as `edgebci.bundle`, with frames where that has a front end.

manifest.json            this module's `ForeignManifest`
decoder_float.onnx       one step in float32: the model as it was understood, LSTM and GRU taken apart
decoder_int8.onnx        one step with int8 weights and activations and int16 states (int8 only)
decoder.safetensors      the form that the target runs, for `edgebci.foreign.decoder`
firmware/                C99 of the whole program (targets of C only)
decoder_chunk.onnx, run_decoder.py         several steps in one run, and a runner (targets of ONNX Runtime only)
jetson/                  what goes to the board (Jetson targets only)
sbom.json                what of others' work went into it, and what it was made with
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue

from edgebci.agreement import FloatAgreement, QuantizedAgreement
from edgebci.bundle import BundleFiles, BundleFolder, read_manifest
from edgebci.documents import Document
from edgebci.foreign.decoder import ForeignDecoder
from edgebci.targets import Precision

DECODER = "decoder.safetensors"


class PortPlace(Document):
    """An input or output of the model, and which of the step's values it is."""

    name: str
    shape: tuple[int, ...]
    start: int = Field(ge=0)
    """Its first value in `frame` or `output`; the others follow."""


class StatePlace(Document):
    """A state."""

    name: str
    """Of the step's input; its next value is the output `{name}.next`."""
    model_input: str
    model_output: str
    shape: tuple[int, ...]
    type: Literal["float32", "int16"]
    scale: float
    """One count, where it is int16."""


class OriginalModel(Document):
    """The file that was exported."""

    name: str
    """Of the file, without its folder."""
    sha256: str
    opset: int
    producer: str


class ForeignCalibration(Document):
    """The frames that calibrated and verified."""

    name: str
    sha256: str
    n_frames: int = Field(gt=0)
    frame_rate_hz: float = Field(gt=0)
    """As the file says, or assumed."""


class ForeignManifest(BundleFiles):
    """Everything about the bundle; the same model and frames give the same manifest on the same versions."""

    schema_version: Literal["edgebci.foreign_bundle/1"] = "edgebci.foreign_bundle/1"
    versions: dict[str, str]
    target: str
    precision: Precision
    model: OriginalModel
    inputs: tuple[PortPlace, ...]
    outputs: tuple[PortPlace, ...]
    states: tuple[StatePlace, ...]
    """Those of the model."""
    window_frames: int | None
    """Frames that the model looks at together, where the step keeps the last ones; None where it takes one frame."""
    macs: int
    """Of one step: products that are added, in dense layers, convolutions and matrix products."""
    int8_macs: int
    """Those with int8 weights and int8 activations in what ships: a Jetson computes small layers in fp16."""
    weight_bytes: int
    """Constants of the form that the target runs."""
    state_bytes: int
    quantization: dict[str, JsonValue] | None
    """The recipe; None where nothing is quantized."""
    calibration: ForeignCalibration
    float_agreement: FloatAgreement
    """The model as it came, and the float step, against the NumPy form."""
    quantized_agreement: QuantizedAgreement | None
    quantization_snr_db: dict[str, float] | None
    """By output: power of the float form's variation over that of what quantization adds, on the calibration frames."""
    target_record: dict[str, JsonValue] | None = None
    """What the target's own part of the export says of itself."""
    host_twin_steps: int | None
    """Steps over which the C, compiled for this machine, gave the NumPy form's bits; None where there is no C."""

    @property
    def int8_share(self) -> float:
        """Of the MACs, those in int8."""
        return self.int8_macs / self.macs if self.macs else 0.0


@dataclass(frozen=True)
class ForeignBundle(BundleFolder):
    """An opened, undamaged bundle."""

    manifest: ForeignManifest

    def decoder(self) -> ForeignDecoder:
        """The bit-exact reference of the form that the target runs."""
        return ForeignDecoder.load(self.folder / DECODER)


def open_foreign_bundle(folder: Path) -> ForeignBundle:
    """Open a bundle after comparing every file with its hash.

    Raises:
        InputError: no bundle there, another schema, or damaged files (all of them are named).
    """
    return ForeignBundle(folder, read_manifest(folder, ForeignManifest))
