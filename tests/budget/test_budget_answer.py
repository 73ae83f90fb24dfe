"""A budget adds up, says what it rests on, and refuses in one sentence what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgebci.documents import load_toml
from edgebci.edge_student import load_edge_student
from edgebci.errors import InputError
from edgebci.hardware import Implant, load_profile
from edgebci.pipeline.budget.answer import budget
from edgebci.pipeline.budget.counts import counts_of, decoder_cycles, front_end_cycles, read_counts, typed_counts
from edgebci.pipeline.budget.cycle_costs import SHIPPED, CycleCosts, costs_on, costs_toml
from edgebci.pipeline.budget.cycle_measurement import Program, fitted
from edgebci.pipeline.budget.order import BudgetOrder, parse_limit, parse_sent, require_one_question
from edgebci.pipeline.budget.report import BudgetReport
from edgebci.pipeline.budget.side_by_side import side_by_side

EDGE_STUDENT = Path(__file__).parents[2] / "examples" / "edge_student.toml"


FOUR: dict[str, Any] = {"decoder": None, "counts": typed_counts(4, 10_000, 250, 50, 4, 1).model_dump()}


def _changed(order: BudgetOrder, **changes: Any) -> BudgetOrder:
    return BudgetOrder.model_validate(order.model_dump() | changes)


def test_the_states_of_all_parts_sum_to_the_total(answered: BudgetReport) -> None:
    total_uw = sum(state.power.typical for state in answered.states)
    # 1e-12: rounding of a sum of eleven terms.
    assert total_uw == pytest.approx(answered.report.total.typical, rel=1e-12)
    for part in answered.report.power:
        of_part = sum(state.power.typical for state in answered.states if state.part == part.part)
        assert of_part == pytest.approx(part.power.typical, rel=1e-12)


def test_the_report_begins_with_the_assumed_numbers_and_survives_json(answered: BudgetReport) -> None:
    said = json.loads(answered.model_dump_json())
    assert next(iter(said["report"])) == "assumed_inputs"
    assert said["report"]["assumed_inputs"]
    assert BudgetReport.model_validate(said) == answered


def test_counts_times_costs_come_within_the_stated_error_of_the_emulated_reference_decoder() -> None:
    claim = json.loads((EDGE_STUDENT.parent / "proof.json").read_text())["claims"]["edge_student"]
    figures = {figure["name"]: figure["value"] for figure in claim["figures"]}
    counts, costs = read_counts(EDGE_STUDENT), costs_on("cortex-m4f")
    said = front_end_cycles(counts, costs) + decoder_cycles(counts, costs)
    # Twice the fit's own error: the proof may have been measured with kernels of another day.
    assert said == pytest.approx(figures["cycles_per_step"], rel=2 * costs.largest_error)


def test_the_error_of_counting_is_an_input_of_the_power(answered: BudgetReport) -> None:
    assert "decoder.cycles_factor" in {one.input for one in answered.report.total.inputs}
    assert answered.cycles_from == "counts x cycles per count, not emulated"


def test_draws_lie_inside_the_interval_and_repeat(answered: BudgetReport, order: BudgetOrder) -> None:
    total, spread = answered.report.total, answered.total_mw
    assert total.low <= spread.p2_5 * 1e3 < spread.p50 * 1e3 < spread.p97_5 * 1e3 <= total.high
    assert budget(order).total_mw == spread


def test_a_fit_finds_the_costs_of_programs_that_follow_it_exactly() -> None:
    costs, student = costs_on("cortex-m4f"), load_edge_student(EDGE_STUDENT)
    seen = []
    for n_channels, order in ((16, 1), (32, 2), (96, 4), (8, 3)):
        bands = tuple(band.model_copy(update={"order": order}) for band in student.features.bands[:order])
        features = student.features.model_copy(update={"bands": bands})
        for cell, width in (("mamba2", 32), ("mamba2", 64), ("s4d", 64), ("gru", 32)):
            sizes = {"n_inputs": features.n_features(n_channels), "cell": cell, "d_model": width}
            counts = counts_of(features, student.decoder.model_copy(update=sizes), n_channels)
            seen.append(Program(counts, front_end_cycles(counts, costs), decoder_cycles(counts, costs)))
    found = fitted("cortex-m4f", seen)
    # Costs are rounded to three decimals.
    assert found.per_section == pytest.approx(costs.per_section, abs=2e-3)
    assert found.per_mac == pytest.approx(costs.per_mac, abs=2e-3)
    assert found.largest_error < 1e-3


def test_the_table_of_costs_is_what_its_writer_writes() -> None:
    assert costs_toml(load_toml(SHIPPED, CycleCosts).cores) == SHIPPED.read_text()


def test_sending_samples_or_features_costs_radio_and_spares_the_core(order: BudgetOrder) -> None:
    power = {
        sent: {part.part: part.power.typical for part in budget(_changed(order, sent=sent)).report.power}
        for sent in ("decoded", "features", "samples")
    }
    assert power["decoded"]["radio"] < power["features"]["radio"] < power["samples"]["radio"]
    assert power["decoded"]["compute"] > power["features"]["compute"] > power["samples"]["compute"]


def test_what_was_asked_for_is_held_at_the_worst_corner(order: BudgetOrder) -> None:
    loose = budget(_changed(order, limits=[{"name": "power_mw", "value": 1000.0}]))
    strict = budget(_changed(order, limits=[{"name": "power_mw", "value": 0.001}]))
    assert next(check for check in loose.limits if check.name == "power_mw").kept == "yes"
    assert next(check for check in strict.limits if check.name == "power_mw").kept == "no"
    assert strict.fits == "no"


def test_a_slower_link_than_the_data_is_refused(order: BudgetOrder) -> None:
    with pytest.raises(InputError, match="ble-1m carries at most 791,000 bit/s, the implant would send 1,152,000"):
        budget(_changed(order, radio="ble-1m", sent="samples"))


def test_a_clock_that_the_chip_does_not_have_is_refused(order: BudgetOrder) -> None:
    with pytest.raises(InputError, match="stm32u385 has no clock of 500 MHz"):
        budget(_changed(order, clock_mhz=500.0))


def test_no_decoder_and_two_decoders_are_refused(order: BudgetOrder) -> None:
    with pytest.raises(InputError, match="no decoder was given; add --decoder"):
        budget(_changed(order, decoder=None))
    with pytest.raises(InputError, match="leave one of them out"):
        budget(_changed(order, counts=read_counts(EDGE_STUDENT).model_dump()))


def test_a_core_without_costs_is_refused_with_those_that_have_them() -> None:
    with pytest.raises(InputError, match=r"no cycles per count are known for a cortex-m85, only for cortex-m4f"):
        costs_on("cortex-m85")


def test_a_run_on_another_core_is_refused(order: BudgetOrder, tmp_path: Path) -> None:
    report = {
        "core": "cortex-m4f", "schema_version": "edgebci.target_report/1",
        "evidence": "model", "error_fraction": 0.05, "branchy_error_fraction": 0.1, "band": "",
        "recording": "r.h5", "steps": 1, "valid_steps": 1, "equals_host_twin": True, "instructions": 1, "cycles": 1,
        "step_cycles": [
            {"name": "step", "mean_cycles": 700.0, "worst_cycles": 900},
            {"name": "front end", "mean_cycles": 400.0, "worst_cycles": 500},
        ],
        "flash": None, "functions": [], "lines": [], "flash_bytes": 130_000, "ram_bytes": 36_000, "stack_bytes": 0,
        "outputs": [],
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps(report))
    with pytest.raises(InputError, match="is a run on cortex-m4f, stm32u385 has a cortex-m33"):
        budget(_changed(order, measured=tmp_path / "run.json"))
    found = budget(_changed(order, measured=tmp_path / "run.json", compute="stm32l4r5"))
    assert found.cycles_from == "emulated on cortex-m4f"
    # 900 cycles at 120 MHz, 1.2 real ones for each.
    assert found.report.step.worst_step_ms.typical == pytest.approx(900 * 1.2 / 120e3)
    assert found.report.memory.flash_bytes == 130_000


def test_limits_and_what_is_sent_are_read_or_refused() -> None:
    assert parse_limit("temperature_rise_c=0.5").value == 0.5
    with pytest.raises(InputError, match=r"write it as temperature_rise_c=1\.0"):
        parse_limit("temperature_rise_c")
    with pytest.raises(InputError, match=r"no limit 'power_w'; did you mean 'power_mw'\?"):
        parse_limit("power_w=1")
    with pytest.raises(InputError, match="the limit power_mw is '-1'; give a positive number of mW"):
        parse_limit("power_mw=-1")
    with pytest.raises(InputError, match="cannot send 'sample'"):
        parse_sent("sample")


def test_battery_hours_cannot_be_asked_of_an_implant_without_a_battery(order: BudgetOrder) -> None:
    assert load_profile(Implant, order.implant).battery is None
    with pytest.raises(InputError, match="utah96-lfp has no battery, so battery_h cannot be kept"):
        budget(_changed(order, limits=[{"name": "battery_h", "value": 24.0}]))


def test_channels_without_macs_are_refused() -> None:
    with pytest.raises(InputError, match="--channels stands alone; give --macs too"):
        typed_counts(96, None, 1000, 50, 4, 2)
    with pytest.raises(InputError, match="give fewer steps than samples"):
        typed_counts(96, 1000, 10, 50, 4, 2)


def test_only_implants_of_like_scope_stand_side_by_side(order: BudgetOrder) -> None:
    found = side_by_side(order, ["borton-2013"])
    assert [one.report.implant for one in found.budgets] == ["utah96-lfp", "borton-2013"]
    assert load_profile(Implant, "engini-lfp-soc").scope != found.scope
    with pytest.raises(InputError, match="only like scopes are compared"):
        side_by_side(order, ["engini-lfp-soc"])


def test_a_battery_fades_droops_and_is_charged(order: BudgetOrder) -> None:
    fresh, worn = (budget(_changed(order, implant="summit-rcs-class", years=years, **FOUR)) for years in (0.0, 10.0))
    assert fresh.supply.battery_h is not None
    assert worn.supply.battery_h is not None
    battery = load_profile(Implant, "summit-rcs-class").battery
    assert battery is not None
    assert battery.fade_share_per_year is not None
    kept = (1 - battery.fade_share_per_year.typical) ** 10
    assert worn.supply.battery_h.typical == pytest.approx(fresh.supply.battery_h.typical * kept)
    if battery.nominal_v and battery.internal_resistance_ohm and fresh.supply.peak_mw and fresh.supply.lowest_v:
        current_a = fresh.supply.peak_mw.typical * 1e-3 / battery.nominal_v.typical
        droop_v = current_a * battery.internal_resistance_ohm.typical
        assert fresh.supply.lowest_v.typical == pytest.approx(battery.nominal_v.typical - droop_v)


def test_one_question_at_a_time() -> None:
    require_one_question({"--compare": "partitions", "--solve": None}, {"--accuracy": "x"})
    with pytest.raises(InputError, match="--compare and --solve were asked at once"):
        require_one_question({"--compare": "partitions", "--solve": "bits"}, {})
    with pytest.raises(InputError, match="--accuracy is of use to --compare partitions alone"):
        require_one_question({"--compare": None}, {"--accuracy": "x"})


def test_what_is_no_run_is_refused_in_a_sentence(order: BudgetOrder, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"schema_version": "edgebci.budget/1"}')
    with pytest.raises(InputError, match=r"is edgebci.budget/1, not a run; give what edgebci run-on-target"):
        budget(_changed(order, measured=tmp_path / "other.json"))


def test_what_layered_tissue_assumes_is_listed_once(answered: BudgetReport) -> None:
    names = [one.name for one in answered.report.assumed_inputs]
    assert len(names) == len(set(names))
    assert any(name.startswith("body.") for name in names)
