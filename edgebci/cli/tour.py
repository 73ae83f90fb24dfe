"""The order in which `edgebci --help` shows the commands: that of the work, from a recording to a gate."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

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


Source = Callable[..., None] | typer.Typer
"""What a command is made of: its function, or a group of commands."""
_SOURCES: dict[str, Source] = {}


class Commands(Mapping[str, Any]):
    """Commands by name, each made when it is asked for: to read the options of all takes longer than most answers."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources, self._made = sources, dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(name, self.sources[name])
        return self._made[name]

    @property
    def made(self) -> frozenset[str]:
        """Those that were asked for so far."""
        return frozenset(self._made)

    def __contains__(self, name: object) -> bool:
        return name in self.sources

    def __iter__(self) -> Iterator[str]:
        return iter(self.sources)

    def __len__(self) -> int:
        return len(self.sources)


class TourGroup(TyperGroup):
    """Lists its commands in the order of the tour; typer itself puts groups of commands behind all others."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = Commands(_SOURCES)
        self._only_told = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (the signature is click's)
        """Names as the help shows them; one that the tour forgot comes last."""
        order = [name for names in TOUR.values() for name in names]
        return [name for name in order if name in self.commands] + [n for n in self.commands if n not in order]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command; for the tour itself only its name and what it does."""
        if not self._only_told:
            return super().get_command(ctx, cmd_name)
        return TyperCommand(cmd_name, help=_said(_SOURCES[cmd_name]), rich_help_panel=panel_of(cmd_name))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the tour."""
        self._only_told = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._only_told = False


def add_command(_: typer.Typer, name: str, command: Callable[..., None]) -> None:
    """Register a command."""
    _SOURCES[name] = command


def add_group(_: typer.Typer, name: str, group: typer.Typer) -> None:
    """Register a group of commands."""
    _SOURCES[name] = group


def panel_of(name: str) -> str:
    """The panel in which a command stands; every command has one (a test holds that)."""
    return next(panel for panel, names in TOUR.items() if name in names)


def _made(name: str, source: Source) -> Any:
    if isinstance(source, typer.Typer):
        made: Any = get_group(source)
        made.name = name
        return made
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    alone.command(name)(source)
    return get_command(alone)


def _said(source: Source) -> str:
    """What it does; of a function the text, of a group its help."""
    said = source.info.help if isinstance(source, typer.Typer) else inspect.getdoc(source)
    return said if isinstance(said, str) else ""
