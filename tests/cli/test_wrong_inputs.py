"""Every command, found by walking the program, with everything that people get wrong.

Held each time: one sentence on standard error, exit code 2, no traceback, and nothing written. Commands are never
called with inputs that are right, so none of them starts its work.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import typer.main
from safetensors.numpy import save

from edgebci.cli.main import app, main
from edgebci.recordings import RecordingWriter

ROOT = Path(__file__).resolve().parent.parent.parent
# Of one call, on a machine that does much else; no call starts any work, so none comes near it.
LONGEST_S = 120
OUTPUTS = {"out", "runs", "to", "report", "reports", "html", "figure", "measure_cycles", "write"}
# Looked at only beside another option that is not given here.
CONDITIONAL = {("budget", "accuracy"), ("budget", "recording"), ("budget", "measured")}
SUFFIXES = (".toml", ".nwb", ".h5", ".safetensors", ".onnx", ".npy", ".json", ".elf", ".bin")


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, by the words that call it; a group may do something by itself."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
            if command.invoke_without_command:
                yield (*path, name), command
        else:
            yield (*path, name), command


PROGRAM = typer.main.get_command(app)
COMMANDS = dict(commands(PROGRAM))
assert ("gate",) in COMMANDS


class TookTooLong(BaseException):
    """A call went to work instead of refusing."""


@contextmanager
def patience(seconds: int) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a file that is right, by its suffix."""
    folder = tmp_path_factory.mktemp("whole")
    with RecordingWriter(
        folder / "r.h5", subject_id="s", session_id="1", lfp_rate_hz=250.0, channel_names=("a", "b")
    ) as writer:
        writer.set_behavior("velocity", np.zeros((100, 1)), unit="cm/s", rate_hz=50.0, axis_names=("x",))
        writer.append_lfp(np.ones((500, 2), np.float32))
        writer.close()
    np.save(folder / "f.npy", np.zeros((50, 4), np.float32))
    toml = (ROOT / "examples" / "quickstart.toml").read_bytes()
    return {
        ".toml": toml,
        ".h5": (folder / "r.h5").read_bytes(),
        ".npy": (folder / "f.npy").read_bytes(),
        ".json": b'{"schema_version": "edgebci.bundle/2"}',
        ".safetensors": save({"a": np.zeros(4, np.float32)}),
    }


Made = Callable[[Path, str, bytes], Path]


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


