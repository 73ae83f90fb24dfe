"""Partitions are compared at equal noise density, and nobody wins without accuracy within the margin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgebci.documents import load_toml
from edgebci.errors import InputError
from edgebci.firmware_sim.power import total_uw
from edgebci.firmware_sim.signal_paths import path_total_uw
from edgebci.firmware_sim.uncertainty import typical
from edgebci.hardware import ComputePart, Implant, load_profile
from edgebci.pipeline.budget.accuracy import (
    Accuracies,
    Contender,
    Measured,
    decide,
    find,
    parse_r2,
    read_accuracies,
)
from edgebci.pipeline.budget.accuracy_sources import read_measured
from edgebci.pipeline.budget.answer import budget, design_of
from edgebci.pipeline.budget.coding import coded_bits, converter_of, measure_coding
from edgebci.pipeline.budget.counts import read_counts
from edgebci.pipeline.budget.cycle_costs import costs_on
from edgebci.pipeline.budget.load import load_by_costs
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.pipeline.budget.partition_paths import Ingredients, paths_for
from edgebci.pipeline.budget.partition_study import PartitionPower, PartitionStudy, compare_partitions

EDGE_STUDENT = Path(__file__).parents[2] / "examples" / "edge_student.toml"
R2 = ("lfp=0.60", "lfp-decoded=0.59", "broadband=0.70")


@pytest.fixture(scope="module")
def study(order: BudgetOrder) -> PartitionStudy:
    measured = [*map(parse_r2, R2), Measured(partition="sbp", r2=0.6, noise_ratio=2.0, source="a test")]
    return compare_partitions(order, measured, channels=(96, 1024), radios=("ble-2m", "ir-uwb"))


def _row(study: PartitionStudy, name: str, n_channels: int = 96, radio: str = "ir-uwb") -> PartitionPower:
    found = [r for r in study.rows if (r.partition, r.n_channels, r.radio) == (name, n_channels, radio)]
    assert len(found) == 1
    return found[0]


def test_decoding_on_the_implant_takes_what_the_budget_says(study: PartitionStudy, order: BudgetOrder) -> None:
    row = _row(study, "lfp-decoded", radio="ble-2m")
    assert row.total is not None
    # 0.5 %: the budget has its core asleep only while it does not run, the comparison always.
    assert row.total.typical == pytest.approx(budget(order).report.total.typical, rel=5e-3)


def test_a_stream_that_the_link_does_not_carry_has_no_power(study: PartitionStudy) -> None:
    assert _row(study, "broadband", radio="ble-2m").carried == "no"
    assert _row(study, "broadband", radio="ble-2m").total is None
    assert _row(study, "broadband", radio="ir-uwb").total is not None


def test_at_equal_noise_density_every_signal_pays_the_same_amplifier(study: PartitionStudy) -> None:
    amplifiers = {row.amplifier_uw for row in study.rows if row.n_channels == 96}
    assert len(amplifiers) == 1
    # The converter is paid by its samples: 30 of broadband to one of LFP.
    assert _row(study, "broadband").converter_uw == pytest.approx(30 * _row(study, "lfp").converter_uw)


def test_noise_twice_as_dense_saves_three_quarters_of_the_amplifier(study: PartitionStudy) -> None:
    row = _row(study, "sbp")
    assert row.total is not None
    assert row.relaxed_total is not None
    implant = load_profile(Implant, "utah96-lfp")
    assert implant.link is not None
    passed = implant.regulator_efficiency.typical * implant.link.rectifier_efficiency.typical
    if implant.link.coil_loss_share is not None:
        passed *= 1 - implant.link.coil_loss_share.typical
    saved = (row.total.typical - row.relaxed_total.typical) * passed
    assert saved == pytest.approx(0.75 * row.amplifier_uw, rel=1e-9)


def test_a_decoder_too_large_for_one_core_takes_several(study: PartitionStudy) -> None:
    assert _row(study, "spikes-decoded", n_channels=1024).cores.typical > 10
    assert _row(study, "lfp-decoded").cores.typical < 1


def test_broadband_within_reach_leaves_others_beyond_the_margin(study: PartitionStudy) -> None:
    wins = {(w.n_channels, w.radio, w.noise): w for w in study.winners}
    assert wins[96, "ir-uwb", "equal density"].winner == "broadband"
    decoded = wins[96, "ble-2m", "equal density"]
    assert (decoded.winner, decoded.against) == ("lfp-decoded", "lfp")
    assert decoded.ratio is not None
    assert 0 < decoded.ratio.p2_5 < decoded.ratio.p97_5 < 1
    # At 1,024 channels BLE carries no stream of LFP: then decoding is not said to win.
    lonely = wins[1024, "ble-2m", "equal density"]
    assert lonely.winner is None
    assert "R2 of at least two partitions" in lonely.reason


def test_without_accuracy_nobody_wins(order: BudgetOrder) -> None:
    study = compare_partitions(order, channels=(96,), radios=("ble-2m",))
    assert [(winner.winner, winner.reason) for winner in study.winners] == [
        (None, "no accuracy was given, and power alone names no winner")
    ]
    assert "no accuracy was given" in study.accuracy


def _json(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_runs_report_says_how_its_streams_and_its_device_decode(order: BudgetOrder, tmp_path: Path) -> None:
    scores = {"torch": 0.53, "ONNX int8": 0.525, "device (host twin)": 0.52}
    forms = [{"name": name, "score": {"r2_mean": {"value": r2}}} for name, r2 in scores.items()]
    data = {"n_channels": 96, "lfp_rate_hz": 1000.0}
    run = {"schema_version": "edgebci.report/1", "data": data, "forms": forms}
    measured = read_measured(_json(tmp_path / "report.json", run))
    assert {one.partition: one.r2 for one in measured} == {
        **dict.fromkeys(("lfp", "lfp-coded", "lfp-input-rate", "lfp-input-rate-coded"), 0.53),
        "lfp-features": 0.525,
        "lfp-decoded": 0.52,
    }
    study = compare_partitions(order, measured, channels=(32, 96), radios=("ble-2m",))
    few, own = study.winners
    assert few.winner is None
    assert own.winner is not None
    assert "from " in study.accuracy
    with pytest.raises(InputError, match="has no score of device"):
        read_measured(_json(tmp_path / "short.json", run | {"forms": forms[:2]}))


def test_a_simulation_gives_what_the_link_loses_and_what_noise_may_grow_to(tmp_path: Path) -> None:
    content = {
        "schema_version": "edgebci.simulation/1",
        "n_channels": 96,
        "rate_hz": 500.0,
        "accuracy": [{"name": "clean", "r2": 0.6}, {"name": "degraded", "r2": 0.5}, {"name": "degraded", "r2": 0.4}],
        "packet_loss": {"policies": [{"r2_lost": 0.05}, {"r2_lost": 0.03}]},
        "front_end": {"amplifier": {"noise_nv_per_rthz": 40.0}},
        "sweeps": [{"name": "noise", "knees": [{"x": 120.0}]}],
    }
    measured = {one.partition: one for one in read_measured(_json(tmp_path / "simulation.json", content))}
    assert measured["lfp-decoded"].r2 == 0.5
    assert measured["lfp-input-rate"].r2 == pytest.approx(0.47)
    assert measured["lfp-decoded"].noise_ratio == 3.0
    assert "lfp" not in measured
    with pytest.raises(InputError, match="has no accuracy of partitions"):
        read_measured(_json(tmp_path / "other.json", {"schema_version": "edgebci.gate/1"}))


def test_decoding_wins_only_against_a_stream_within_the_margin() -> None:
    decoded, far, near = (
        Contender("lfp-decoded", 1.0, 0.60),
        Contender("lfp", 5.0, 0.57),
        Contender("lfp-coded", 4.0, 0.585),
    )
    assert decide([decoded, far]).winner is None
    assert "no streaming partition" in decide([decoded, far]).reason
    assert (decide([decoded, far, near]).winner, decide([decoded, far, near]).against) == ("lfp-decoded", "lfp-coded")
    worse = Contender("lfp-decoded", 1.0, 0.50)
    assert decide([worse, near]).winner == "lfp-coded"
    cheaper = Contender("lfp-features", 0.5, 0.59)
    assert decide([decoded, near, cheaper]).winner == "lfp-features"


def test_accuracy_of_another_number_of_channels_is_not_taken(tmp_path: Path) -> None:
    file = tmp_path / "accuracy.toml"
    rows = '[[partitions]]\npartition = "lfp"\nr2 = 0.6\nn_channels = 96\nsource = "a test"\n'
    file.write_text(f'schema = "edgebci.partition_accuracy/1"\n{rows}')
    measured = read_accuracies(file)
    assert load_toml(file, Accuracies).partitions == measured
    assert find(measured, "lfp", 96) is not None
    assert find(measured, "lfp", 1024) is None


def test_accuracies_are_read_or_refused() -> None:
    with pytest.raises(InputError, match=r"write it as lfp-decoded=0\.61"):
        parse_r2("lfp")
    with pytest.raises(InputError, match="no partition 'lfp-decode'; did you mean 'lfp-decoded'"):
        parse_r2("lfp-decode=0.6")
    with pytest.raises(InputError, match=r"the R2 of lfp is '1\.5'"):
        parse_r2("lfp=1.5")


def test_coding_is_measured_on_data_and_only_at_the_rate_of_a_stream(lfp_recording: Path) -> None:
    counts, implant = read_counts(EDGE_STUDENT), load_profile(Implant, "utah96-lfp")
    found = measure_coding([lfp_recording], implant, counts)
    assert {one.signal for one in found} == {"lfp", "lfp-input-rate"}
    assert converter_of(implant).bits == 12
    # Slow noise of 60 uV in steps of 2.44 uV: neighbours differ by little, and 12 bits are more than they need.
    assert 1.0 < coded_bits(found)["lfp"] < 8.0
    slow = counts.model_copy(update={"rate_hz": 500.0})
    assert {one.signal for one in measure_coding([lfp_recording], implant, slow)} == {"lfp"}


def test_paths_that_are_coded_need_data() -> None:
    counts = read_counts(EDGE_STUDENT)
    costs = costs_on("cortex-m33")
    assert not [p for p in paths_for(96, Ingredients(counts, costs, {})) if p.sends == "coded"]
    coded = [p for p in paths_for(96, Ingredients(counts, costs, {"lfp": 5.0})) if p.sends == "coded"]
    assert [path.name for path in coded] == ["lfp-coded"]


def test_the_power_of_a_path_holds_the_same_supply_as_a_design(order: BudgetOrder) -> None:
    counts, costs = read_counts(EDGE_STUDENT), costs_on("cortex-m33")
    load = load_by_costs(counts, load_profile(ComputePart, "stm32u385"), costs)
    design = design_of(load, order)
    path = next(p for p in paths_for(96, Ingredients(counts, costs, {})) if p.name == "lfp-decoded")
    assert path_total_uw(design, path, typical) == pytest.approx(total_uw(design, typical), rel=5e-3)


def test_a_recording_slower_than_the_implant_is_refused(slow_recording: Path) -> None:
    implant = load_profile(Implant, "utah96-lfp")
    with pytest.raises(InputError, match="has 250 samples a second, slower than the implant's streams; give"):
        measure_coding([slow_recording], implant, read_counts(EDGE_STUDENT))
