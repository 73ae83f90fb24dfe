"""Calibration runs the stream: the range of a state is what stepping through the stream, frame by frame, shows."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.arithmetic import F32
from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.example_decoder import draw_parameters, random_frames, random_parameters
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.possm_step import quantize_possm
from edgebci.export.quantization import observe, quantize
from edgebci.operators.cells import CellKind
from tests.small_specs import small_spike_decoder

STATES = {"mamba2": "ssm", "s4d": "modes", "gru": "hidden"}
RESETS = np.isin(np.arange(700), (0, 250, 260))


def drawn(cell: CellKind) -> tuple[DecoderSpec, dict[str, F32], F32]:
    spec = DecoderSpec(n_inputs=8, output_names=("x",), output_unit="cm/s", d_model=8, d_state=4, headdim=8, cell=cell)
    return spec, random_parameters(spec, 1), random_frames(spec, 700, 2)


@pytest.mark.parametrize("cell", ["mamba2", "s4d", "gru"])
def test_ranges_are_those_of_the_stream_stepped_with_its_resets(cell: CellKind) -> None:
    spec, parameters, frames = drawn(cell)
    decoder = FloatDecoder.of(spec, parameters)
    states, largest = decoder.initial_states(), dict.fromkeys((f"{STATES[cell]}.0", f"{STATES[cell]}.1"), 0.0)
    expected: dict[str, np.ndarray | float] = dict(largest)
    for t, frame in enumerate(frames):
        states = decoder.initial_states() if RESETS[t] else states
        _, states = decoder.step(frame, states)
        expected = {name: np.maximum(seen, np.abs(states[name])) for name, seen in expected.items()}
    found = observe(spec, parameters, frames, QuantizationRecipe(), RESETS).ranges.largest
    for name, seen in expected.items():
        # Chunks and single steps sum the same products in another order.
        np.testing.assert_allclose(found[name], seen, rtol=1e-9, atol=1e-12)


def test_the_scale_of_a_head_is_its_range_with_headroom() -> None:
    spec, parameters, frames = drawn("mamba2")
    recipe = QuantizationRecipe(state_headroom=2.0)
    largest = observe(spec, parameters, frames, recipe).ranges.largest["ssm.0"].max(axis=(1, 2))
    scale = quantize(spec, parameters, frames, recipe).tensors()["layers.0.mixer.ssm_scale"]
    np.testing.assert_allclose(scale * 32767, 2.0 * largest, rtol=1e-6)


def test_a_decoder_of_spikes_refuses_smoothing_and_widths_of_states_instead_of_dropping_them() -> None:
    spec = small_spike_decoder("gru")
    with pytest.raises(InputError, match="asks for smoothing, which a decoder of spikes does not have"):
        quantize_possm(spec, {}, np.zeros((1, 1, 2), np.int32), QuantizationRecipe(smoothing=0.5))
    with pytest.raises(InputError, match=r"no weights 'hidden\.0' whose width can be chosen"):
        quantize_possm(spec, {}, np.zeros((1, 1, 2), np.int32), QuantizationRecipe(widths={"hidden.0": 8}))


def test_a_state_that_runs_to_infinity_is_refused() -> None:
    spec, parameters, frames = drawn("s4d")
    place = "layers.0.mixer"
    parameters |= draw_parameters({f"{place}.dt_log": (spec.d_model,)}, 1)
    parameters[f"{place}.D"] = np.full_like(parameters[f"{place}.D"], np.inf)
    with np.errstate(invalid="ignore", over="ignore"), pytest.raises(InputError, match="to infinity"):
        quantize(spec, parameters, frames)
