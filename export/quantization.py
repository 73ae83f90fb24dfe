"""Post-training quantization: from float weights and training frames to a `QuantizedDecoder`.

The float decoder runs over the calibration frames, so the ranges are those that the states reach after minutes of
signal; from a single step they would be too small (a mode with decay 0.999 grows 76 times over what one step puts in).

* weights: symmetric int8 in [-127, 127], one scale per output row, from the row's largest magnitude;
* activations: symmetric int8, one scale per tensor, the one with the least mean squared error on the samples;
* states: symmetric int16 with headroom over the largest value seen; which elements share a scale, the cell says.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.decoder_float import FloatDecoder, Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.export.calibration import QuantizationRecipe as QuantizationRecipe
from edgebci.export.calibration import Ranges, quantize_dense
from edgebci.export.operators.forms import cell_form, entry_form
from edgebci.operators.cell import within
from edgebci.quantized_decoder import QuantizedDecoder, QuantizedLayer


def quantize(
    spec: DecoderSpec,
    parameters: Parameters,
    frames: F32,
    recipe: QuantizationRecipe | None = None,
    reset_before: NDArray[np.bool_] | None = None,
) -> QuantizedDecoder:
    """Quantize the decoder with `parameters`.

    Args:
        spec: its sizes.
        parameters: float weights by their names in a checkpoint.
        frames: (T, n_inputs) of normalised features from training intervals, in order of time.
        recipe: None takes the defaults.
        reset_before: (T,) true where an interval begins; None is one interval.

    Raises:
        InputError: the frames do not fit the decoder, are empty or not finite.
    """
    recipe = recipe or QuantizationRecipe()
    _check_frames(spec, frames)
    ranges = Ranges(max(1, len(frames) * max(spec.n_inputs, spec.d_inner) // recipe.activation_samples))
    decoder = FloatDecoder.of(spec, parameters)
    decoder.stream(frames, reset_before, ranges)
    weights, scales = decoder.parameters, ranges.scales(recipe)
    return QuantizedDecoder(
        spec=spec,
        entry=entry_form(spec.entry).quantize(weights, scales, ranges.largest, recipe),
        layers=tuple(_layer(decoder, i, scales, ranges, recipe) for i in range(spec.n_layers)),
        norm_weight=weights["norm.weight"].astype(np.float32),
        readout=quantize_dense(weights["readout.weight"], weights["readout.bias"], scales["norm"]),
    )


def _layer(
    decoder: FloatDecoder, i: int, scales: dict[str, F32], ranges: Ranges, recipe: QuantizationRecipe
) -> QuantizedLayer:
    weights, place = decoder.parameters, f"layers.{i}"
    form = cell_form(decoder.spec.layer)
    cell = form.quantize(within(weights, f"{place}.mixer"), within(scales, place), ranges.states(i), recipe)
    return QuantizedLayer(weights[f"{place}.norm.weight"].astype(np.float32), cell)


def _check_frames(spec: DecoderSpec, frames: F32) -> None:
    if frames.ndim != 2 or frames.shape[1] != spec.n_inputs or not len(frames):
        raise InputError(
            f"calibration frames have shape {frames.shape}, needed is (at least 1, {spec.n_inputs}); "
            "take them from the training intervals of the recording that the decoder was trained on"
        )
    if not np.isfinite(frames).all():
        raise InputError(
            "calibration frames hold NaN or infinity, allowed are finite numbers; compute the features again"
        )
