"""The order in which `edgebci --help` shows the commands: that of the work, from a recording to a gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

TOUR: dict[str, tuple[str, ...]] = {
    "1. Begin: what is on this machine and in this recording": ("doctor", "init", "run", "data"),
    "2. Train: teacher, small causal student, ridge beside them": ("train", "distill", "evaluate", "calibrate"),
    "3. Export: integers, graphs and C, each proved against its reference": (
        *("export", "bundle", "precision", "quantization-report"),
    ),
    "4. Firmware: run the very binary, count, time": ("run-on-target", "cycles", "bench"),
    "5. Implant: power, heat, radio and latency, each with its range": ("profiles", "budget", "simulate", "broadband"),
    "6. Gate: read, compare, and stop what got worse": ("report", "gate"),
    "7. Evidence: what the papers claim and what the README quotes": ("reproduce", "proof"),
}
"""Panels of the help, each with its commands; a name may stand here before its command does."""


class TourGroup(TyperGroup):
    """Lists its commands in the order of the tour; typer itself puts groups of commands behind all others."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (the signature is click's)
        """Names as the help shows them; one that the tour forgot comes last."""
        order = [name for names in TOUR.values() for name in names]
        return [name for name in order if name in self.commands] + [n for n in self.commands if n not in order]


def add_command(app: typer.Typer, name: str, command: Callable[..., None]) -> None:
    """Register a command in its panel."""
    app.command(name, rich_help_panel=panel_of(name))(command)


def add_group(app: typer.Typer, name: str, group: typer.Typer) -> None:
    """Register a group of commands in its panel."""
    app.add_typer(group, name=name, rich_help_panel=panel_of(name))


def panel_of(name: str) -> str:
    """The panel in which a command stands; every command has one (a test holds that)."""
    return next(panel for panel, names in TOUR.items() if name in names)
