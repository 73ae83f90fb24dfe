"""Figures of the proof that come out of a run's report."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.report_figures import (
    accuracy_figures,
    exactness_figures,
    implant_figures,
    program_figures,
    time_figures,
    verdict_figures,
)
from edgebci.reporting.schema import Report, StageSection

ROOT = Path(__file__).resolve().parent.parent.parent


def named(figures: tuple[Figure, ...]) -> dict[str, Figure]:
    assert len({figure.name for figure in figures}) == len(figures) > 0
    return {figure.name: figure for figure in figures}


def test_every_form_and_ridge_has_its_accuracy_mean_first_then_axis_by_axis(report: Report) -> None:
    figures = named(accuracy_figures(report))
    headlines = [name for name, figure in figures.items() if figure.headline]
    assert headlines == ["r2_torch", "r2_device_host_twin", "r2_ridge"]
    device = report.form("device (host twin)").regression
    shown = figures["r2_device_host_twin"]
    assert (shown.value, shown.low, shown.high) == (device.r2_mean.value, device.r2_mean.low, device.r2_mean.high)
    assert figures["r2_device_host_twin_y"].value == device.r2[1].value
    assert figures["r_ridge_x"].value == report.baseline.regression.pearson_r[0].value


def test_a_verdict_stands_with_what_it_rests_on(report: Report) -> None:
    figures, against = named(verdict_figures(report)), report.baseline.student_against_ridge
    assert figures["ridge_verdict"].value == str(against.verdict)
    for part in ("margin 0.02", f"{against.n_blocks} blocks", "1 seed,", "power at the margin"):
        assert part in figures["ridge_verdict"].note
    assert figures["ridge_margin"].value == 0.02
    assert figures["int8_difference"].value == report.baseline.device_against_torch.difference.value


def test_what_is_counted_and_what_is_modelled_is_told_apart(report: Report) -> None:
    figures = named((*program_figures(report), *implant_figures(report.implants[:1])))
    counted = {name for name, figure in figures.items() if figure.evidence == "counted"}
    assert {"instructions_per_step", "macs_per_step", "flash_bytes", "ram_bytes"} <= counted
    modelled = {name for name, figure in figures.items() if figure.evidence == "modelled"}
    assert {"cycles_per_step", "cycles_front_end", "utah96_lfp_power", "utah96_lfp_battery"} <= modelled
    assert figures["utah96_lfp_power"].value == 3.5
    assert figures["utah96_lfp_latency"].note == "deadline of 20 ms met"
    assert figures["cycles_per_mac"].value == pytest.approx(3e5 / 78592)


def test_heat_stands_with_its_limit(report: Report) -> None:
    rise = report.implants[0].total_uw.scaled(1e-3)
    warm = report.implants[0].model_copy(update={"temperature_rise_c": rise, "temperature_limit_c": 2.0})
    heat = named(implant_figures((warm,)))["utah96_lfp_heat"]
    assert (heat.value, heat.unit, heat.note) == (rise.typical, "°C", "limit 2 °C")


def test_a_report_that_is_not_bit_exact_gives_no_figure(report: Report) -> None:
    assert exactness_figures(report)[0].value == 2000
    broken = report.bit_exactness.model_copy(update={"host_equals_target": False, "first_difference": "frame 3"})
    with pytest.raises(ValueError, match="frame 3"):
        exactness_figures(report.model_copy(update={"bit_exactness": broken}))


def test_a_resumed_run_takes_the_sum_of_its_stages(report: Report) -> None:
    def stages(was_kept: bool) -> Report:
        made = (
            StageSection(name="features", seconds=40.0, was_kept=was_kept),
            StageSection(name="student", seconds=80.0, was_kept=False),
        )
        return report.model_copy(update={"stages": made})

    assert named(time_figures(stages(was_kept=False), 125.0))["seconds"].value == 125.0
    resumed = named(time_figures(stages(was_kept=True), 82.0))
    assert resumed["seconds"].value == 120.0
    assert "sum of its stages" in resumed["seconds"].note
    assert resumed["seconds_student"].value == 80.0
