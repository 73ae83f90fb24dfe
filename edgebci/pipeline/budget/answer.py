"""`edgebci budget`: from profiles and counts to power, heat, latency and whether it fits. Nothing is emulated.

budget(order) -> BudgetReport            budget_of(load, order, ...) -> BudgetReport for a load known otherwise
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgebci.errors import InputError
from edgebci.firmware_sim.battery import design_runtime_h, droop_v, peak_uw, recharge_h
from edgebci.firmware_sim.design import DecoderLoad, Design, Work, assemble, unchecked
from edgebci.firmware_sim.heat.report import heat_by_location
from edgebci.firmware_sim.implant import place_design
from edgebci.firmware_sim.limits import bounds, overall
from edgebci.firmware_sim.monte_carlo import spread
from edgebci.firmware_sim.power import total_uw
from edgebci.firmware_sim.radio import payload_bits_per_s
from edgebci.firmware_sim.radio_link_findings import link_findings
from edgebci.firmware_sim.states import STATES
from edgebci.firmware_sim.supply import efficiency
from edgebci.firmware_sim.uncertainty import Estimate, Pick, estimate
from edgebci.hardware import Battery, ComputePart, Implant, Radio, at_clock, load_profile
from edgebci.pipeline.budget.boards import board_steps
from edgebci.pipeline.budget.load import Loaded, load_of
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.pipeline.budget.report import BudgetReport, StatePower, SupplyReport

Formula = Callable[[Design, Pick], float]


def budget(order: BudgetOrder) -> BudgetReport:
    """Answer a question from counts and profiles, in about a second.

    Raises:
        InputError: no such profile or decoder, too few channels, too low a rate, a clock that the chip does not have,
            a core whose cycles are not known, a radio slower than the data. CapacityError: flash or RAM too small.
    """
    compute = load_profile(ComputePart, order.compute)
    loaded = load_of(order, compute)
    return budget_of(loaded.load, order, loaded)


def budget_of(load: DecoderLoad, order: BudgetOrder, loaded: Loaded | None = None) -> BudgetReport:
    """Answer for a load that is known otherwise, for example from an emulated run; raises as `budget`."""
    design = design_of(load, order)
    kept = bounds(design, {one.name: one.value for one in order.limits}, order.years)
    checks = tuple(bound.check(design) for bound in kept)
    return BudgetReport(
        report=place_design(design),
        decoder=loaded.decoder if loaded else "given",
        cycles_from=loaded.cycles_from if loaded else "given",
        counts=loaded.counts if loaded else None,
        sent=order.sent,
        clock_mhz=design.compute.clock_mhz.typical,
        fits=overall(checks),
        limits=checks,
        states=_states(design),
        supply=_supply(design, order.years),
        link=link_findings(design),
        total_mw=spread(lambda pick: total_uw(design, pick) * 1e-3, "mW"),
        rise_c={
            bound.where: spread(partial(bound.formula, design), "C")
            for bound in kept
            if bound.name == "temperature_rise_c"
        },
        heat=heat_by_location(design),
        boards=board_steps(order, loaded.counts) if loaded else (),
    )


def design_of(load: DecoderLoad, order: BudgetOrder) -> Design:
    """Put a load into the implant that was asked for, sending what was asked for; raises as `budget`."""
    implant, compute, radio = _profiles(order)
    design = assemble(implant, compute, radio, load)
    design = design.doing(work_of(design, order))
    require_radio(design)
    return design


def parts_of(order: BudgetOrder, load: DecoderLoad) -> Design:
    """The same for a load that may be larger than the implant or the link."""
    implant, compute, radio = _profiles(order)
    return unchecked(implant, compute, radio, load)


def _profiles(order: BudgetOrder) -> tuple[Implant, ComputePart, Radio]:
    compute = load_profile(ComputePart, order.compute)
    if order.clock_mhz is not None:
        compute = at_clock(compute, order.clock_mhz)
    return load_profile(Implant, order.implant), compute, load_profile(Radio, order.radio)


def work_of(design: Design, order: BudgetOrder) -> Work:
    """Cycles and bits of one frame, by what leaves the implant."""
    load = design.load
    if order.sent == "decoded":
        return Work(load.cycles_per_frame, load.output_bits_per_frame)
    if order.sent == "features":
        return Work(load.front_end_cycles_per_frame, load.feature_bits_per_frame)
    samples = load.n_channels * load.rate_hz / load.frame_rate_hz
    return Work(0.0, samples * design.implant.front_end.bits.typical)


def require_radio(design: Design) -> None:
    """Refuse a link that carries less than is sent even at its best; raises InputError."""
    wanted, carried = payload_bits_per_s(design), design.radio.payload_bits_per_s.high
    if wanted > carried:
        raise InputError(
            f"{design.radio.name} carries at most {carried:,.0f} bit/s, the implant would send {wanted:,.0f}; "
            "choose a faster radio, or fewer channels, bits or samples, or send features or what is decoded"
        )


def _over(design: Design, formula: Formula, unit: str) -> Estimate:
    return estimate(lambda pick: formula(design, pick), unit, design.input_names())


def _states(design: Design) -> tuple[StatePower, ...]:
    return tuple(
        StatePower(part=part, state=state, power=_over(design, formula, "uW"))
        for (part, state), formula in STATES.items()
    )


def _supply(design: Design, years: float) -> SupplyReport:
    shared, battery, link = _over(design, efficiency, "1"), design.implant.battery, design.implant.link
    if battery is not None:
        return _battery(design, battery, shared, years)
    received = link.received_mw if link else None
    most = None if received is None else _over(design, lambda _, pick: pick(received), "mW")
    return SupplyReport(efficiency=shared, received_mw=most)


def _battery(design: Design, battery: Battery, shared: Estimate, years: float) -> SupplyReport:
    charge, transmit = battery.charge_mw, design.radio.transmit_uw
    nominal, resistance = battery.nominal_v, battery.internal_resistance_ohm
    peak = lowest = None
    if transmit is not None:
        peak = _over(design, lambda d, pick: peak_uw(d, transmit, pick) * 1e-3, "mW")
        if nominal is not None and resistance is not None:
            lowest = _over(
                design,
                lambda d, pick: pick(nominal) - droop_v(peak_uw(d, transmit, pick), nominal, resistance, pick),
                "V",
            )
    return SupplyReport(
        efficiency=shared,
        battery_h=_over(design, lambda d, pick: design_runtime_h(d, battery, pick, years), "h"),
        recharge_h=None if charge is None else _over(design, lambda _, p: recharge_h(battery, charge, p, years), "h"),
        peak_mw=peak,
        lowest_v=lowest,
        cutoff_v=battery.cutoff_v.typical if battery.cutoff_v else None,
    )
