"""`edgebci budget --against`: one decoder in several implants of like scope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebci.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from edgebci.pipeline.budget.order import BudgetOrder
    from edgebci.pipeline.budget.report import BudgetReport


def against_and_print(order: BudgetOrder, others: Sequence[str], json: bool) -> None:
    """Budget each implant and print one row for each."""
    from edgebci.pipeline.budget.side_by_side import side_by_side

    found = side_by_side(order, others)
    if json:
        print_json(found)
        return
    for one in found.budgets:
        assumed = ", ".join(a.name for a in one.report.assumed_inputs) or "nothing"
        print_rows(f"assumed for {one.report.implant}", [("no public source", assumed)])
    print_rows(
        f"{found.budgets[0].decoder}, implants of scope {found.scope}, modelled", [_row(b) for b in found.budgets]
    )


def _row(one: BudgetReport) -> tuple[str, str]:
    total, spread = one.report.total, one.total_mw
    limits = "; ".join(f"{c.name}{f' of {c.where}' if c.where else ''} {c.kept}" for c in one.limits)
    return (
        one.report.implant,
        f"{total.typical / 1e3:.3g} ({total.low / 1e3:.3g} to {total.high / 1e3:.3g}) mW, 95 % of draws "
        f"{spread.p2_5:.3g} to {spread.p97_5:.3g}; fits: {one.fits} ({limits})",
    )
