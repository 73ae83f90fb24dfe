"""What must hold for every load and every shipped part: order of the ends, bounds, and more work never costs less."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebci.firmware_sim.battery import design_runtime_h
from edgebci.firmware_sim.design import DecoderLoad, Design, Work, assemble
from edgebci.firmware_sim.implant import DesignFormula
from edgebci.firmware_sim.latency import step_ms
from edgebci.firmware_sim.power import POWER, duty, total_uw
from edgebci.firmware_sim.radio import on_air_bits_per_s, packets_per_s, utilization
from edgebci.firmware_sim.thermal import rise_c
from edgebci.firmware_sim.uncertainty import estimate, typical
from edgebci.hardware import ComputePart, HeatSource, Implant, Radio, load_profile, profile_names
from edgebci.quantity import Quantity

IMPLANTS = {name: load_profile(Implant, name) for name in profile_names(Implant)}
PARTS = {name: load_profile(ComputePart, name) for name in profile_names(ComputePart)}
RADIOS = {name: load_profile(Radio, name) for name in profile_names(Radio)}
# Rounding of sums of a few terms, far above it and far below any effect that matters.
TINY = 1e-9


def _formulas(design: Design) -> dict[str, DesignFormula]:
    formulas: dict[str, DesignFormula] = {str(part): formula for part, formula in POWER.items()}
    formulas |= {"total": total_uw, "duty": duty, "step": step_ms, "utilization": utilization}
    formulas |= {"on air": on_air_bits_per_s, "packets": packets_per_s}
    for name, source in design.implant.heat_sources.items():
        formulas[f"rise of {name}"] = _rise_of(source)
    if (battery := design.implant.battery) is not None:
        formulas["runtime"] = lambda d, pick: design_runtime_h(d, battery, pick)
    return formulas


def _rise_of(source: HeatSource) -> DesignFormula:
    return lambda design, pick: rise_c(design, source, pick)


@st.composite
def designs(draw: st.DrawFn) -> Design:
    implant = IMPLANTS[draw(st.sampled_from(sorted(IMPLANTS)))]
    compute = PARTS[draw(st.sampled_from(sorted(PARTS)))]
    radio = RADIOS[draw(st.sampled_from(sorted(RADIOS)))]
    cycles = draw(st.floats(0, 2e7))
    load = DecoderLoad(
        core=compute.core,
        cycles_per_frame=cycles,
        worst_cycles_per_frame=cycles * draw(st.floats(1, 2)),
        front_end_cycles_per_frame=cycles * draw(st.floats(0, 1)),
        frame_rate_hz=draw(st.floats(1, 1000)),
        n_channels=draw(st.integers(1, int(implant.front_end.channels.typical))),
        rate_hz=draw(st.floats(1, implant.front_end.max_rate_hz.typical)),
        flash_bytes=0,
        ram_bytes=0,
        feature_bits_per_frame=draw(st.integers(0, 10**6)),
        output_bits_per_frame=draw(st.integers(1, 10**6)),
    )
    return assemble(implant, compute, radio, load)


@settings(max_examples=150)
@given(designs(), st.integers(0, 2**32))
def test_every_result_is_ordered_and_holds_every_value_inside_the_ranges(design: Design, seed: int) -> None:
    names = design.input_names()
    random = Random(seed)
    inside = {key: random.random() for key in sorted(names, key=names.__getitem__)}

    def somewhere(quantity: Quantity) -> float:
        return quantity.low + inside[id(quantity)] * (quantity.high - quantity.low)

    for name, formula in _formulas(design).items():
        result = estimate(partial(formula, design), "1", names)
        slack = TINY * abs(result.high)
        assert result.low <= result.typical + slack, name
        assert result.typical <= result.high + slack, name
        assert result.low - slack <= formula(design, somewhere) <= result.high + slack, name


@settings(max_examples=150)
@given(designs(), st.floats(0, 1e7), st.integers(0, 10**5), st.sampled_from(["low", "typical", "high"]))
def test_more_cycles_or_bits_never_take_less_power(design: Design, cycles: float, bits: int, end: str) -> None:
    work = design.work
    harder = design.doing(Work(work.cycles_per_frame + cycles, work.payload_bits_per_frame + bits))

    def pick(quantity: Quantity) -> float:
        return float(getattr(quantity, end))

    for part in (*POWER.values(), total_uw):
        before, after = part(design, pick), part(harder, pick)
        assert after >= before * (1 - TINY) - TINY


@settings(max_examples=100)
@given(designs(), st.floats(0, 1e9))
def test_a_core_never_runs_more_than_all_the_time(design: Design, cycles: float) -> None:
    busy = design.doing(Work(cycles, 1))
    compute = design.compute
    assert 0.0 <= duty(busy, typical) <= 1.0
    always_uw = compute.clock_mhz.typical * compute.active_pj_per_cycle.typical
    assert compute.sleep_uw.typical <= POWER["compute"](busy, typical) * (1 + TINY)
    assert POWER["compute"](busy, typical) <= always_uw * (1 + TINY)


@settings(max_examples=50)
@given(designs(), st.floats(1.01, 10))
def test_a_longer_worst_step_takes_longer_and_changes_no_power(design: Design, factor: float) -> None:
    worst = design.load.worst_cycles_per_frame * factor
    slower = Design(
        design.implant,
        design.compute,
        design.radio,
        design.tissues,
        design.load.model_copy(update={"worst_cycles_per_frame": worst}),
        design.work,
    )
    assert step_ms(slower, typical) == pytest.approx(step_ms(design, typical) * factor)
    assert total_uw(slower, typical) == total_uw(design, typical)
