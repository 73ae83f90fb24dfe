"""`edgebci budget --against`: one decoder in several implants, which must all cover as much of a device."""

from __future__ import annotations

from collections.abc import Sequence

from edgebci.documents import Document
from edgebci.hardware import Implant, compare_scopes, load_profile
from edgebci.pipeline.budget.answer import budget
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.pipeline.budget.report import BudgetReport


class SideBySide(Document):
    """The same decoder, chip and radio in each implant, in the order in which they were given."""

    scope: str
    budgets: tuple[BudgetReport, ...]


def side_by_side(order: BudgetOrder, others: Sequence[str]) -> SideBySide:
    """Budget the order's implant and the others.

    Raises:
        InputError: the scope of one is unlike the first's; or as `budget` for any of them.
    """
    first = load_profile(Implant, order.implant)
    for name in others:
        compare_scopes(first, load_profile(Implant, name))
    orders = [order.model_copy(update={"implant": name}) for name in (order.implant, *others)]
    return SideBySide(scope=first.scope, budgets=tuple(budget(one) for one in orders))
