"""Badges as SVG of one file: what is shown on the left, how it stands on the right."""

from __future__ import annotations

from xml.sax.saxutils import escape

from edgebci.gating_limits import Outcome
from edgebci.gating_result import GateResult

# White text on each has a contrast of at least 4.5 to 1 (WCAG 2.1, AA); the word says it too, not the colour alone.
_COLORS = {Outcome.PASS: "#00695c", Outcome.FAIL: "#b3261e", Outcome.UNDECIDED: "#7a4f00", Outcome.NOT_GATED: "#555555"}
_CHARACTER_PX, _PADDING_PX, _HEIGHT_PX = 6.6, 6, 20


def gate_badges(result: GateResult) -> dict[str, str]:
    """The decision, and one for each group of checks that there is, by a name for a file."""
    groups = dict.fromkeys(check.group for check in result.checks)
    badges = {"gate": badge_svg("edgebci gate", result.decision)}
    for group in groups:
        outcomes = [check.outcome for check in result.checks if check.group == group]
        order = (Outcome.FAIL, Outcome.UNDECIDED, Outcome.PASS, Outcome.NOT_GATED)
        badges[f"gate-{group}"] = badge_svg(f"gate: {group}", next(one for one in order if one in outcomes))
    return badges


def badge_svg(label: str, outcome: Outcome) -> str:
    """One badge."""
    left, right = (_CHARACTER_PX * len(text) + 2 * _PADDING_PX for text in (label, outcome))
    title = escape(f"{label}: {outcome}")
    text = '<text x="{x:.1f}" y="14" textLength="{length:.1f}">{text}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right:.1f}" height="{_HEIGHT_PX}" role="img" '
        f'aria-label="{title}"><title>{title}</title>'
        f'<rect width="{left:.1f}" height="{_HEIGHT_PX}" fill="#444444"/>'
        f'<rect x="{left:.1f}" width="{right:.1f}" height="{_HEIGHT_PX}" fill="{_COLORS[outcome]}"/>'
        '<g fill="#ffffff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        + text.format(x=_PADDING_PX, length=_CHARACTER_PX * len(label), text=escape(label))
        + text.format(x=left + _PADDING_PX, length=_CHARACTER_PX * len(outcome), text=escape(outcome))
        + "</g></svg>\n"
    )
