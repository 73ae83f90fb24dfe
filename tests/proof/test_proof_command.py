"""`edgebci proof` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import edgebci
from edgebci.cli.main import app
from edgebci.errors import InputError
from edgebci.pipeline.proof.claims import CLAIMS


def test_the_list_names_every_claim_and_measures_nothing() -> None:
    result = CliRunner().invoke(app, ["proof", "--list"])
    assert result.exit_code == 0
    for claim in CLAIMS:
        assert claim.name in result.output
    assert "about 5 min" in result.output


def test_json_is_the_ledger() -> None:
    result = CliRunner().invoke(app, ["proof", "--list", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.output)["schema_version"] == "edgebci.proof/1"


def test_an_unknown_claim_names_the_nearest() -> None:
    result = CliRunner().invoke(app, ["proof", "--only", "quikstart"])
    assert isinstance(result.exception, InputError)
    assert "did you mean 'quickstart'" in str(result.exception)


def test_away_from_a_checkout_the_proof_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edgebci, "__file__", str(tmp_path / "edgebci" / "__init__.py"))
    result = CliRunner().invoke(app, ["proof", "--list"])
    assert isinstance(result.exception, InputError)
    assert "is no checkout of edgebci; run edgebci proof in one" in str(result.exception)
