"""`edgebci data fetch`: from a server or a folder to recordings, once."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edgebci.cli.fetch import fetch
from edgebci.errors import InputError
from edgebci.public_recordings import fetching
from edgebci.public_recordings.fetching import Fetched
from edgebci.public_recordings.records import MakinRecords, makin_records, record_files
from tests.public_recordings.conftest import Served, flint_trial, write_flint_mat

SESSION = "indy_20160622_01"
app = typer.Typer()
app.command()(fetch)


def run(*arguments: str | Path) -> Fetched:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return Fetched.model_validate_json(result.stdout)


@pytest.fixture
def public(served: Served, makin_pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Served:
    """The server holds one session, in two records."""
    served.files = {path.name: path.read_bytes() for path in makin_pair}
    served.records = {1: [f"{SESSION}.mat"], 2: [f"{SESSION}.nwb"]}
    changes = {"server": served.address, "behavior_record": 1, "broadband_records": [2]}
    table = MakinRecords.model_validate(makin_records().model_dump(by_alias=True) | changes)
    monkeypatch.setattr(fetching, "makin_records", lambda: table)
    record_files.cache_clear()
    return served


def test_a_session_is_downloaded_converted_and_then_left_alone(public: Served, tmp_path: Path) -> None:
    to = tmp_path / "public"
    first = run("makin", "--session", SESSION, "--to", to)
    asked = len(public.ranges)
    second = run("makin", "--session", SESSION, "--to", to)
    assert asked == len(public.ranges) == 2
    assert [s.was_there for s in (*first.sessions, *second.sessions)] == [False, True]
    assert first.sessions[0].n_channels == 4
    assert sorted(path.name for path in to.rglob("*.*")) == [f"{SESSION}.h5"]  # broadband is gigabytes: not kept


def test_an_interrupted_fetch_goes_on_where_it_was(public: Served, tmp_path: Path) -> None:
    public.cut_after = [10**9, 200_000, 0, 0, 0, 0, 0]
    with pytest.raises(InputError, match="run the command again to go on from there"):
        run("makin", "--session", SESSION, "--to", tmp_path / "public")
    public.ranges.clear()
    run("makin", "--session", SESSION, "--to", tmp_path / "public", "--keep-raw")
    assert public.ranges == ["bytes=200000-"]  # the .mat was whole
    assert (tmp_path / "public" / "raw" / f"{SESSION}.nwb").exists()


def test_downloaded_files_convert_without_a_network(makin_pair: tuple[Path, Path], tmp_path: Path) -> None:
    run("makin", "--session", SESSION, "--to", tmp_path / "public", "--from", makin_pair[0].parent)
    assert (tmp_path / "public" / f"{SESSION}.h5").exists()


def test_flint_comes_from_a_folder_and_without_one_it_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"need an account: accept the terms at https://crcns\.org.*--from"):
        run("flint", "--to", tmp_path / "public")
    write_flint_mat(tmp_path / "Flint_2012_e1.mat", [[flint_trial(0.0, 3.0, 0)]])
    run("flint", "--session", "Flint_e1_1", "--to", tmp_path / "public", "--from", tmp_path)
    assert (tmp_path / "public" / "Flint_e1_1.h5").exists()


def test_the_list_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "Flint_e1_1.h5").touch()
    result = CliRunner().invoke(app, ["flint", "--to", str(tmp_path), "--list"])
    assert result.stdout.count("there") == 1
    assert "Flint_e3_4" in result.stdout


def test_an_unknown_corpus_or_session_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'makin'"):
        run("makn")
    with pytest.raises(InputError, match="did you mean 'Flint_e1_1'"):
        run("flint", "--session", "Flint_e1_7")
