"""Annotations that GitHub shows beside a pull request: workflow commands on standard output."""

from __future__ import annotations

from edgebci.gating_limits import Outcome
from edgebci.gating_result import GateResult

_COMMANDS = {Outcome.FAIL: "error", Outcome.UNDECIDED: "warning"}


def github_annotations(result: GateResult, file: str) -> list[str]:
    """One line for each check that does not pass; `file` is what they are shown at, the pipeline's TOML."""
    return [
        f"::{_COMMANDS[check.outcome]} file={_property(file)},title={_property(f'edgebci gate: {check.name}')}"
        f"::{_data(check.sentence)}"
        for check in result.checks
        if check.outcome in _COMMANDS
    ]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
