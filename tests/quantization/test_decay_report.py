"""The decay report measures what rounding a state costs, and tells where eight bits hold."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.arithmetic import F32
from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.decay_report import FEWEST_DB, DecayReport, decay_report, grid
from edgebci.export.quantization import quantize
from edgebci.export.time_constants import Forgetting
from edgebci.operators.cells import CellKind

CELLS: tuple[CellKind, ...] = ("mamba2", "s4d", "gru")


def small(cell: CellKind) -> DecoderSpec:
    return DecoderSpec(
        n_inputs=8, output_names=("x",), output_unit="cm/s", d_model=8, d_state=4, headdim=8, n_layers=1, cell=cell
    )


def slow_and_fast(dt: tuple[float, float]) -> tuple[DecoderSpec, dict[str, F32]]:
    """Mamba-2 with two heads of fixed steps and A = -1: dt does not depend on the frame."""
    spec = small("mamba2")
    parameters = random_parameters(spec, 1)
    parameters["layers.0.mixer.in_proj.weight"][-2:] = 0.0
    parameters["layers.0.mixer.A_log"] = np.zeros(2, np.float32)
    parameters["layers.0.mixer.dt_bias"] = np.log(np.expm1(dt)).astype(np.float32)
    return spec, parameters


@pytest.fixture(scope="module", params=CELLS)
def report(request: pytest.FixtureRequest) -> tuple[DecoderSpec, DecayReport]:
    spec = small(request.param)
    return spec, decay_report(spec, random_parameters(spec, 1), random_frames(spec, 600, 2))


def test_time_constants_of_mamba2_are_those_of_its_steps() -> None:
    spec, parameters = slow_and_fast((0.01, 0.5))
    report = decay_report(spec, parameters, random_frames(spec, 300, 2))
    # float32 weights hold dt to one part in 10^6.
    assert [g.time_constant_frames for g in report.states[0].groups] == pytest.approx([100.0, 2.0], rel=1e-4)


def test_time_constants_of_s4d_are_those_of_its_decays() -> None:
    spec = small("s4d")
    parameters = random_parameters(spec, 1)
    groups = decay_report(spec, parameters, random_frames(spec, 50, 2)).states[0].groups
    mixer = {name.rpartition(".")[2]: values.astype(float) for name, values in parameters.items() if "mixer" in name}
    expected = 1 / (np.exp(mixer["dt_log"])[:, None] * np.exp(mixer["A_log"]))
    assert {g.place: g.time_constant_frames for g in groups} == pytest.approx(dict(np.ndenumerate(expected)))


def test_time_constants_of_gru_are_those_of_its_update_gate() -> None:
    spec = small("gru")
    parameters = random_parameters(spec, 1)
    width = spec.d_model
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_hh_l0"):
        parameters[f"layers.0.mixer.gru.{name}"][width : 2 * width] = 0.0
    parameters["layers.0.mixer.gru.bias_ih_l0"][width : 2 * width] = np.log(0.9 / 0.1)  # z = 0.9, always
    forgetting = Forgetting(spec, FloatDecoder.of(spec, parameters).parameters)
    FloatDecoder.of(spec, parameters).stream(random_frames(spec, 50, 2), None, forgetting)
    np.testing.assert_allclose(forgetting.time_constants(0), -1 / np.log(0.9), rtol=1e-6)


def test_sixteen_bits_keep_about_eight_bits_more(report: tuple[DecoderSpec, DecayReport]) -> None:
    _, found = report
    for group in found.states[0].groups:
        if group.matters and group.int8_snr_db > 15:
            # 256 times finer, of which int16 spends two bits on room that int8 does not have: 2^6, 36 dB.
            assert group.int16_snr_db - group.int8_snr_db == pytest.approx(36.1, abs=8.0)
    assert found.int16_r2_loss < found.int8_r2_loss / 100


def test_a_slow_head_does_not_hold_in_int8_and_a_fast_one_keeps_more() -> None:
    spec, parameters = slow_and_fast((0.002, 0.5))
    slow, fast = decay_report(spec, parameters, random_frames(spec, 1500, 2)).states[0].groups
    assert slow.int8_snr_db < fast.int8_snr_db
    assert slow.int8_snr_db < FEWEST_DB


def test_what_holds_follows_from_the_groups_that_matter(report: tuple[DecoderSpec, DecayReport]) -> None:
    _, found = report
    for state in found.states:
        kept = [group.int8_snr_db >= FEWEST_DB for group in state.groups if group.matters]
        assert kept
        assert state.int8_holds == all(kept)
        assert state.width == (8 if all(kept) else 16)
        assert (state.name in found.widths()) == all(kept)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bits", [8, 16])
def test_the_grid_is_that_of_the_quantized_decoder(cell: CellKind, bits: int) -> None:
    spec = small(cell)
    parameters, frames = random_parameters(spec, 1), random_frames(spec, 300, 2)
    name = {"mamba2": "ssm.0", "s4d": "modes.0", "gru": "hidden.0"}[cell]
    recipe = QuantizationRecipe.model_validate({"widths": {name: bits}})
    tensors = quantize(spec, parameters, frames, recipe).tensors()
    seen: list[np.ndarray] = []
    FloatDecoder.of(spec, parameters).stream(
        frames, tap=lambda n, values: seen.append(values) if n == f"{name}.next" else None
    )
    scale, most = grid(spec, name, np.concatenate(seen), recipe, 8 if bits == 8 else 16)
    assert most == (127 if bits == 8 else 32767)
    if cell == "mamba2":
        np.testing.assert_allclose(scale[:, 0, 0], tensors["layers.0.mixer.ssm_scale"], rtol=1e-6)
    if cell == "gru":
        np.testing.assert_allclose(scale, tensors["layers.0.mixer.hidden_scale"])
    if cell == "s4d":
        inject = tensors["layers.0.mixer.inject"].astype(float)
        np.testing.assert_allclose(tensors["layers.0.mixer.act_scale"] / inject, scale[:, :2], rtol=1e-6)


def test_the_report_is_a_document_that_comes_back(report: tuple[DecoderSpec, DecayReport]) -> None:
    _, found = report
    assert DecayReport.model_validate_json(found.model_dump_json()) == found
    assert found.sentences()[0].startswith(f"{found.states[0].name}: ")
