"""Every tensor has the width that was asked for, and no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.calibration import INT4_MAX, QuantizationRecipe, round_weight, weight_levels
from edgebci.export.quantization import quantize
from edgebci.export.widths import choices, dense_names, state_names, uniform
from edgebci.metrics import r2
from edgebci.operators.cells import CellKind
from edgebci.quantized_decoder import QuantizedDecoder

CELLS: tuple[CellKind, ...] = ("mamba2", "s4d", "gru")


def small(cell: CellKind) -> DecoderSpec:
    return DecoderSpec(
        n_inputs=9, output_names=("x", "y"), output_unit="cm/s", d_model=16, d_state=8, headdim=8, cell=cell
    )


def drawn(cell: CellKind) -> tuple[DecoderSpec, dict[str, np.ndarray], np.ndarray]:
    spec = small(cell)
    return spec, random_parameters(spec, 1), random_frames(spec, 600, 2)


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 600), st.sampled_from([4, 8, 16]))
@settings(max_examples=30)
def test_weights_of_any_width_are_rounded_by_half_a_step_and_their_sums_fit_an_int32(
    seed: int, rows: int, columns: int, bits: int
) -> None:
    weight = np.random.default_rng(seed).standard_normal((rows, columns))
    integers, scale = round_weight(weight, bits)  # type: ignore[arg-type]
    levels = weight_levels(columns, bits)  # type: ignore[arg-type]
    assert np.abs(integers.astype(int)).max() == levels <= 2 ** (bits - 1) - 1
    # One part in 10^6 for the scale, which is rounded to float32.
    assert (np.abs(integers * scale[:, None].astype(float) - weight) <= scale[:, None] * (0.5 + levels * 1e-6)).all()
    assert np.abs(integers.astype(np.int64)).sum(axis=1).max() * 128 < 2**31


@pytest.mark.parametrize("cell", CELLS)
def test_widths_survive_the_file_and_give_the_same_bits(cell: CellKind, tmp_path: Path) -> None:
    spec, parameters, frames = drawn(cell)
    widths = {name: (4, 16)[k % 2] for k, name in enumerate(dense_names(spec))} | {state_names(spec)[0]: 8}
    decoder = quantize(spec, parameters, frames, QuantizationRecipe(widths=widths))
    decoder.save(tmp_path / "decoder")
    again = QuantizedDecoder.load(tmp_path / "decoder")
    assert again.int8_states == (state_names(spec)[0],)
    assert again.initial_states()[state_names(spec)[0]].dtype == np.int8
    assert again.initial_states()[state_names(spec)[1]].dtype == np.int16
    assert again.readout.bits == decoder.readout.bits == widths["readout"]
    np.testing.assert_array_equal(again.stream(frames[:50]), decoder.stream(frames[:50]))


@pytest.mark.parametrize("cell", CELLS)
def test_wider_weights_cost_less(cell: CellKind) -> None:
    spec, parameters, frames = drawn(cell)
    exact = FloatDecoder.of(spec, parameters).stream(frames)
    losses = []
    for bits in (4, 8, 16):
        recipe = QuantizationRecipe(widths=uniform(spec, weights=bits))
        losses.append(1 - r2(exact, quantize(spec, parameters, frames, recipe).stream(frames).astype(float)).mean())
    assert losses[0] > 3 * losses[1]
    # The activations' int8 remains: 16 bits take away what the weights cost, and that is no more than all of it.
    assert losses[2] < losses[1] * 1.1


@pytest.mark.parametrize("cell", CELLS)
def test_chunks_of_any_length_give_the_same_bits_with_int8_states(cell: CellKind) -> None:
    spec, parameters, frames = drawn(cell)
    decoder = quantize(spec, parameters, frames, QuantizationRecipe(widths=uniform(spec, 4, 8)))
    whole, states, outputs = decoder.stream(frames[:40]), decoder.initial_states(), []
    for frame in frames[:40]:
        output, states = decoder.step(frame, states)
        outputs.append(output)
    np.testing.assert_array_equal(whole.view(np.uint32), np.array(outputs).view(np.uint32))
    assert {states[name].dtype.name for name in state_names(spec)} == {"int8"}


def test_four_bits_are_four_bits() -> None:
    spec, parameters, frames = drawn("mamba2")
    decoder = quantize(spec, parameters, frames, QuantizationRecipe(widths={"readout": 4}))
    assert np.abs(decoder.readout.weight).max() == INT4_MAX
    assert decoder.layers[0].cell.tensors()["in_proj.weight"].max() == 127


def test_default_recipes_write_what_they_always_wrote() -> None:
    assert set(QuantizationRecipe().model_dump()) == {
        *("state_headroom", "activation_samples", "activation_candidates", "smallest_clip")
    }
    assert QuantizationRecipe(observer="entropy").model_dump()["observer"] == "entropy"


@pytest.mark.parametrize(
    ("widths", "sentence"),
    [
        ({"layers.0.mixer.in_prj": 4}, "did you mean 'layers.0.mixer.in_proj'"),
        ({"ssm.0": 4}, "ssm.0 cannot have 4 bits, allowed: 8, 16"),
        ({"conv.0": 8}, "no weights or state 'conv.0'"),
    ],
)
def test_a_width_that_cannot_be_is_refused(widths: dict[str, int], sentence: str) -> None:
    spec, parameters, frames = drawn("mamba2")
    with pytest.raises(InputError, match=sentence):
        quantize(spec, parameters, frames, QuantizationRecipe.model_validate({"widths": widths}))


@pytest.mark.parametrize("cell", CELLS)
def test_names_of_widths_are_those_of_the_decoder(cell: CellKind) -> None:
    spec, parameters, frames = drawn(cell)
    tensors = quantize(spec, parameters, frames[:100]).tensors()
    shapes = {name.removesuffix(".weight"): t.shape for name, t in tensors.items() if f"{name}_scale" in tensors}
    shapes = {name: shape for name, shape in shapes.items() if f"{name}.act_scale" in tensors}
    assert shapes == dense_names(spec)
    assert set(choices(spec)) == set(shapes) | set(state_names(spec))


def test_given_scales_replace_the_observed() -> None:
    spec, parameters, frames = drawn("mamba2")
    heads = [0.5, 0.25, 0.125, 0.0625]
    scales: dict[str, ArrayLike] = {"frame": 0.125, "layers.1.norm": 0.25, "norm": np.float32(0.5), "ssm.0": heads}
    decoder = quantize(spec, parameters, frames, scales=scales)
    tensors = decoder.tensors()
    assert tensors["input.act_scale"] == 0.125
    assert tensors["layers.1.mixer.in_proj.act_scale"] == 0.25
    assert tensors["readout.act_scale"] == 0.5
    # The scale passes through a range and back: one rounding to float32.
    np.testing.assert_allclose(tensors["layers.0.mixer.ssm_scale"], heads, rtol=1e-6)
    observed = quantize(spec, parameters, frames).tensors()
    assert tensors["layers.0.mixer.in_proj.act_scale"] == observed["layers.0.mixer.in_proj.act_scale"]


@pytest.mark.parametrize("scales", [{"norn": 1.0}, {"norm": 0.0}, {"norm": float("nan")}])
def test_a_scale_that_cannot_be_is_refused(scales: dict[str, float]) -> None:
    spec, parameters, frames = drawn("mamba2")
    with pytest.raises(InputError, match=r"did you mean 'norm'|not positive and finite"):
        quantize(spec, parameters, frames, scales=scales)