WRONG_FILES: dict[str, Made] = {
    "a path that is not there": lambda folder, suffix, _whole: folder / f"nowhere{suffix}",
    "a path below a file": lambda folder, suffix, _whole: _written(folder / "a_file", b"x") / f"file{suffix}",
    "a folder for a file": lambda folder, suffix, _whole: _folder(folder / f"folder{suffix}"),
    "a name that is too long": lambda folder, suffix, _whole: folder / ("n" * 300 + suffix),
    "an empty file": lambda folder, suffix, _whole: _written(folder / f"empty{suffix}", b""),
    "a truncated file": lambda folder, suffix, whole: _written(folder / f"cut{suffix}", whole[: len(whole) // 2 + 3]),
    "bytes that mean nothing": lambda folder, suffix, _whole: _written(
        folder / f"noise{suffix}", np.random.default_rng(0).bytes(4000)
    ),
    "text that is no TOML": lambda folder, suffix, _whole: _written(folder / f"text{suffix}", b"hello = = world\n"),
    "not a number": lambda folder, suffix, _whole: _written(folder / f"nan{suffix}", b'schema = nan\nname = "x"\n'),
    "an unknown key": lambda folder, suffix, whole: _written(folder / f"key{suffix}", b"no_such_key = 1\n" + whole),
    "another suffix, and text": lambda folder, _suffix, _whole: _written(folder / "file.txt", b"hello\n"),
    "two suffixes of others": lambda folder, _suffix, _whole: _written(folder / "file.pkl.zip", b"hello = = world"),
}


def wanted_suffixes(parameter: Any) -> list[str]:
    """The kinds of file that a parameter takes, by its help."""
    named = [suffix for suffix in SUFFIXES if suffix in (parameter.help or "")]
    return named or ([".toml"] if re.search(r"TOML|profile", parameter.help or "") else [""])


def kind(parameter: Any) -> Any:
    """The Python type of one value."""
    return parameter.type_descriptor.annotation


def is_path(parameter: Any) -> bool:
    return kind(parameter) is Path


def is_input(parameter: Any) -> bool:
    return is_path(parameter) and parameter.name not in OUTPUTS


def words(parameter: Any, value: object) -> list[str]:
    """A parameter as it is written on the command line."""
    return [str(value)] if parameter.param_type_name == "argument" else [parameter.opts[0], str(value)]


def filled(command: Any, folder: Path, instead: Any = None, value: object = None) -> list[str]:
    """Everything that the command requires, none of which is there, with one parameter as asked."""
    given: list[str] = []
    for parameter in command.params:
        if parameter is instead:
            given += words(parameter, value)
        elif parameter.required:
            given += words(parameter, folder / "not_there" if is_path(parameter) else _plausible(parameter))
    return given


def _plausible(parameter: Any) -> str:
    return "cortex-m4f" if parameter.name == "target" else "1" if _is_number(parameter) else "nothing"


def _is_number(parameter: Any) -> bool:
    return kind(parameter) in (int, float)


def wrong_calls(
    name: tuple[str, ...], command: Any, folder: Path, whole: dict[str, bytes]
) -> Iterator[tuple[str, list[str]]]:
    """What is wrong, and the words after the command's name."""
    if any(parameter.required for parameter in command.params):
        yield "nothing is given", []
    if any(parameter.required and is_input(parameter) for parameter in command.params):
        yield "nothing that is given is there", filled(command, folder)
    yield "an unknown option", [*filled(command, folder), "--no-such-option"]
    yield "an argument too many", [*filled(command, folder), *["surplus"] * 9]
    for parameter in command.params:
        if parameter.name not in ("help", *OUTPUTS) and (*name, parameter.name) not in CONDITIONAL:
            yield from _wrong_values(command, parameter, folder, whole)


def _wrong_values(
    command: Any, parameter: Any, folder: Path, whole: dict[str, bytes]
) -> Iterator[tuple[str, list[str]]]:
    if _is_number(parameter):
        for text in ("seven", "nan", "-1e999"):
            yield f"{parameter.name} is {text}", filled(command, folder, parameter, text)
    elif isinstance(kind(parameter), type) and issubclass(kind(parameter), Enum):
        yield f"{parameter.name} is none of its values", filled(command, folder, parameter, "none-of-these")
    elif is_path(parameter):
        yield from _wrong_files(command, parameter, folder, whole)


def _wrong_files(
    command: Any, parameter: Any, folder: Path, whole: dict[str, bytes]
) -> Iterator[tuple[str, list[str]]]:
    if parameter.param_type_name == "option" and not parameter.required and not _all_there(command):
        return
    for suffix in wanted_suffixes(parameter):
        for fault, make in WRONG_FILES.items():
            place = folder / f"{parameter.name}{suffix}_{fault.replace(' ', '_')}"
            place.mkdir()
            path = make(place, suffix, whole.get(suffix, whole[".toml"]))
            yield f"{parameter.name} ({suffix}) is {fault}", filled(command, folder, parameter, path)


def _all_there(command: Any) -> bool:
    """Whether an optional file is looked at: where nothing else is required, that is missing here."""
    return not any(parameter.required for parameter in command.params)


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_a_wrong_input_is_one_sentence_and_leaves_nothing_behind(
    name: tuple[str, ...],
    whole: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "4000")
    # Built once: typer would build all commands anew for each of the thousand calls.
    monkeypatch.setattr(typer.main, "get_command", lambda _: PROGRAM)
    faults, seen = [], 0
    for wrong, given in wrong_calls(name, COMMANDS[name], tmp_path, whole):
        there = set(tmp_path.rglob("*"))
        monkeypatch.setattr(sys, "argv", ["edgebci", *name, *given])
        said = _refusal(capsys)
        new = sorted(path.relative_to(tmp_path).as_posix() for path in set(tmp_path.rglob("*")) - there)
        if said is not None or new:
            faults.append(f"{wrong}: {said or ''}{f' wrote {new}' if new else ''}")
        seen += 1
    assert seen >= 2
    assert faults == []


def _refusal(capsys: pytest.CaptureFixture[str]) -> str | None:
    """Call the program; None if it refused as it should, or what it did instead."""
    try:
        with patience(LONGEST_S):
            main()
    except SystemExit as stop:
        printed = capsys.readouterr()
        return _unlike_a_refusal(stop.code, printed.err)
    except TookTooLong:
        capsys.readouterr()
        return "went to work"
    except Exception as error:  # what a user would see as a traceback
        capsys.readouterr()
        return f"traceback of {type(error).__name__}: {error}"
    capsys.readouterr()
    return "ended well"


def _unlike_a_refusal(code: object, err: str) -> str | None:
    if code != 2:
        return f"exit code {code}: {err}"
    lines = [line for line in err.strip().splitlines() if line.strip()]
    if lines and lines[0].strip().startswith("Usage:"):
        # The command line's own fault, as typer says it: how to call, and one line in a box.
        boxed = [line for line in lines if line.startswith("│")]
        return None if len(boxed) == 1 else f"not one line: {err}"
    said = [line for line in lines if line.startswith("edgebci: ")]
    rest = lines[lines.index(said[0]) + 1 :] if said else lines
    if len(said) != 1 or rest or "errors.pydantic.dev" in err or "Traceback" in err:
        return f"not one sentence: {err}"
    return None
