"""`edgebci budget --html`: one page, offline, on which a designer moves sliders and sees power, heat and fit."""

from __future__ import annotations

from pathlib import Path

from edgebci.files import write_text
from edgebci.hardware import ComputePart, Radio, load_profile, profile_names
from edgebci.pipeline.budget.answer import budget, parts_of
from edgebci.pipeline.budget.cycle_costs import costs_on
from edgebci.pipeline.budget.load import counts_for, load_by_costs
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.pipeline.budget.page_model import script
from edgebci.pipeline.budget.sliders import Reach
from edgebci.reporting.page import drawing, page_text


def reach_of(order: BudgetOrder) -> Reach:
    """What the sliders of a page for that order start from; raises InputError as `budget`."""
    compute = load_profile(ComputePart, order.compute)
    counts, costs = counts_for(order), costs_on(compute.core)
    design = parts_of(order, load_by_costs(counts, compute, costs))
    radios = {name: load_profile(Radio, name) for name in profile_names(Radio)}
    return Reach(design, counts, costs, radios | {design.radio.name: design.radio})


def write_page(order: BudgetOrder, path: Path) -> None:
    """Write the page.

    Raises:
        InputError: as `budget`, or the folder cannot be written.
    """
    answered, reach = budget(order), reach_of(order)
    text = page_text(
        "budget.html.j2",
        report=answered.report,
        decoder=answered.decoder,
        cycles_from=answered.cycles_from,
        macs=reach.counts.macs,
        first_macs=reach.counts.input_macs,
        n_channels=reach.counts.n_channels,
        script=drawing(script(reach)),
    )
    write_text(path, text)
