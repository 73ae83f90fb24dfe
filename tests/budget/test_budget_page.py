"""The page's JavaScript and Python's budget give the same figures: both come from one definition."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from edgebci.errors import VerificationError
from edgebci.firmware_sim.expressions import (
    ceiling,
    javascript,
    least,
    node_of,
    power_of_two,
    root,
    value,
    variable,
)
from edgebci.pipeline.budget.answer import budget
from edgebci.pipeline.budget.order import SENT, BudgetOrder
from edgebci.pipeline.budget.page import reach_of, write_page
from edgebci.pipeline.budget.page_model import estimate_at, figures, names_of, results, script, trace
from edgebci.pipeline.budget.sliders import Reach, Setting

# What IEEE arithmetic and Math.pow may differ by, with room; the issue's own bound.
AGREE = 1e-9


@pytest.fixture(scope="module")
def reach(order: BudgetOrder) -> Reach:
    return reach_of(order)


def _settings(reach: Reach) -> list[Setting]:
    draw = random.Random(7)
    radios = sorted(reach.radios)
    return [
        Setting(
            n_channels=draw.choice([1, 32, 96, 333, 10_000]),
            rate_hz=draw.choice([100.0, 1000.0, 1730.5, 30_000.0]),
            bits=draw.choice([6.0, 10.5, 12.0, 16.0]),
            size=draw.choice([0.1, 1.0, 3.7, 10.0]),
            radio=radios[k % len(radios)],
            sent=SENT[k % len(SENT)],
        )
        for k in range(30)
    ]


def test_the_pages_javascript_agrees_with_python(reach: Reach) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the page's JavaScript was not run, only its trees (see the test below)")
    settings = _settings(reach)
    asked = json.dumps([vars(setting) for setting in settings])
    program = f"{script(reach)}\nconsole.log(JSON.stringify({asked}.map(evaluate)));"
    said = json.loads(subprocess.run([node, "-"], input=program, capture_output=True, text=True, check=True).stdout)
    shown = results(reach)
    for setting, page in zip(settings, said, strict=True):
        own = estimate_at(reach, shown, setting)
        assert set(page) == set(own)
        for name, one in own.items():
            assert page[name] == pytest.approx([one.low, one.typical, one.high], rel=AGREE, abs=1e-12), (name, setting)


def test_the_trees_agree_with_python_at_every_setting(reach: Reach) -> None:
    shown = results(reach)
    names = names_of(reach.design, shown)
    for setting in _settings(reach)[:6]:
        own = estimate_at(reach, shown, setting)
        figured = {name: typical for name, (_, typical, _) in figures(shown, reach)[setting.radio].items()}
        slid = {name: getattr(setting, name) for name in ("n_channels", "rate_hz", "bits", "size")}
        for one in shown:
            traced = trace(reach, one, setting.sent, names)
            assert value(traced.node, figured | slid) == pytest.approx(own[one.name].typical, rel=AGREE)


def test_where_the_sliders_start_the_page_says_what_the_budget_says(reach: Reach, order: BudgetOrder) -> None:
    shown = results(reach)
    own = reach.counts
    bits = reach.design.implant.front_end.bits.typical
    at_start = estimate_at(reach, shown, Setting(own.n_channels, own.rate_hz, bits, 1.0, order.radio, "decoded"))
    answered = budget(order)
    assert at_start["total power"].typical == pytest.approx(answered.report.total.typical, rel=AGREE)
    assert at_start["total power"].high == pytest.approx(answered.report.total.high, rel=AGREE)
    rise = next(check.result for check in answered.limits if check.name == "temperature_rise_c")
    assert at_start["rise at array"].high == pytest.approx(rise.high, rel=AGREE)


def test_the_page_needs_no_network_and_shows_assumed_numbers_first(order: BudgetOrder, tmp_path: Path) -> None:
    write_page(order, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<link" not in page
    assert "src=" not in page
    assert "fetch(" not in page
    assert page.index("Assumed") < page.index('id="power"')
    assert "implant.standing_uw" in page


def test_functions_keep_the_tree_and_what_forgets_it_is_refused() -> None:
    x = variable("x")
    tree = node_of(least(3.0, ceiling(x / 2) + root(x) - 1.0 * power_of_two(x)))
    assert value(tree, {"x": 4.0}) == min(3.0, 2 + 2 - 16)
    assert javascript(node_of(1.5 - x)) == '(1.5 - v["x"])'
    with pytest.raises(VerificationError, match="write it with `least`"):
        min(x, 1.0)
    with pytest.raises(VerificationError, match="of an expression"):
        node_of(math.sqrt(x))
