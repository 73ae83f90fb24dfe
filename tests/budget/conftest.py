"""What the tests of budgets share: the order of the reference decoder, and its answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.pipeline.budget.answer import budget
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.pipeline.budget.report import BudgetReport

EDGE_STUDENT = Path(__file__).parents[2] / "examples" / "edge_student.toml"


@pytest.fixture(scope="session")
def order() -> BudgetOrder:
    return BudgetOrder(implant="utah96-lfp", compute="stm32u385", radio="ble-2m", decoder=EDGE_STUDENT)


@pytest.fixture(scope="session")
def answered(order: BudgetOrder) -> BudgetReport:
    return budget(order)
