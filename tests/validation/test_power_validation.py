"""The models of power against published devices and boards, and that the comparison itself can fail."""

from __future__ import annotations

import pytest

from edgebci.errors import InputError
from edgebci.firmware_sim.validation.cases import Cases, Device, Sample, load_cases
from edgebci.firmware_sim.validation.devices import bookkeeping, forward, scaling
from edgebci.firmware_sim.validation.energy_logs import EnergyLogs, LoggedBoard, load_energy_logs, predict_energy
from edgebci.firmware_sim.validation.report import ValidationReport, validate, validate_against
from edgebci.hardware import ComputePart, load_profile, profile_names
from edgebci.quantity import Quantity, quantities


@pytest.fixture(scope="module")
def cases() -> Cases:
    return load_cases()


@pytest.fixture(scope="module")
def logs() -> EnergyLogs:
    return load_energy_logs()


@pytest.fixture(scope="module")
def report() -> ValidationReport:
    return validate()


def test_published_parts_give_the_published_total(cases: Cases) -> None:
    ratios = {case.case: case.ratio for case in bookkeeping(cases) if case.kind != "battery"}
    assert len(ratios) == 4
    assert all(abs(ratio - 1) <= 0.05 for ratio in ratios.values())


def test_a_total_that_is_wrong_by_a_tenth_is_found(cases: Cases) -> None:
    case = cases.sums["engini"]
    off = case.model_copy(update={"total": case.total.model_copy(update={"typical": case.total.typical * 1.1})})
    assert bookkeeping(cases.model_copy(update={"sums": {"engini": off}}))[0].ratio == pytest.approx(1 / 1.1)


def test_no_part_of_a_device_is_costed_from_its_own_papers(cases: Cases) -> None:
    for device in cases.devices.values():
        for part in device.parts:
            component = cases.components[part.component]
            cost = component.power_uw(device.papers)
            own = [sample.takes.source for sample in component.samples if sample.paper in device.papers]
            assert not any(source in cost.source.split("; ") for source in own)
            assert not any(paper in cost.source for paper in device.papers)


def test_what_a_paper_says_of_itself_does_not_change_what_is_predicted_for_it(cases: Cases) -> None:
    component = cases.components["microwatt_channel"]
    samples = tuple(_taking(sample, 99.0) if sample.paper == "PMC9897226" else sample for sample in component.samples)
    swapped = {"microwatt_channel": component.model_copy(update={"samples": samples})}
    kept = {name: cases.devices[name] for name in ("neuraltree-front-end", "nisoc-front-end")}
    small = cases.model_copy(update={"devices": kept})
    before = {device.case: device for device in forward(small)}
    after = {
        device.case: device for device in forward(small.model_copy(update={"components": cases.components | swapped}))
    }
    assert after["neuraltree-front-end"] == before["neuraltree-front-end"]
    assert after["nisoc-front-end"].high_uw > before["nisoc-front-end"].high_uw


def _taking(sample: Sample, power_uw: float) -> Sample:
    takes = sample.takes.model_copy(update=dict.fromkeys(("low", "typical", "high"), power_uw))
    return sample.model_copy(update={"takes": takes})


def test_a_part_that_only_the_device_s_own_paper_gives_is_refused(cases: Cases) -> None:
    component = cases.components["microwatt_channel"]
    papers = tuple(sample.paper for sample in component.samples)
    with pytest.raises(InputError, match="which are under test; name another sample or list the device"):
        component.power_uw(papers)


def test_forward_prediction_reaches_what_is_reported(report: ValidationReport) -> None:
    assert len(report.forward) == 15
    inside = sum(device.inside for device in report.forward)
    # Missed: 12 of 15 would be 80 %. A change of the models shows here, for better or worse.
    assert inside == 11
    bounds = {bound.name: bound for bound in report.bounds}
    assert bounds["forward_inside"].met is False
    assert len(bounds["forward_inside"].missed_by) == 4
    assert bounds["forward_width"].met is True
    assert all(device.low_uw <= device.typical_uw <= device.high_uw for device in report.forward)


def test_devices_left_out_have_a_reason(report: ValidationReport) -> None:
    assert len(report.left_out) >= 15
    assert all(len(reason) > 10 for reason in report.left_out.values())
    assert not set(report.left_out) & {device.case for device in report.forward}


def test_power_of_wireless_lfp_chips_is_a_fixed_part_and_one_per_channel(cases: Cases) -> None:
    ratios = {family.case: family.ratios for family in scaling(cases)}
    # A line through two of them meets the third within 10 %; that of the broadband transmitters explains nothing.
    assert all(abs(ratio - 1) <= 0.101 for ratio in ratios["wireless-lfp-chips"].values())
    assert max(abs(ratio - 1) for ratio in ratios["broadband-fsk-devices"].values()) > 0.5


