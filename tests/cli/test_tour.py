"""edgebci --help reads like a tour: every command in a panel, the panels in the order of the work."""

from __future__ import annotations

from typing import Any

import pytest
import typer.main

from edgebci.cli.main import app
from edgebci.cli.tour import TOUR, panel_of


def test_every_command_has_a_place_in_the_tour() -> None:
    registered = typer.main.get_command(app).list_commands(None)  # type: ignore[attr-defined]
    placed = [name for names in TOUR.values() for name in names]
    assert set(registered) <= set(placed)
    assert len(placed) == len(set(placed))
    assert registered == [name for name in placed if name in registered]


def test_the_help_shows_panels_and_commands_in_the_order_of_the_work(edgebci: Any) -> None:
    shown = edgebci("--help").out
    names = typer.main.get_command(app).list_commands(None)  # type: ignore[attr-defined]
    panels = list(dict.fromkeys(panel_of(name) for name in names))
    places = [shown.index(panel) for panel in panels]
    assert places == sorted(places)
    rows = [shown.index(f"│ {name} ") for name in names]
    assert rows == sorted(rows)


def test_every_command_says_what_it_does_and_every_argument_what_it_takes(edgebci: Any) -> None:
    group = typer.main.get_command(app)
    silent = [
        f"{name}: {parameter.name}"
        for name, command in _commands(group)
        for parameter in command.params
        if parameter.name != "help" and not getattr(parameter, "help", None)
    ]
    assert [name for name, command in _commands(group) if not command.help] == []
    assert silent == []


def test_the_tour_is_told_without_reading_the_options_of_any_command() -> None:
    """To read those of all commands takes a third of what `edgebci --help` takes."""
    group: Any = typer.main.get_command(app)
    group.get_help(group.make_context("edgebci", [], resilient_parsing=True))
    assert group.commands.made == frozenset()
    assert group.get_command(None, "gate").commands.keys() == {"accept"}
    assert group.commands.made == {"gate"}


@pytest.mark.parametrize(
    ("words", "offered"),
    [("edgebci ga", {"gate"}), ("edgebci gate a", {"accept"}), ("edgebci gate --cor", {"--corner"})],
)
def test_a_shell_is_offered_commands_and_options(
    words: str, offered: set[str], edgebci: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_EDGEBCI_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    assert set(edgebci().out.split()) == offered


@pytest.mark.parametrize(("shell", "begins"), [("bash", "_edgebci_completion()"), ("zsh", "#compdef edgebci")])
def test_the_completion_that_is_shown_is_the_shells_own(
    shell: str, begins: str, edgebci: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tells typer to take the shell by name, and not to look which one started the test.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    shown = edgebci("--show-completion", shell)
    assert shown.code == 0
    assert shown.out.startswith(begins)
    assert "_EDGEBCI_COMPLETE=complete_" + shell in shown.out


def _commands(group: Any, path: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, command in group.commands.items():
        found += _commands(command, f"{path}{name} ") if hasattr(command, "commands") else [(path + name, command)]
    return found
