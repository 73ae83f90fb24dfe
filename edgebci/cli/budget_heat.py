"""Rows of `edgebci budget` about heat by location, and about boards outside of the body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgebci.firmware_sim.board_estimate import BoardStep
    from edgebci.firmware_sim.heat.report import SourceHeat
    from edgebci.firmware_sim.uncertainty import Estimate

Rows = list[tuple[str, str]]


def heat_rows(sources: Sequence[SourceHeat]) -> Rows:
    """Each body of the implant, and the layers around it from the outermost inwards."""
    rows: Rows = []
    for one in sources:
        rows.append((f"{one.source}, {one.location}", f"{_span(one.power_mw)}, {_span(one.flux_mw_per_cm2)}"))
        rows += [
            (f"  {layer.layer}", f"{_span(layer.rise_c)}, limit {layer.limit_c:g} C: {layer.within_limit}")
            for layer in one.layers
        ]
        rows.append(("  allowed", f"{one.allowed_mw:.3g} mW at the worst corner, by {one.binding_layer}"))
        rows += [*_published(one), *_recharge(one)]
    return rows


def _published(one: SourceHeat) -> Rows:
    found = one.published
    if found is None:
        return []
    said = (
        f"{found.published_c_per_mw:g} C/mW, {found.published_over_modelled:.2f} times the modelled "
        f"{found.modelled_c_per_mw:.3g}. {found.differs}"
    )
    return [("  published", said)]


def _recharge(one: SourceHeat) -> Rows:
    found = one.recharge
    if found is None:
        return []
    said = (
        f"{found.charging_c:.3g} C after {found.hours:.3g} h with {found.lost_mw:.3g} mW lost in the charger, "
        f"{found.working_c:.3g} C before; limit {found.limit_c:g} C; typical inputs"
    )
    return [("  recharging", said)]


def board_rows(steps: Sequence[BoardStep]) -> Rows:
    """A step in each power mode; an estimate says that it is none to be judged by."""
    return [
        (
            f"{one.board}, {one.mode}",
            f"{_span(one.step_us)}, {one.basis}{', not judged' if one.basis == 'estimate' else ''}; {one.says}",
        )
        for one in steps
    ]


def _span(one: Estimate) -> str:
    return f"{one.typical:.3g} ({one.low:.3g} to {one.high:.3g}) {one.unit}"
