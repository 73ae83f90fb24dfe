"""The README's figures come from the ledger: its table, and every number in its prose.

A figure that nobody measured reads as `UNMEASURED`.

<!-- proof:begin --> ... <!-- proof:end -->        the table
<!--=claim.figure-->0.431<!--/-->                  a value with its unit
<!--=claim.figure:range-->0.431 (0.40 to 0.46)<!--/-->     the same with its range
"""

from __future__ import annotations

import re
from itertools import chain

from edgebci.errors import InputError
from edgebci.pipeline.proof.figure import Figure, range_text, value_text
from edgebci.pipeline.proof.ledger import ClaimRecord, Ledger

BEGIN, END = "<!-- proof:begin -->", "<!-- proof:end -->"
MARKED = re.compile(r"<!--=(?P<figure>[\w.]+)(?P<form>:range)?-->(?P<text>.*?)<!--/-->", re.DOTALL)
UNMEASURED = "(not measured)"
_TABLE = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


def refreshed(readme: str, ledger: Ledger) -> str:
    """The README with its table and its marked figures as the ledger has them.

    Raises:
        InputError: the README has no place for the table.
    """
    if not _TABLE.search(readme):
        raise InputError(f"README.md has no {BEGIN} ... {END}; put the two lines where the table shall stand")
    with_table = _TABLE.sub(lambda _: f"{BEGIN}\n{table(ledger)}\n{END}", readme)
    return MARKED.sub(lambda match: _quoted(match, ledger), with_table)


def table(ledger: Ledger) -> str:
    """The headline figures of all claims as one table in Markdown."""
    head = ["| figure | value | how we know |", "|---|---|---|"]
    return "\n".join(chain(head, *(_rows(record) for record in ledger.claims.values())))


def _rows(record: ClaimRecord) -> list[str]:
    older = f"; older than its sources: {record.not_measured_again}" if record.not_measured_again else ""
    title = f"| **{record.title}**, `{record.command}`{older} | | |"
    return [title, *(_row(figure) for figure in record.figures if figure.headline)]


def _row(figure: Figure) -> str:
    note = f", {figure.note}" if figure.note else ""
    cells = (figure.label, range_text(figure), figure.evidence + note)
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _quoted(match: re.Match[str], ledger: Ledger) -> str:
    figure, form = ledger.figure(match["figure"]), match["form"] or ""
    text = UNMEASURED if figure is None else range_text(figure) if form else value_text(figure)
    return f"<!--={match['figure']}{form}-->{text}<!--/-->"
