"""The README's figures come from the ledger: its short table, and every number in its prose; a page holds the long one.

A figure that nobody measured reads as `UNMEASURED`.

<!-- proof:begin --> ... <!-- proof:end -->        the table
<!--=claim.figure-->0.431<!--/-->                  a value with its unit
<!--=claim.figure:range-->0.431 (0.40 to 0.46)<!--/-->     the same with its range
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain, repeat

from edgebci.errors import InputError
from edgebci.pipeline.proof.figure import Figure, range_text, value_text
from edgebci.pipeline.proof.ledger import ClaimRecord, Ledger

BEGIN, END = "<!-- proof:begin -->", "<!-- proof:end -->"
MARKED = re.compile(r"<!--=(?P<figure>[\w.]+)(?P<form>:range)?-->(?P<text>.*?)<!--/-->", re.DOTALL)
UNMEASURED = "(not measured)"
Quoted = Mapping[str, tuple[str, ...]]
"""Of each claim, in the order of the README's table, the names of the figures in it."""
_ORIGIN = (
    "Written by `edgebci proof` from `proof.json`, which also holds the machine, the digest of the sources, "
    "and figures of single axes, bands and devices."
)
_STUDY = "study_"
"""How the name of a claim of `edgebci.pipeline.proof.study_claims` begins."""
_TABLE = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


def refreshed(readme: str, ledger: Ledger, quoted: Quoted) -> str:
    """The README with its table and its marked figures as the ledger has them.

    Raises:
        InputError: the README has no place for the table.
    """
    if not _TABLE.search(readme):
        raise InputError(f"README.md has no {BEGIN} ... {END}; put the two lines where the table shall stand")
    with_table = _TABLE.sub(lambda _: f"{BEGIN}\n{short_table(ledger, quoted)}\n{END}", readme)
    return MARKED.sub(lambda match: _filled(match, ledger), with_table)


def short_table(ledger: Ledger, quoted: Quoted) -> str:
    """The figures that a newcomer looks for, of each claim none or a few, as a table in Markdown."""
    head = ["| | figure | value | how we know |", "|---|---|---|---|"]
    measured = (_short(ledger.claims[name], names) for name, names in quoted.items() if name in ledger.claims)
    return "\n".join(chain(head, *measured))


def figures_page(ledger: Ledger) -> str:
    """The headline figures of all claims as a page in Markdown, generated and never edited.

    Every answer of a study is on it: one that is left out might be the one that speaks against it.
    """
    head = ["# Figures, measured, counted or modelled", "", _ORIGIN, ""]
    table = ["| figure | value | how we know |", "|---|---|---|"]
    claims = (_rows(record, whole=name.startswith(_STUDY)) for name, record in ledger.claims.items())
    return "\n".join(chain(head, table, *claims)) + "\n"


def _rows(record: ClaimRecord, whole: bool) -> list[str]:
    older = f"; older than its sources: {record.not_measured_again}" if record.not_measured_again else ""
    title = f"| **{record.title}**, `{record.command}`{older} | | |"
    return [title, *(_cells(*_row(figure)) for figure in record.figures if figure.headline or whole)]


def _short(record: ClaimRecord, names: tuple[str, ...]) -> list[str]:
    chosen = [figure for figure in record.figures if figure.name in names]
    older = "; older than its sources" if record.not_measured_again else ""
    titles = chain([f"**{record.title}**, `{record.command}`{older}"], repeat(""))
    return [_cells(title, *_row(figure)) for title, figure in zip(titles, chosen, strict=False)]


def _row(figure: Figure) -> tuple[str, str, str]:
    note = f", {figure.note}" if figure.note else ""
    return figure.label, range_text(figure), figure.evidence + note


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _filled(match: re.Match[str], ledger: Ledger) -> str:
    figure, form = ledger.figure(match["figure"]), match["form"] or ""
    text = UNMEASURED if figure is None else range_text(figure) if form else value_text(figure)
    return f"<!--={match['figure']}{form}-->{text}<!--/-->"
