"""What a gate found as Markdown: the step summary, and one comment that is meant to be updated in place."""

from __future__ import annotations

from edgebci.gating_limits import Outcome
from edgebci.gating_result import Check, GateResult

MARKER = "<!-- edgebci gate: {name} -->"
"""First line of the comment; who posts it looks for this line and edits that comment instead of adding one."""
_MARKS = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.UNDECIDED: "❔", Outcome.NOT_GATED: "➖"}
_TITLES = {
    "accuracy": "Accuracy (measured)",
    "counter": "Counters (counted)",
    "time": "Times (measured, taking turns on this runner)",
    "implant": "Implant (modelled)",
}


def gate_markdown(result: GateResult) -> str:
    """The decision, what is not well, then everything."""
    title = f"### {_MARKS[result.decision]} edgebci gate, {_plain(result.name)}"
    lines = [title, "", f"{_plain(result.sentence())}.", ""]
    wrong = [check for check in result.checks if check.outcome in (Outcome.FAIL, Outcome.UNDECIDED)]
    lines += [f"* {_MARKS[check.outcome]} **{_plain(check.name)}**: {_plain(check.sentence)}" for check in wrong]
    if result.findable is not None:
        lines += ["", f"The smallest loss that would have been found with 95 % power: {result.findable:.4f}."]
    for group, title in _TITLES.items():
        rows = [check for check in result.checks if check.group == group]
        if rows:
            lines += ["", f"<details><summary>{title}: {_counted(rows)}</summary>", "", *_table(rows), "", "</details>"]
    lines += ["", *(f"* {_plain(note)}" for note in result.notes), "", _origin(result), ""]
    return "\n".join(lines)


def gate_comment(result: GateResult) -> str:
    """The same with the marker that finds it again."""
    return f"{MARKER.format(name=result.name)}\n{gate_markdown(result)}"


def _table(rows: list[Check]) -> list[str]:
    head = ["| | check | found |", "|---|---|---|"]
    return head + [f"| {_MARKS[row.outcome]} | {_plain(row.name)} | {_plain(row.sentence)} |" for row in rows]


def _counted(rows: list[Check]) -> str:
    return f"{sum(row.outcome is Outcome.PASS for row in rows)} of {len(rows)} pass"


def _origin(result: GateResult) -> str:
    ids = f"baseline {result.baseline_bundle[:12]}, candidate {result.candidate_bundle[:12] or 'without a bundle'}"
    return f"<sub>edgebci {result.edgebci_version}; {ids}; chance of a false alarm at most {result.level:.1%}</sub>"


def _plain(text: str) -> str:
    """Text from elsewhere is text: no table cell, tag or mention is made of it."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("@", "&#64;")
    return escaped.replace("\n", " ")
