"""What each way to quantize one decoder loses: observers, smoothing and widths side by side, on validation frames."""

from __future__ import annotations

from typing import Literal

import numpy as np

from edgebci.checkpoint import Checkpoint
from edgebci.comparison import Interval
from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.quantization import quantize
from edgebci.export.widths import uniform
from edgebci.frame_stream import FrameStream
from edgebci.pipeline.precision_scoring import Validation
from edgebci.progress import Progress, silent

SHOWN_MARGIN = 0.005


class WayLoss(Document):
    """One way: its loss to the float decoder with a 95 % interval, and the noise in the output over its variance."""

    name: str
    loss: Interval
    noise: float


class PrecisionLosses(Document):
    """All ways on the same frames.

    Fields:
        figure: of accuracy, R2 or AUROC. float_accuracy: of the float decoder.
        frames, block_s: of the validation and of the bootstrap.
    """

    schema_version: Literal["edgebci.precision_losses/1"] = "edgebci.precision_losses/1"
    figure: str
    float_accuracy: float
    frames: int
    block_s: float
    ways: tuple[WayLoss, ...]


def ways(spec: DecoderSpec) -> dict[str, QuantizationRecipe]:
    """The default, then each choice alone."""
    return {
        "default (int8 weights, int16 states, mse)": QuantizationRecipe(),
        "observer min-max": QuantizationRecipe(observer="min-max"),
        "observer percentile 99.99": QuantizationRecipe(observer="percentile"),
        "observer percentile 99.9": QuantizationRecipe(observer="percentile", percentile=99.9),
        "observer entropy": QuantizationRecipe(observer="entropy"),
        "smoothing 0.25": QuantizationRecipe(smoothing=0.25),
        "smoothing 0.5": QuantizationRecipe(smoothing=0.5),
        "smoothing 0.75": QuantizationRecipe(smoothing=0.75),
        "int16 weights": QuantizationRecipe(widths=uniform(spec, weights=16)),
        "int4 weights": QuantizationRecipe(widths=uniform(spec, weights=4)),
        "int4 weights, smoothing 0.5": QuantizationRecipe(widths=uniform(spec, weights=4), smoothing=0.5),
        "int8 states": QuantizationRecipe(widths=uniform(spec, states=8)),
        "int8 states with headroom 2": QuantizationRecipe(widths=uniform(spec, states=8), int8_state_headroom=2.0),
    }


def precision_losses(
    checkpoint: Checkpoint, calibration: FrameStream, validation: Validation, progress: Progress = silent
) -> PrecisionLosses:
    """Quantize in every way and compare with the float decoder."""
    spec, parameters, stream = checkpoint.spec, checkpoint.parameters, validation.stream
    exact = FloatDecoder.of(spec, parameters).stream(stream.frames, stream.reset_before)
    found, longest, recipes = [], 0.0, ways(spec)
    for k, (name, recipe) in enumerate(recipes.items()):
        progress(k / len(recipes), name)
        decoder = quantize(spec, parameters, calibration.frames, recipe, calibration.reset_before)
        decoded = decoder.stream(stream.frames, stream.reset_before).astype(np.float64)
        loss, block_s = validation.loss(decoded, exact, SHOWN_MARGIN)
        longest = max(longest, block_s)
        found.append(WayLoss(name=name, loss=loss, noise=validation.noise(decoded, exact)))
    return PrecisionLosses(
        figure=validation.figure,
        float_accuracy=validation.accuracy(exact),
        frames=int(stream.scored.sum()),
        block_s=longest,
        ways=tuple(found),
    )
