"""Figures out of a run's report."""

from __future__ import annotations

from edgebci.comparison import Comparison, Interval
from edgebci.pipeline.proof.claim import timed
from edgebci.pipeline.proof.figure import R2, Evidence, Figure, slug
from edgebci.reporting.schema import FirmwareSection, ImplantSection, Report, Span


def accuracy_figures(report: Report) -> tuple[Figure, ...]:
    """R² of each form and of ridge, mean over axes, then R² and r of each axis."""
    scores = [(form.name, form.regression) for form in report.forms] + [("ridge", report.baseline.regression)]
    found = [_interval(f"r2_{slug(name)}", f"R² of {name}", score.r2_mean, R2) for name, score in scores]
    found[0] = found[0].model_copy(update={"note": _test_text(report)})
    for name, score in scores:
        for axis, r2, r in zip(report.data.axes, score.r2, score.pearson_r, strict=True):
            of = f"{slug(name)}_{slug(axis)}"
            found.append(_interval(f"r2_{of}", f"R² of {name}, {axis}", r2, R2, headline=False))
            found.append(_interval(f"r_{of}", f"r of {name}, {axis}", r, "r", headline=False))
    return tuple(found)


def verdict_figures(report: Report) -> tuple[Figure, ...]:
    """Student against ridge, and device against torch: difference, verdict, and what the verdict rests on."""
    student, device = report.baseline.student_against_ridge, report.baseline.device_against_torch
    return (
        *_comparison("ridge", "student against ridge", student),
        *_comparison("int8", "device against torch (what int8 costs)", device),
    )


def exactness_figures(report: Report) -> tuple[Figure, ...]:
    """Over how many frames reference, host and core gave the same bits."""
    exact = report.bit_exactness
    if not (exact.reference_equals_host and exact.host_equals_target):
        raise ValueError(f"a run was reported that is not bit-exact: {exact.first_difference}")
    label = f"frames on which NumPy reference, host twin and emulated {report.firmware.core} are equal bit for bit"
    return (Figure(name="bit_exact_frames", label=label, value=exact.n_frames, evidence="counted"),)


def program_figures(report: Report) -> tuple[Figure, ...]:
    """What the device program costs, and how large the decoders are."""
    decoder = report.decoder
    return (
        *cost_figures(report.firmware, decoder.macs_per_step),
        _counted("weight_bytes", "weights", decoder.weight_bytes, headline=False),
        _counted("state_bytes", "state of one stream", decoder.state_bytes, headline=False),
        _counted("parameters", "parameters of the student", decoder.n_parameters, "", headline=False),
        _counted("teacher_parameters", "parameters of the teacher", decoder.teacher_parameters, "", headline=False),
    )


def cost_figures(firmware: FirmwareSection, macs_per_step: int) -> tuple[Figure, ...]:
    """What a device program costs, per step and in memory."""
    of_decoder, of_front_end = firmware.decoder_cycles_per_step, firmware.front_end_cycles_per_step

    def modelled(name: str, label: str, value: float, headline: bool = True) -> Figure:
        return Figure(name=name, label=label, value=value, unit="cycles", evidence="modelled", headline=headline)

    return (
        _counted("macs_per_step", "multiply-accumulates per step", macs_per_step, ""),
        _counted("instructions_per_step", "instructions per step", round(firmware.instructions_per_step), ""),
        _span("cycles_per_step", "cycles per step, at zero wait states", firmware.cycles_per_step, "cycles"),
        modelled("cycles_front_end", "of them the front end", of_front_end),
        modelled("cycles_decoder", "of them the decoder", of_decoder),
        modelled("cycles_per_mac", "cycles per multiply-accumulate of the decoder", of_decoder / macs_per_step),
        modelled("cycles_worst_step", "cycles of the worst step", firmware.worst_step_cycles, headline=False),
        _counted("flash_bytes", "flash", firmware.flash_bytes),
        _counted("ram_bytes", "RAM, stack included", firmware.ram_bytes),
    )


def implant_figures(implants: tuple[ImplantSection, ...]) -> tuple[Figure, ...]:
    """Power, link, latency, and battery life or heat in each implant."""
    return tuple(figure for implant in implants for figure in _implant(implant))


