"""Post-training quantization: from float weights and training frames to a `QuantizedDecoder`.

The float decoder runs over the calibration frames, so the ranges are those that the states reach after minutes of
signal; from a single step they would be too small (a mode with decay 0.999 grows 76 times over what one step puts in).

* weights: symmetric int8 in [-127, 127], one scale per output row, from the row's largest magnitude;
* activations: symmetric int8, one scale per tensor, the one with the least mean squared error on the samples;
* states: symmetric int16, one scale per convolution channel and per head, with headroom over the largest value seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgebci.arithmetic import F32, I8
from edgebci.decoder_float import F64, FloatDecoder, Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.quantized_decoder import QuantizedBlock, QuantizedDecoder, QuantizedDense

INT8_MAX, INT16_MAX = 127, 32767


class QuantizationRecipe(Document):
    """What may be chosen about quantization."""

    state_headroom: float = Field(default=4.0, ge=1.0, le=64.0)
    """Range of a state over its largest value in calibration: later data go further than training data.

    With 1.5, random decoders saturated now and then on frames of the same kind; from 1 to 8 the loss does not change.
    """
    activation_samples: int = Field(default=1 << 18, ge=1024)
    """Values of each activation that the search for its scale looks at."""
    activation_candidates: int = Field(default=40, ge=2)
    smallest_clip: float = Field(default=0.3, gt=0.0, lt=1.0)
    """The search tries ranges from this share of the largest magnitude to all of it."""


@dataclass
class Ranges:
    """What the tap of a float rollout saw."""

    spec: DecoderSpec
    row_stride: int
    samples: dict[str, list[F32]] = field(default_factory=dict)
    largest: dict[str, F64] = field(default_factory=dict)

    def __call__(self, name: str, values: F64) -> None:
        """Take one chunk: state ranges by channel or head, samples of everything else."""
        if name.startswith("ssm."):
            self._widen(name, np.abs(values).max(axis=(0, 2, 3)))
        elif name.endswith(".xbc"):
            self._widen(name, np.abs(values).max(axis=0))
        else:
            self._widen(name, np.abs(values).max())
            self.samples.setdefault(name, []).append(values[:: self.row_stride].astype(np.float32))

    def _widen(self, name: str, seen: F64) -> None:
        self.largest[name] = np.maximum(self.largest.get(name, np.float64(0.0)), seen)


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
    ranges = Ranges(spec, max(1, len(frames) * max(spec.n_inputs, spec.d_inner) // recipe.activation_samples))
    decoder = FloatDecoder.of(spec, parameters)
    decoder.stream(frames, reset_before, ranges)
    scales = {name: activation_scale(np.concatenate(parts), recipe) for name, parts in ranges.samples.items()}
    blocks = tuple(_block(decoder, i, scales, ranges, recipe) for i in range(spec.n_layers))
    weights = decoder.parameters
    return QuantizedDecoder(
        spec=spec,
        input=_dense(weights["input.weight"], weights["input.bias"], scales["frame"]),
        blocks=blocks,
        norm_weight=weights["norm.weight"].astype(np.float32),
        readout=_dense(weights["readout.weight"], weights["readout.bias"], scales["norm"]),
    )


def quantize_weight(weight: F64) -> tuple[I8, F32]:
    """Round (rows, columns) to int8 in [-127, 127]: returns the integers and one scale per row."""
    scale = _scale(np.abs(weight).max(axis=1), INT8_MAX)
    integers = np.rint(weight / scale[:, None].astype(np.float64))
    return np.clip(integers, -INT8_MAX, INT8_MAX).astype(np.int8), scale


def activation_scale(samples: F32, recipe: QuantizationRecipe) -> F32:
    """() scale of int8 that gives the least mean squared error on `samples`."""
    values = np.abs(samples.astype(np.float64)).ravel()
    largest = values.max()
    shares = np.linspace(recipe.smallest_clip, 1.0, recipe.activation_candidates)
    candidates = [_scale(np.asarray(share * largest), INT8_MAX) for share in shares]
    errors = [_squared_error(values, float(scale)) for scale in candidates]
    return candidates[int(np.argmin(errors))]


def _squared_error(magnitudes: F64, scale: float) -> float:
    rounded = np.minimum(np.rint(magnitudes / scale), INT8_MAX) * scale
    return float(np.mean((rounded - magnitudes) ** 2))


def _scale(largest: F64, count: int) -> F32:
    """The step at which `largest` is `count` steps; what was always zero gets the range 1."""
    return np.asarray(np.where(largest > 0.0, largest, 1.0) / count, np.float32)


def _dense(weight: F64, bias: F64, act_scale: F32) -> QuantizedDense:
    integers, scale = quantize_weight(weight)
    return QuantizedDense(integers, act_scale, scale, bias.astype(np.float32))


def _block(
    decoder: FloatDecoder, i: int, scales: dict[str, F32], ranges: Ranges, recipe: QuantizationRecipe
) -> QuantizedBlock:
    spec, layer = decoder.spec, f"layers.{i}"
    prefix, parameters = f"{layer}.", decoder.parameters
    weights = {name.removeprefix(prefix): parameters[name] for name in parameters if name.startswith(prefix)}
    conv_weight, conv_weight_scale = quantize_weight(weights["mixer.conv1d.weight"][:, 0])
    in_bias, out_bias = np.zeros(spec.d_in_proj), np.zeros(spec.d_model)
    return QuantizedBlock(
        norm_weight=weights["norm.weight"].astype(np.float32),
        in_proj=_dense(weights["mixer.in_proj.weight"], in_bias, scales[f"{layer}.norm"]),
        conv_weight=conv_weight,
        conv_weight_scale=conv_weight_scale,
        conv_scale=_scale(ranges.largest[f"{layer}.xbc"] * recipe.state_headroom, INT16_MAX),
        conv_bias=weights["mixer.conv1d.bias"].astype(np.float32),
        dt_bias=weights["mixer.dt_bias"].astype(np.float32),
        A=(-np.exp(weights["mixer.A_log"])).astype(np.float32),
        D=weights["mixer.D"].astype(np.float32),
        ssm_scale=_scale(ranges.largest[f"ssm.{i}"] * recipe.state_headroom, INT16_MAX),
        mixer_norm_weight=weights["mixer.norm.weight"].astype(np.float32),
        out_proj=_dense(weights["mixer.out_proj.weight"], out_bias, scales[f"{layer}.gated"]),
    )


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
