"""From a student's checkpoint to integers: rounded after training, or trained in the integers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebci.checkpoint import Checkpoint
from edgebci.decoding_data import DecodingData, Part
from edgebci.export.possm_step import quantize_possm
from edgebci.export.quantization import QuantizationRecipe, quantize
from edgebci.export.smoothing import smooth
from edgebci.frame_stream import part_stream
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import PossmCheckpoint
from edgebci.possm_stream import ChunkStream
from edgebci.progress import Progress, silent
from edgebci.quantized_decoder import QuantizedDecoder

if TYPE_CHECKING:
    from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe


@dataclass(frozen=True, eq=False)
class Integers:
    """A decoder in integers and the float weights that it was rounded from."""

    checkpoint: Checkpoint
    decoder: QuantizedDecoder


def quantize_after_training(
    data: DecodingData, checkpoint: Checkpoint, recipe: QuantizationRecipe | None = None
) -> Integers:
    """Round a trained decoder; scales come from the training intervals.

    Raises:
        InputError: frames and decoder do not fit, or the recipe asks for what cannot be had.
    """
    recipe, frames = recipe or QuantizationRecipe(), part_stream(data, "train")
    decoder = quantize(checkpoint.spec, checkpoint.parameters, frames.frames, recipe, frames.reset_before)
    if not recipe.smoothing:
        return Integers(checkpoint, decoder)
    spec, resets = checkpoint.spec, frames.reset_before
    smoothed = smooth(spec, checkpoint.parameters, frames.frames, recipe.smoothing, resets)
    parameters = {name: values.astype("float32") for name, values in smoothed.items()}
    return Integers(Checkpoint(spec, parameters, checkpoint.training), decoder)


def quantize_in_training(
    data: DecodingData,
    checkpoint: Checkpoint,
    out: Path,
    recipe: QuantizationAwareRecipe | None = None,
    quantization: QuantizationRecipe | None = None,
    progress: Progress = silent,
) -> Integers:
    """Round a trained decoder, then train it in the device's counts towards its float form.

    Training sees the training intervals, the choice of epoch validation. An interrupted call leaves its state beside
    `out`, and the same call goes on from there.

    Args:
        data: what the checkpoint was trained on.
        checkpoint: the float student.
        out: where the float weights are written; the integers lie beside it, in `NAME.int8.safetensors`.
        recipe: of the training; None takes the defaults.
        quantization: of the start, with its widths, which stay.
        progress: of the training.

    Raises:
        InputError: sizes that do not fit, or too few frames.
    """
    from edgebci.training.quantization_aware.learning import train_quantization_aware
    from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe

    start = quantize_after_training(data, checkpoint, quantization)
    used = recipe or QuantizationAwareRecipe()
    result = train_quantization_aware(data, start.checkpoint, start.decoder, used, out, progress)
    return Integers(result.checkpoint, result.decoder)


@dataclass(frozen=True, eq=False)
class IntegerStep:
    """A decoder of spikes in integers and the float step that it was rounded from."""

    checkpoint: PossmCheckpoint
    step: QuantizedPossmStep


def quantize_step_in_training(
    seen: ChunkStream,
    judged: ChunkStream,
    checkpoint: PossmCheckpoint,
    out: Path,
    recipe: QuantizationAwareRecipe | None = None,
    quantization: QuantizationRecipe | None = None,
    progress: Progress = silent,
) -> IntegerStep:
    """The same of a decoder of spikes.

    Args:
        seen: chunks of the training part.
        judged: chunks of the validation part, by which the epoch is chosen.
        checkpoint: the float step.
        out: where the float step is written; the integers lie beside it, in `NAME.int8.safetensors`.
        recipe: of the training; None takes the defaults.
        quantization: of the start, with its widths, which stay.
        progress: of the training.

    Raises:
        InputError: too few chunks.
    """
    from edgebci.training.quantization_aware.learning import train_possm_quantization_aware
    from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe

    start = quantize_possm(checkpoint.spec, checkpoint.parameters, seen.chunks, quantization, seen.reset_before)
    used = recipe or QuantizationAwareRecipe()
    parts: dict[Part, ChunkStream] = {"train": seen, "validation": judged}
    result = train_possm_quantization_aware(parts, checkpoint, start, used, out, progress)
    return IntegerStep(result.checkpoint, result.step)