def time_figures(report: Report, elapsed_s: float) -> tuple[Figure, ...]:
    """Seconds of the run and of each stage; a run that was interrupted is the sum of its stages."""
    resumed = any(stage.was_kept for stage in report.stages)
    whole_s = sum(stage.seconds for stage in report.stages) if resumed else elapsed_s
    stages = (
        timed(f"seconds_{stage.name}", f"stage {stage.name}", [stage.seconds], headline=False)
        for stage in report.stages
    )
    return (timed("seconds", "the whole run", [whole_s], "sum of its stages" if resumed else ""), *stages)


def _test_text(report: Report) -> str:
    data = report.data
    return f"{data.n_scored_frames:,} test frames, {len(data.axes)} ax{'i' if len(data.axes) == 1 else 'e'}s"


def _comparison(prefix: str, label: str, result: Comparison) -> tuple[Figure, ...]:
    rests_on = f"margin {result.margin:g}, {result.n_blocks} blocks of {result.block_s:.1f} s, {result.n_seeds} seed"
    rests_on += f"{'s' if result.n_seeds > 1 else ''}, power at the margin {result.power_at_margin:.2f}"

    def detail(name: str, text: str, value: float, unit: str, evidence: Evidence = "measured") -> Figure:
        label_of = f"{label}: {text}"
        return Figure(
            name=f"{prefix}_{name}", label=label_of, value=value, unit=unit, evidence=evidence, headline=False
        )

    return (
        _interval(f"{prefix}_difference", f"{label}: difference in R²", result.difference, R2),
        Figure(
            name=f"{prefix}_verdict",
            label=f"{label}: verdict",
            value=str(result.verdict),
            evidence="measured",
            note=rests_on,
        ),
        detail("margin", "margin, fixed beforehand", result.margin, R2),
        detail("standard_error", "standard error", result.standard_error, R2),
        detail("power", "power at the margin", result.power_at_margin, "r"),
        detail("block_s", "length of a block", result.block_s, "s"),
        detail("blocks", "blocks", result.n_blocks, "", "counted"),
        detail("seeds", "trained seeds", result.n_seeds, "", "counted"),
    )


def _implant(implant: ImplantSection) -> list[Figure]:
    name, where = slug(implant.implant), f"{implant.implant} with {implant.compute} and {implant.radio}"
    deadline = {"yes": "met", "no": "missed", "depends": "perhaps missed"}[implant.meets_deadline]
    found = [
        _span(f"{name}_power", f"{where}: power", implant.total_uw.scaled(1e-3), "mW"),
        _span(f"{name}_latency", f"{where}: worst step", implant.latency_us.scaled(1e-3), "ms").model_copy(
            update={"note": f"deadline of {implant.deadline_us / 1e3:g} ms {deadline}"}
        ),
        _span(f"{name}_radio", f"{where}: on the air", implant.radio_bit_s, "bit/s").model_copy(
            update={"headline": False}
        ),
    ]
    if implant.battery_h is not None:
        found.append(_span(f"{name}_battery", f"{where}: battery life", implant.battery_h, "h"))
    if implant.temperature_rise_c is not None:
        heat = _span(f"{name}_heat", f"{where}: tissue warmer by", implant.temperature_rise_c, "°C")
        limit_c = implant.temperature_limit_c
        found.append(heat.model_copy(update={"note": f"limit {limit_c:g} °C" if limit_c is not None else ""}))
    return found


def _interval(name: str, label: str, interval: Interval, unit: str, headline: bool = True) -> Figure:
    return Figure(
        name=name,
        label=label,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        unit=unit,
        evidence="measured",
        headline=headline,
    )


def _span(name: str, label: str, span: Span, unit: str) -> Figure:
    return Figure(
        name=name, label=label, value=span.typical, low=span.low, high=span.high, unit=unit, evidence="modelled"
    )


def _counted(name: str, label: str, value: int, unit: str = "bytes", headline: bool = True) -> Figure:
    return Figure(name=name, label=label, value=value, unit=unit, evidence="counted", headline=headline)
