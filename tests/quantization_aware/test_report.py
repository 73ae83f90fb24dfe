"""The error report: what it measures, and that the page opens offline."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgebci.comparison import Interval
from edgebci.documents import load_json
from edgebci.errors import InputError
from edgebci.frame_stream import FrameStream, part_stream
from edgebci.pipeline.quantization_report import JSON_NAME, PAGE_NAME, quantization_report, write_report
from edgebci.quantization_error import OperatorCost, QuantizationReport, QuantizerError, quantizer_errors, tap_steps
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.reporting.quantization_page import decision, report_page
from tests.quantization_aware.conftest import Example, example


def errors_of(one: Example) -> dict[str, QuantizerError]:
    found, _, _ = quantizer_errors(one.floating, one.decoder, one.frames, None, 50)
    return {error.name: error for error in found}


def test_every_quantizer_that_the_decoder_shows_is_in_the_report(any_cell: Example) -> None:
    seen: list[str] = []
    any_cell.decoder.stream(any_cell.frames[:10], tap=lambda name, _: seen.append(name))
    assert list(errors_of(any_cell)) == [name.removesuffix("_q") for name in seen] + ["output"]
    assert set(seen) == set(tap_steps(any_cell.decoder))


def test_noise_is_that_of_the_sums_by_hand() -> None:
    """The frame's quantizer has no past: its noise is the rounding of the frames."""
    one = example("mamba2")
    frames, scale = one.frames.astype(np.float64), float(one.decoder.tensors()["input.act_scale"])
    rounded = np.clip(np.rint(frames / scale), -128, 127) * scale
    found = errors_of(one)["frame"]
    whole = 10 * np.log10((frames**2).sum() / ((frames - rounded) ** 2).sum())
    third = slice(100, 150)
    of_bin = 10 * np.log10((frames[third] ** 2).sum() / ((frames - rounded)[third] ** 2).sum())
    # A tie may fall to either side in float32.
    assert found.sqnr_db == pytest.approx(whole, abs=1e-3)
    assert found.sqnr_db_per_bin[2] == pytest.approx(of_bin, abs=1e-3)


def test_the_noise_of_every_quantizer_is_small_beside_its_signal(any_cell: Example) -> None:
    for name, error in errors_of(any_cell).items():
        # int8 has some 7 bits, 40 dB, of which crest factor and the noise of what came before take 20 at the most.
        assert (error.sqnr_db or 0.0) > 20, name


def test_a_stream_that_saturates_tells_when_first_and_how_often() -> None:
    one = example("mamba2")
    quiet, frames = errors_of(one)["frame"], one.frames
    loud = frames.copy()
    loud[400:] *= 50
    found, _, _ = quantizer_errors(one.floating, one.decoder, loud, None, 50)
    frame = found[0]
    counts = np.rint(loud / one.decoder.tensors()["input.act_scale"])
    reached = (counts >= 127) | (counts <= -128)
    assert frame.first_saturated_step == int(np.argmax(reached.any(axis=1)))
    assert frame.saturated_share == pytest.approx(reached.mean(), abs=1e-6)
    assert frame.saturated_share > 10 * quiet.saturated_share
    assert max(frame.range_per_bin) == pytest.approx(128 / 127)


def test_a_state_that_is_driven_to_its_limit_is_named_with_its_step() -> None:
    one = example("mamba2")
    states = {name: error for name, error in errors_of(one).items() if error.kind == "state"}
    assert all(error.first_saturated_step is None for error in states.values())
    # An eighth of the range, where calibration left four times what it saw.
    arrays = one.decoder.tensors()
    arrays |= {name: values / np.float32(8) for name, values in arrays.items() if name.endswith("ssm_scale")}
    tight = QuantizedDecoder.from_tensors(one.spec, arrays)
    found, _, _ = quantizer_errors(one.floating, tight, one.frames, None, 50)
    saturated = [error.name for error in found if error.kind == "state" and error.first_saturated_step is not None]
    assert saturated
    assert all(name.startswith("ssm.") for name in saturated)


def test_the_state_starts_again_at_a_reset(any_cell: Example) -> None:
    resets = np.zeros(len(any_cell.frames), bool)
    resets[[0, 200]] = True
    _, exact, counted = quantizer_errors(any_cell.floating, any_cell.decoder, any_cell.frames, resets, 50)
    np.testing.assert_array_equal(counted, any_cell.decoder.stream(any_cell.frames, resets))
    np.testing.assert_allclose(exact, any_cell.floating.stream(any_cell.frames, resets), rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def report() -> QuantizationReport:
    one = example("mamba2", weight_bits=4)
    return quantization_report("small", one.checkpoint, one.decoder, held_out(one), 50.0)


def held_out(one: Example) -> FrameStream:
    return part_stream(one.data, "test")


def test_costs_hold_every_operator_and_the_whole(report: QuantizationReport) -> None:
    names = {cost.name for cost in report.costs}
    cell = {f"layers.{i}.{part}" for i in range(2) for part in ("in_proj", "conv1d", "ssm", "out_proj")}
    assert names == cell | {"input", "readout"}
    losses = [cost.alone.difference.value for cost in report.costs]
    assert losses == sorted(losses)
    assert report.loss.difference.value == pytest.approx(report.r2_quantized - report.r2_float, abs=1e-9)


def test_sparing_the_operator_that_costs_most_gives_back_more_than_sparing_the_one_that_costs_least(
    report: QuantizationReport,
) -> None:
    assert report.costs[0].spared.difference.value > report.costs[-1].spared.difference.value


def test_the_page_is_one_file_and_asks_for_nothing(report: QuantizationReport, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    text = (tmp_path / PAGE_NAME).read_text()
    assert text == report_page(report)
    for asking in ("src=", "<link", "@import", "<script"):
        assert asking not in text
    assert text.count("<svg") == 4
    for cost in report.costs:
        assert cost.name in text
    assert load_json(tmp_path / JSON_NAME, QuantizationReport) == report


def test_the_first_sentence_says_whether_the_goal_is_reached(report: QuantizationReport) -> None:
    assert "cannot tell" in decision(report)[0]  # five seconds of test frames
    assert "costs" in decision(report)[1]


def test_an_operator_whose_cost_the_data_show_is_named_before_one_with_a_larger_but_uncertain_cost(
    report: QuantizationReport,
) -> None:
    def costing(name: str, low: float, value: float, high: float) -> OperatorCost:
        cost = report.costs[0].model_copy(deep=True)
        interval = Interval(value=value, low=low, high=high)
        alone = cost.alone.model_copy(update={"difference": interval})
        return cost.model_copy(update={"name": name, "alone": alone})

    uncertain, shown = costing("loud", -0.9, -0.3, 0.3), costing("steady", -0.2, -0.1, -0.05)
    both = decision(report.model_copy(update={"costs": (uncertain, shown)}))[1]
    assert both.startswith("steady costs most")
    neither = decision(report.model_copy(update={"costs": (uncertain,)}))[1]
    assert neither.startswith("No operator alone")
    assert "loud" in neither


def test_a_form_of_another_decoder_is_refused(any_cell: Example) -> None:
    wider = any_cell.spec.model_copy(update={"d_model": 32})
    other = dataclasses.replace(any_cell.floating, spec=wider)
    with pytest.raises(InputError, match="different sizes"):
        quantizer_errors(other, any_cell.decoder, any_cell.frames, None, 50)
    with pytest.raises(InputError, match="no frames"):
        quantizer_errors(any_cell.floating, any_cell.decoder, any_cell.frames[:0], None, 50)