def test_energy_of_an_inference_is_foreseen_within_a_fifth_but_for_one_run(report: ValidationReport) -> None:
    bound = next(bound for bound in report.bounds if bound.name == "energy")
    assert bound.missed_by == ("stmicroelectronics-nucleo-l4r5zi-1-1 ic",)
    boards = [board for board in report.energy if board.accelerator is None and board.ratios]
    assert len(boards) == 17
    assert sum(len(board.ratios) for board in boards) == 66
    # As a median over its runs, every board is within the bound.
    for board in boards:
        middle = sorted(board.ratios.values())[len(board.ratios) // 2]
        assert abs(middle - 1) <= 0.2, board.board


def test_a_held_out_board_is_predicted_from_other_boards_alone(logs: EnergyLogs) -> None:
    name = "stmicroelectronics-nucleo-u575zi-q-1-3"
    board = logs.boards[name]
    doubled = board.model_copy(
        update={
            "runs": {key: run.model_copy(update={"energy_uj": 2 * run.energy_uj}) for key, run in board.runs.items()}
        }
    )
    before = {board.board: board.ratios for board in predict_energy(logs)}
    after = {
        board.board: board.ratios
        for board in predict_energy(logs.model_copy(update={"boards": logs.boards | {name: doubled}}))
    }
    assert after[name] == {key: pytest.approx(ratio / 2) for key, ratio in before[name].items()}


def test_a_linear_regulator_passes_charge_and_a_converter_passes_power(logs: EnergyLogs) -> None:
    def board(supply_v: float, regulator: str, energy_uj: float) -> LoggedBoard:
        run = {"energy_uj": energy_uj, "inferences_per_s": 10.0}
        return LoggedBoard.model_validate(
            {"part": "x", "software": "y", "clock_mhz": 100, "supply_v": supply_v, "regulator": regulator}
            | {"source": "a test", "runs": {"ad": run}}
        )

    for regulator, energies in (("linear", (18.0, 30.0)), ("switching", (18.0, 18.0)), ("core rail", (18.0, 50.0))):
        pair = {"at-1v8": board(1.8, regulator, energies[0]), "at-3v0": board(3.0, regulator, energies[1])}
        for prediction in predict_energy(logs.model_copy(update={"boards": pair})):
            assert prediction.ratios["ad"] == pytest.approx(1.0)


def test_a_board_without_its_supply_is_left_out_and_not_guessed(report: ValidationReport) -> None:
    octoml = next(board for board in report.energy if board.board.startswith("octoml-microtvm-native"))
    assert octoml.ratios == {}
    assert octoml.left_out == "its systems file states neither supply nor regulator"


def test_the_profiles_energy_of_a_cycle_holds_what_was_logged_for_the_part(logs: EnergyLogs) -> None:
    profiled = set(profile_names(ComputePart)) & {board.part for board in logs.boards.values()}
    parts, looked_at = {name: load_profile(ComputePart, name) for name in profiled}, 0
    for board in logs.boards.values():
        if board.part not in parts or _is_another_supply(board):
            continue
        ranges = _ranges(parts[board.part], board.clock_mhz)
        for benchmark in board.runs:
            looked_at += 1
            # Profiles are rounded to whole pJ.
            assert any(q.low - 1 <= board.pj_per_cycle(benchmark) <= q.high + 1 for q in ranges), board.source
    assert looked_at > 60


def _is_another_supply(board: LoggedBoard) -> bool:
    """The STM32L4R5 is profiled at 1.8 V or behind a converter, not with its linear regulator at 3 V."""
    return board.part == "stm32l4r5" and board.regulator == "linear" and board.supply_v == 3.0


def _ranges(part: ComputePart, clock_mhz: float) -> list[Quantity]:
    points = [point for point in part.operating_points.values() if point.clock_mhz.typical == clock_mhz]
    return [part.active_pj_per_cycle, *(point.active_pj_per_cycle for point in points)]


def test_a_report_of_worse_cases_misses_more_bounds(cases: Cases, logs: EnergyLogs) -> None:
    far = {name: _published_at(device, 100 * device.published_uw.typical) for name, device in cases.devices.items()}
    worse = validate_against(cases.model_copy(update={"devices": far}), logs)
    assert next(bound for bound in worse.bounds if bound.name == "forward_inside").reached == 0.0


def _published_at(device: Device, power_uw: float) -> Device:
    published = device.published_uw.model_copy(update={"typical": power_uw})
    return device.model_copy(update={"published_uw": published})


def test_every_number_of_the_cases_has_a_source(cases: Cases) -> None:
    samples = [sample.takes for component in cases.components.values() for sample in component.samples]
    numbers = list(quantities(cases).values()) + samples
    assert len(numbers) > 30
    for quantity in numbers:
        unsourced = "not found in a public source" in quantity.source
        assert unsourced == (quantity.evidence_class == "assumed"), quantity.source
