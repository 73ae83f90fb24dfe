"""From float weights and training frames to a decoder in fixed point.

Weights are rounded as in `edgebci.export.quantization`, to int8 with one scale per row, after the weight of the norm in
front of them was multiplied into their columns. Everything else has 16 bits, with headroom over the largest value of a
rollout; where a sum could overflow, the scale follows from the weights instead, so that no input can make it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32, I8, I32
from edgebci.decoder_float import FloatDecoder, Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.export.calibration import INT16_MAX, QuantizationRecipe, round_weight, scale_of
from edgebci.export.fixed_ranges import FixedRanges
from edgebci.export.quantization import check_frames
from edgebci.fixed_decoder import FixedDecoder, FixedLayer, require_fixed
from edgebci.operators.cell import F64, within
from edgebci.operators.dense import QuantizedDense
from edgebci.operators.dense_fixed import LARGEST_SUM, SEGMENT, FixedDense, FixedNorm
from edgebci.operators.fixed_point import GATE_BITS, silu_table
from edgebci.operators.mamba2_fixed import FOLDED_LIMIT, STATE_BITS, FixedMamba2, padded_taps, readout_limit

GATE_UNIT = 2.0**-GATE_BITS
HEADROOM = 4.0
"""Of int16 activations over their largest value in calibration."""
FRAME_HEADROOM = 1.5
"""Of frames: what is beyond is clipped."""
_CONV_LEVELS = 4095


def quantize_fixed(
    spec: DecoderSpec, parameters: Parameters, frames: F32, recipe: QuantizationRecipe | None = None
) -> FixedDecoder:
    """Quantize the decoder with `parameters` to fixed point; arguments as in `quantization.quantize`.

    Raises:
        InputError: there is no fixed-point form of such a decoder, the frames do not fit, or a gate leaves +-16.
    """
    recipe = recipe or QuantizationRecipe()
    require_fixed(spec)
    check_frames(spec, frames)
    decoder = FloatDecoder.of(spec, parameters)
    seen = FixedRanges(decoder)
    decoder.stream(frames, None, seen)
    weights, largest = decoder.parameters, seen.largest
    _check_gates(spec, largest)
    x_scale = float(_headroom(largest["x"]))
    entry_weight, entry_scale = round_weight(weights["input.weight"], 8)
    limit, frame_scale = _frame(entry_weight, float(largest["frame"]))
    readout_weight, readout_scale = round_weight(weights["readout.weight"] * weights["norm.weight"], 8)
    norm, q_scale = _norm(readout_weight, x_scale, spec)
    return FixedDecoder(
        spec=spec,
        frame_scale=np.asarray(frame_scale, np.float32),
        frame_limit=limit,
        entry=_dense(entry_weight, entry_scale, frame_scale, x_scale, weights["input.bias"]),
        layers=tuple(_Layer(spec, weights, largest, x_scale, recipe, i).made() for i in range(spec.n_layers)),
        norm=norm,
        readout=QuantizedDense(
            readout_weight.astype(np.int8),
            np.asarray(q_scale, np.float32),
            readout_scale,
            weights["readout.bias"].astype(np.float32),
        ),
    )


def rounded_parameters(spec: DecoderSpec, parameters: Parameters) -> dict[str, F64]:
    """The float weights as the fixed-point form rounds them: the oracle of what all else loses."""
    weights: dict[str, F64] = {name: np.asarray(values, np.float64) for name, values in parameters.items()}
    folded = {"readout.weight": "norm.weight", "input.weight": ""}
    for i in range(spec.n_layers):
        folded[f"layers.{i}.mixer.in_proj.weight"] = f"layers.{i}.norm.weight"
        folded[f"layers.{i}.mixer.out_proj.weight"] = f"layers.{i}.mixer.norm.weight"
    for name, norm in folded.items():
        integers, scale = round_weight(weights[name] * (weights[norm] if norm else 1.0), 8)
        weights[name] = integers.astype(np.float64) * scale[:, None].astype(np.float64)
        if norm:
            weights[norm] = np.ones_like(weights[norm])
    return weights


@dataclass(frozen=True)
class _Layer:
    spec: DecoderSpec
    weights: dict[str, F64]
    largest: dict[str, F64]
    x_scale: float
    recipe: QuantizationRecipe
    i: int

    def made(self) -> FixedLayer:
        """All of it."""
        place, block = f"layers.{self.i}", self.spec.block
        own = within(self.weights, f"{place}.mixer")
        in_weight, in_scale = round_weight(own["in_proj.weight"] * self.weights[f"{place}.norm.weight"], 8)
        norm, q_scale = _norm(in_weight, self.x_scale, self.spec)
        xbc_scale = _headroom(self._seen("xbc"))
        gate = np.full(block.d_inner, GATE_UNIT), np.full(block.n_heads, GATE_UNIT)
        p_scale = np.concatenate([gate[0], xbc_scale, gate[1]])
        out_weight, out_scale = round_weight(own["out_proj.weight"] * own["norm.weight"], 8)
        step, g_scale = self._step(own, xbc_scale)
        gated_norm, gated_scale = _norm(out_weight, g_scale, self.spec)
        return FixedLayer(
            norm=norm,
            in_proj=_dense(in_weight, in_scale, q_scale, p_scale),
            step=step,
            gated_norm=gated_norm,
            out_proj=_dense(out_weight, out_scale, gated_scale, self.x_scale),
        )

    def _step(self, own: dict[str, F64], xbc_scale: F64) -> tuple[FixedMamba2, float]:
        """The step and one count of its output."""
        block = self.spec.block
        h_scale = scale_of(self._seen("h") * self.recipe.state_headroom, INT16_MAX).astype(np.float64)
        c_shift = _shift(float(self._seen("C")) * 1.5 / (GATE_UNIT * readout_limit(block.d_state)))
        c_unit = GATE_UNIT * 2.0**c_shift
        # One count of W: its range, or more where C H would have finer counts than y.
        w_unit = max(HEADROOM / 2 * float(self._seen("W")) / FOLDED_LIMIT, 2.001 * h_scale.max() * c_unit / GATE_UNIT)
        y_unit = w_unit * GATE_UNIT
        finest = y_unit * GATE_UNIT * 2.0**16
        gate_shift = _shift(float(self._seen("g")) * HEADROOM / (INT16_MAX * finest))
        conv_weight, conv_scale = self._taps(own["conv1d.weight"][:, 0])
        step = FixedMamba2(
            conv_weight=conv_weight,
            conv_multiplier=_multiplier(conv_scale * xbc_scale / GATE_UNIT),
            conv_bias=np.rint(own["conv1d.bias"] / GATE_UNIT).astype(np.int32),
            silu=silu_table(),
            dt_bias=own["dt_bias"].astype(np.float32),
            A=-np.exp(own["A_log"]).astype(np.float32),
            skip=(own["D"] / w_unit).astype(np.float32),
            readout=np.asarray(GATE_UNIT * c_unit / w_unit, np.float32),
            state_gain=(h_scale * c_unit / y_unit * 2.0**32).astype(np.float32),
            inject=(GATE_UNIT**2 * 2.0 ** (STATE_BITS + 16) / h_scale).astype(np.float32),
            c_shift=c_shift,
            gate_shift=gate_shift,
        )
        return step, finest * 2.0**gate_shift

    def _taps(self, weight: F64) -> tuple[NDArray[np.int16], F64]:
        missing = padded_taps(weight.shape[1]) - weight.shape[1]
        scale = scale_of(np.abs(weight).max(axis=1), _CONV_LEVELS).astype(np.float64)
        counts = np.rint(np.pad(weight, ((0, 0), (missing, 0))) / scale[:, None])
        return counts.astype(np.int16), scale

    def _seen(self, name: str) -> F64:
        return self.largest[f"{self.i}.{name}"]


def _headroom(largest: F64) -> F64:
    scale: F64 = scale_of(largest * HEADROOM, INT16_MAX).astype(np.float64)
    return scale


def _shift(ratio: float) -> int:
    """The smallest power of two that is at least `ratio`, as a shift of at least 0."""
    return max(0, math.ceil(math.log2(ratio))) if ratio > 0 else 0


def _multiplier(ratio: F64) -> I32:
    """Counts per count, times 2^32; raises InputError where that does not fit."""
    scaled = np.rint(ratio * 2.0**32)
    if (np.abs(scaled) >= 2**31).any():
        raise InputError(
            f"one count of a sum is {ratio.max():.2g} counts of what is made of it, at most 0.5 can be had; "
            "quantize it to int8 instead"
        )
    return scaled.astype(np.int32)


def _dense(
    weight: NDArray[np.signedinteger], scale: F32, q_scale: float, y_scale: F64 | float, bias: F64 | None = None
) -> FixedDense:
    ratio = scale.astype(np.float64) * q_scale / y_scale
    counts = np.zeros(len(weight)) if bias is None else np.rint(bias / y_scale)
    return FixedDense(weight.astype(np.int8), _multiplier(ratio), counts.astype(np.int32))


def _norm(weight: NDArray[np.signedinteger], x_scale: float, spec: DecoderSpec) -> tuple[FixedNorm, float]:
    """The norm in front of `weight`, and one count of it: the finest for which no row's sum can overflow."""
    n = weight.shape[1]
    longest = min(LARGEST_SUM / np.sqrt((weight.astype(np.float64) ** 2).sum(axis=1)).max(), float(INT16_MAX))
    # Each of the n counts is rounded, by half a count at most; float32 adds less than a millionth.
    q_scale = math.sqrt(n) / ((longest - 0.5 * math.sqrt(n)) * (1 - 1e-6))
    mean = np.asarray(float(x_scale) ** 2 * 2.0**8 / n, np.float32)
    return FixedNorm(mean, np.asarray(x_scale / q_scale * 2.0**16, np.float32), spec.norm_epsilon), q_scale


def _frame(weight: I8 | NDArray[np.signedinteger], largest: float) -> tuple[int, float]:
    """The largest count of a frame, 2^b - 1, for which no segment of a row can overflow even at -2^b; and one count."""
    wide = np.abs(weight.astype(np.int64))
    sums = [wide[:, j : j + SEGMENT].sum(axis=1).max() for j in range(0, wide.shape[1], SEGMENT)]
    most = int(min(LARGEST_SUM // max(max(sums), 1), INT16_MAX + 1))
    limit = (1 << (most.bit_length() - 1)) - 1  # saturation to so many bits is one instruction
    return limit, max(largest * FRAME_HEADROOM, 1e-6) / limit


def _check_gates(spec: DecoderSpec, largest: dict[str, F64]) -> None:
    reach = 2.0 ** (15 - GATE_BITS)
    for i in range(spec.n_layers):
        for name in ("z", "dt", "conv"):
            if float(largest[f"{i}.{name}"]) >= reach:
                raise InputError(
                    f"layer {i}: {name} reaches {float(largest[f'{i}.{name}']):.3g} in calibration, in fixed point at "
                    f"most {reach:g} is allowed; quantize it to int8 instead"
                )
