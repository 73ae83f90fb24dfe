"""Scales come from what training frames do to the states, and rounding stays within half a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.calibration import QuantizationRecipe, activation_scale, quantize_weight
from edgebci.export.quantization import quantize
from edgebci.metrics import r2

EDGE_STUDENT = DecoderSpec(n_inputs=384, output_names=("x", "y"), output_unit="cm/s")


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 40), st.floats(1e-6, 1e6))
def test_a_weight_is_rounded_by_at_most_half_a_step(seed: int, rows: int, columns: int, size: float) -> None:
    weight = size * np.random.default_rng(seed).standard_normal((rows, columns))
    integers, scale = quantize_weight(weight)
    assert np.abs(integers).max() == 127
    # One part in 10^6 for the scale, which is rounded to float32.
    assert (np.abs(integers * scale[:, None].astype(float) - weight) <= scale[:, None] * (0.5 + 127e-6)).all()


def test_a_row_of_zeros_stays_zero() -> None:
    integers, scale = quantize_weight(np.zeros((2, 3)))
    assert not integers.any()
    assert (scale > 0).all()


def test_the_scale_of_an_activation_clips_rare_outliers() -> None:
    rng = np.random.default_rng(0)
    values = np.append(rng.standard_normal(20_000), 12.0).astype(np.float32)
    clipped, whole = activation_scale(values, QuantizationRecipe()), np.float32(12.0 / 127)
    assert clipped < whole
    with_scale = [np.clip(np.rint(values / s), -127, 127) * s for s in (clipped, whole)]
    assert np.mean((with_scale[0] - values) ** 2) < np.mean((with_scale[1] - values) ** 2)


def test_calibration_by_rollout_reaches_further_than_one_step(forms: Any) -> None:
    spec, frames = forms.spec, forms.calibration
    each_alone = quantize(spec, forms.parameters, frames, reset_before=np.ones(len(frames), bool))
    whole, short = forms.quantized.tensors(), each_alone.tensors()
    for i in range(spec.n_layers):
        name = f"layers.{i}.mixer.ssm_scale"
        assert (whole[name] > 2 * short[name]).any()


def test_other_frames_of_the_same_kind_do_not_saturate_the_state(forms: Any) -> None:
    largest: dict[str, int] = {}

    def widen(name: str, values: np.ndarray[Any, Any]) -> None:
        largest[name] = max(largest.get(name, 0), int(np.abs(values.astype(np.int32)).max()))

    forms.quantized.stream(forms.frames, tap=widen)
    states = {name: value for name, value in largest.items() if name.endswith(".next")}
    assert len(states) == 4
    # A quarter of the range is what calibration saw; less than a twentieth would waste more than two bits.
    assert all(32767 / 20 < value < 32767 for value in states.values()), states


def test_more_headroom_widens_the_states_and_nothing_else(forms: Any) -> None:
    recipe = QuantizationRecipe(state_headroom=8.0)
    wide = quantize(forms.spec, forms.parameters, forms.calibration, recipe).tensors()
    for name, values in forms.quantized.tensors().items():
        factor = 2.0 if name.endswith(("ssm_scale", "conv1d.scale")) else 1.0
        np.testing.assert_allclose(wide[name], factor * values, rtol=1e-6)


def test_quantizing_twice_gives_the_same_bits(forms: Any) -> None:
    again = quantize(forms.spec, forms.parameters, forms.calibration).tensors()
    for name, values in forms.quantized.tensors().items():
        assert again[name].tobytes() == values.tobytes()


def test_frames_after_calibration_change_no_scale(forms: Any) -> None:
    noise = np.concatenate([forms.calibration, 100 * forms.frames])
    same = quantize(forms.spec, forms.parameters, noise[: len(forms.calibration)]).tensors()
    assert all(same[name].tobytes() == values.tobytes() for name, values in forms.quantized.tensors().items())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_int8_keeps_what_the_edge_student_says(seed: int) -> None:
    parameters, frames = random_parameters(EDGE_STUDENT, seed), random_frames(EDGE_STUDENT, 2500, seed + 10)
    quantized = quantize(EDGE_STUDENT, parameters, frames[:1500])
    exact = FloatDecoder.of(EDGE_STUDENT, parameters).stream(frames[1500:])
    # Rounding the weights and activations to 8 bits leaves about 0.2 % of the variance; a wrong scale leaves 10 %.
    assert (r2(exact, quantized.stream(frames[1500:]).astype(np.float64)) > 0.995).all()


def test_modes_that_remember_for_a_minute_do_not_freeze_in_int16(forms: Any) -> None:
    # dt = 0.0003 and A = -1: a decay of 0.9997 per step, one minute at 50 frames per second. An update below half a
    # count would be lost; int8 states of such modes stand still.
    slow = {
        name: np.full_like(values, np.log(np.expm1(3e-4)) if name.endswith("dt_bias") else 0.0)
        for name, values in forms.parameters.items()
        if name.endswith(("dt_bias", "A_log"))
    }
    parameters, frames = forms.parameters | slow, random_frames(forms.spec, 4000, 7)
    for name in parameters:
        if name.endswith(".D"):
            parameters[name] = np.zeros_like(parameters[name])  # nothing but the state reaches the output
    quantized = quantize(forms.spec, parameters, frames[:2000])
    exact = FloatDecoder.of(forms.spec, parameters).stream(frames)
    assert (r2(exact, quantized.stream(frames).astype(np.float64)) > 0.995).all()


@pytest.mark.parametrize("shape", [(0, 12), (10, 11), (12,)])
def test_frames_of_another_shape_are_refused(forms: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"needed is \(at least 1, 12\)"):
        quantize(forms.spec, forms.parameters, np.zeros(shape, np.float32))


def test_frames_that_are_not_finite_are_refused(forms: Any) -> None:
    frames = forms.calibration.copy()
    frames[3, 2] = np.nan
    with pytest.raises(InputError, match="NaN"):
        quantize(forms.spec, forms.parameters, frames)
