"""Post-training quantization: from float weights and training frames to a `QuantizedDecoder`.

The float decoder runs over the calibration frames, so the ranges are those that the states reach after minutes of
signal; from a single step they would be too small (a mode with decay 0.999 grows 76 times over what one step puts in).

* weights: symmetric int8 in [-127, 127], one scale per output row, from the row's largest magnitude; int4 or int16
  where the recipe says so;
* activations: symmetric int8, one scale per tensor, chosen by the recipe's observer, the one with the least mean
  squared error on the samples unless it says otherwise;
* states: symmetric int16 with headroom over the largest value seen; which elements share a scale, the cell says. int8
  where the recipe says so: `edgebci.export.decay_report` tells where that holds.

Nothing is promoted: a tensor has the width that the recipe gives it, or quantization fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgebci.arithmetic import F32
from edgebci.decoder_float import FloatDecoder, Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import nearest
from edgebci.errors import InputError
from edgebci.export.calibration import INT8_MAX, INT16_MAX, Ranges, quantize_dense
from edgebci.export.calibration import QuantizationRecipe as QuantizationRecipe
from edgebci.export.operators.forms import cell_form, entry_form
from edgebci.export.smoothing import smooth
from edgebci.export.widths import narrow_states, require_widths
from edgebci.operators.cell import within
from edgebci.quantized_decoder import QuantizedDecoder, QuantizedLayer


def quantize(
    spec: DecoderSpec,
    parameters: Parameters,
    frames: F32,
    recipe: QuantizationRecipe | None = None,
    reset_before: NDArray[np.bool_] | None = None,
    scales: Mapping[str, ArrayLike] | None = None,
) -> QuantizedDecoder:
    """Quantize the decoder with `parameters`.

    Args:
        spec: its sizes.
        parameters: float weights by their names in a checkpoint.
        frames: (T, n_inputs) of normalised features from training intervals, in order of time.
        recipe: None takes the defaults.
        reset_before: (T,) true where an interval begins; None is one interval.
        scales: one count of a quantizer, where it was learned and not to be observed, by the name that the float
            decoder shows its tap: activations (`frame`, `layers.0.norm`, `norm`) and states (`ssm.0`; one number, or
            one per group along the state's first axes).

    Raises:
        InputError: the frames do not fit the decoder, are empty or not finite, or drive a state to infinity; or the
            recipe or `scales` names a tensor that the decoder lacks or a width that it cannot have.
    """
    recipe = recipe or QuantizationRecipe()
    require_widths(spec, recipe.widths)
    return assemble(observe(spec, parameters, frames, recipe, reset_before), recipe, scales)


@dataclass(frozen=True)
class Observation:
    """What one rollout over calibration frames gave; weights and states of any width are made of it."""

    decoder: FloatDecoder
    ranges: Ranges
    scales: dict[str, F32]
    """Of the activations, by the recipe's observer; widths do not change them."""


def observe(
    spec: DecoderSpec,
    parameters: Parameters,
    frames: F32,
    recipe: QuantizationRecipe,
    reset_before: NDArray[np.bool_] | None = None,
) -> Observation:
    """Run the float decoder over calibration frames; see `quantize`."""
    check_frames(spec, frames)
    if recipe.smoothing:
        parameters = smooth(spec, parameters, frames, recipe.smoothing, reset_before)
    ranges = Ranges(max(1, len(frames) * max(spec.n_inputs, spec.d_inner) // recipe.activation_samples))
    decoder = FloatDecoder.of(spec, parameters)
    decoder.stream(frames, reset_before, ranges)
    _check_ranges(ranges)
    return Observation(decoder, ranges, ranges.scales(recipe))


def assemble(
    seen: Observation, recipe: QuantizationRecipe, scales: Mapping[str, ArrayLike] | None = None
) -> QuantizedDecoder:
    """Round the weights and states of what was observed, in the recipe's widths; see `quantize`."""
    spec, weights = seen.decoder.spec, seen.decoder.parameters
    activations, ranges = _given(scales or {}, seen.ranges, recipe)
    chosen = seen.scales | activations
    return QuantizedDecoder(
        spec=spec,
        entry=entry_form(spec.entry).quantize(weights, chosen, ranges.largest, recipe),
        layers=tuple(_layer(seen.decoder, i, chosen, ranges, recipe) for i in range(spec.n_layers)),
        norm_weight=weights["norm.weight"].astype(np.float32),
        readout=quantize_dense(
            weights["readout.weight"], weights["readout.bias"], chosen["norm"], recipe.weight_bits("readout")
        ),
        int8_states=narrow_states(recipe.widths),
    )


def _layer(
    decoder: FloatDecoder, i: int, scales: dict[str, F32], ranges: Ranges, recipe: QuantizationRecipe
) -> QuantizedLayer:
    weights, place = decoder.parameters, f"layers.{i}"
    form, own = cell_form(decoder.spec.layer), recipe.within(f"{place}.mixer", i)
    cell = form.quantize(within(weights, f"{place}.mixer"), within(scales, place), ranges.states(i), own)
    return QuantizedLayer(weights[f"{place}.norm.weight"].astype(np.float32), cell)


def _given(
    scales: Mapping[str, ArrayLike], ranges: Ranges, recipe: QuantizationRecipe
) -> tuple[dict[str, F32], Ranges]:
    """The given scales of activations, and ranges in which those of states became what gives them."""
    activations, largest = {}, dict(ranges.largest)
    for name, value in scales.items():
        scale = np.asarray(value, np.float64)
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise InputError(f"the scale of {name!r} is not positive and finite; train again, or leave it out")
        if name in ranges.samples:
            activations[name] = np.asarray(scale.reshape(()), np.float32)
        elif name in ranges.largest:
            seen = ranges.largest[name]
            narrow = recipe.widths.get(name) == 8
            reach = INT8_MAX / recipe.int8_state_headroom if narrow else INT16_MAX / recipe.state_headroom
            shaped = scale.reshape(scale.shape + (1,) * (seen.ndim - scale.ndim))
            largest[name] = np.broadcast_to(shaped * reach, seen.shape)
        else:
            raise InputError(
                f"a scale is given for {name!r}, which is no activation and no state of this decoder, "
                f"{nearest(name, [*ranges.samples, *ranges.largest])}"
            )
    return activations, Ranges(ranges.row_stride, ranges.samples, largest)


def _check_ranges(ranges: Ranges) -> None:
    wild = [name for name, seen in ranges.largest.items() if not np.isfinite(seen).all()]
    if wild:
        raise InputError(
            f"calibration drove the states {', '.join(wild)} to infinity, allowed are finite values; "
            "train the decoder again, its recurrence is not stable"
        )


def check_frames(spec: DecoderSpec, frames: F32) -> None:
    """Raise InputError where calibration frames do not fit the decoder or are not finite."""
    if frames.ndim != 2 or frames.shape[1] != spec.n_inputs or not len(frames):
        raise InputError(
            f"calibration frames have shape {frames.shape}, needed is (at least 1, {spec.n_inputs}); "
            "take them from the training intervals of the recording that the decoder was trained on"
        )
    if not np.isfinite(frames).all():
        raise InputError(
            "calibration frames hold NaN or infinity, allowed are finite numbers; compute the features again"
        )
