"""`edgebci budget --solve`: the largest design that surely keeps every limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from edgebci.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from edgebci.pipeline.budget.order import BudgetOrder
    from edgebci.pipeline.budget.solving import Solution, SolvedLimit


def solve_and_print(order: BudgetOrder, unknown: str, json: bool) -> None:
    """Solve and print; exit code 1 where a limit was asked for that no design keeps."""
    from edgebci.pipeline.budget.solving import parse_unknown, solve

    found = solve(order, parse_unknown(unknown))
    if json:
        print_json(found)
    else:
        print_rows(f"{found.unknown}: the largest that keeps every limit at the worst corner, modelled", _rows(found))
    if found.largest is None and order.limits:
        raise typer.Exit(1)


def _rows(found: Solution) -> list[tuple[str, str]]:
    rows = [(_name(one), _largest(one)) for one in found.limits]
    answer = "none: no design keeps all limits" if found.largest is None else f"{found.largest:,.6g}"
    if found.beyond_own:
        answer += f", more than the {found.own:,.6g} of the profile"
    rows.append((f"largest {found.unknown}", answer))
    rows.append(("binding", found.binding or "nothing in the range that was searched"))
    after = "" if found.next_largest is None else f", at {found.next_largest:,.6g}"
    return [*rows, ("next", f"{found.next}{after}" if found.next else "none")]


def _name(one: SolvedLimit) -> str:
    where = f" of {one.where}" if one.where else ""
    return f"{one.name}{where} {one.limit:,.6g}{' (asked)' if one.asked else ''}"


def _largest(one: SolvedLimit) -> str:
    if one.largest is None:
        return "kept by none"
    return f"up to {one.largest:,.6g}" if one.bounded else "does not bind"
