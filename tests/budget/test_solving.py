"""The largest design keeps every limit at the worst corner, one larger does not, and the binding limit is named."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from edgebci.errors import InputError
from edgebci.hardware import ComputePart, load_profile
from edgebci.pipeline.budget.answer import budget
from edgebci.pipeline.budget.counts import read_counts
from edgebci.pipeline.budget.order import BudgetOrder
from edgebci.pipeline.budget.solving import parse_unknown, solve


def _asked(order: BudgetOrder, rise_c: float = 1.0, **changes: Any) -> BudgetOrder:
    limits = [{"name": "temperature_rise_c", "value": rise_c}]
    return BudgetOrder.model_validate(order.model_dump() | {"limits": limits} | changes)


def _fits(order: BudgetOrder, n_channels: int) -> str:
    assert order.decoder is not None
    counts = read_counts(order.decoder).with_channels(n_channels)
    return budget(
        BudgetOrder.model_validate(order.model_dump() | {"decoder": None, "counts": counts.model_dump()})
    ).fits


def test_one_channel_more_than_the_largest_does_not_surely_fit(order: BudgetOrder) -> None:
    asked = _asked(order, 1.4)
    found = solve(asked, "channels")
    assert found.largest is not None
    assert _fits(asked, int(found.largest)) == "yes"
    assert _fits(asked, int(found.largest) + 1) == "depends"
    assert all(check.kept == "yes" for check in found.checks)


def test_the_smallest_answer_binds_and_the_second_is_next(order: BudgetOrder) -> None:
    found = solve(_asked(order, 4.0), "channels")
    ordered = sorted(one.largest for one in found.limits if one.largest is not None)
    assert (found.largest, found.next_largest) == (ordered[0], ordered[1])
    assert found.binding is not None
    assert found.next is not None
    assert found.binding != found.next


def test_a_looser_limit_allows_more_until_another_binds(order: BudgetOrder) -> None:
    found = [solve(_asked(order, rise_c), "channels") for rise_c in (2.0, 4.0, 1000.0)]
    sizes = [one.largest for one in found]
    assert None not in sizes
    assert sizes == sorted(sizes)  # type: ignore[type-var]
    assert found[0].binding == "temperature_rise_c of array"
    assert found[2].binding != "temperature_rise_c of array"
    assert found[2].beyond_own


def test_bits_stop_where_the_link_does_when_samples_are_sent(order: BudgetOrder) -> None:
    found = solve(_asked(order, 1000.0, sent="samples"), "bits")
    link = next(one for one in found.limits if one.name == "radio_utilization")
    # 96 channels at 1 kS/s on the 1.2 Mbit/s that BLE 2M surely carries.
    assert link.largest == 1_200_000 // 96_000


def test_a_slower_clock_is_answered_where_the_fastest_is_too_hot(order: BudgetOrder) -> None:
    found = solve(_asked(order, 1000.0), "clock_hz")
    assert found.largest == load_profile(ComputePart, order.compute).clock_mhz.typical * 1e6
    assert found.binding is None


def test_nothing_fits_is_an_answer_too(order: BudgetOrder) -> None:
    found = solve(_asked(order, 1e-4), "rate_hz")
    assert found.largest is None
    assert found.binding == "temperature_rise_c of array"


def test_only_what_can_be_varied_is_solved_for() -> None:
    assert parse_unknown("bits") == "bits"
    with pytest.raises(InputError, match="cannot solve for 'channel'; did you mean 'channels'"):
        parse_unknown("channel")


def test_the_command_answers_and_fails_only_where_a_limit_was_asked_for(order: BudgetOrder) -> None:
    import typer

    from edgebci.cli.budget import budget as command

    app = typer.Typer()
    app.command()(command)
    given = ["--decoder", str(order.decoder)]
    free, strict = CliRunner().invoke(app, given), CliRunner().invoke(app, [*given, "--limit", "power_mw=0.001"])
    assert (free.exit_code, strict.exit_code) == (0, 1)
    assert free.output.index("assumed") < free.output.index("power by component")
    none = CliRunner().invoke(app, [*given, "--solve", "rate_hz", "--limit", "temperature_rise_c=0.0001"])
    assert none.exit_code == 1
    assert "no design keeps all limits" in none.output
