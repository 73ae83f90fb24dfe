"""What the user asks of an export, and what came of it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from edgebci.bundle import Accuracy, Loss
from edgebci.device_reference import FrontEndForm
from edgebci.documents import Document
from edgebci.export.calibration import QuantizationRecipe
from edgebci.pipeline.export_frames import FrameSource
from edgebci.targets import Arithmetic, Precision
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe


class ExportOrder(Document):
    """One export."""

    model: Path
    """A checkpoint, or an ONNX model made elsewhere."""
    out: Path
    """Folder of the bundle; one that stands there is replaced."""
    target: str
    precision: str | None = None
    """None takes the target's own."""
    frames: FrameSource = FrameSource()
    recipe: QuantizationRecipe = QuantizationRecipe()
    quantized: Path | None = None
    """The integers that quantization-aware training left beside the checkpoint, in place of calibration."""
    quantization_aware: QuantizationAwareRecipe | None = None
    """Train in the integers first; None: round after training."""
    max_loss: float = Field(default=0.01, gt=0, lt=1)
    """Of mixed precision: loss in R² (in detection: AUROC) that the search may cost."""
    calibration: Path | None = None
    """Of a model made elsewhere: its frames (T, n_inputs), .npy or .h5."""
    loadable: bool = False
    """Whether the C can take a parameter block while it is in use."""
    rewrites: tuple[str, ...] = ()
    """Fused operators to offer beside the plain float step, for ONNX Runtime in fp32 (`edgebci.export.rewrites`)."""
    states: tuple[str, ...] = ()
    """Of a model made elsewhere: pairs of state tensors, each in=out; none: found by their names."""


class ExportResult(Document):
    """What was written."""

    bundle: Path
    bundle_id: str
    target: str
    precision: Precision
    arithmetic: Arithmetic = "int8"
    front_end: FrontEndForm = "float32"
    """Form of the features in C."""
    n_files: int
    size_bytes: int
    """Of all files but the manifest."""
    macs_per_step: int
    int8_share: float | None
    """Of the MACs with a weight, those of int8 weights with int8 activations; every state has 16 bits or less."""
    weight_bytes: int
    state_bytes: int
    parameter_bytes: int | None
    """Of the parameter block, where there is one."""
    verified_steps: int
    accuracy: tuple[Accuracy, ...] = ()
    loss: Loss | None = None
    notes: tuple[str, ...] = ()
    """What the user should know, a sentence each."""
