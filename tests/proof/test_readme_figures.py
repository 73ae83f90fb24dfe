"""How a figure is written, and how it gets into the README."""

from __future__ import annotations

import pytest

from edgebci.errors import InputError
from edgebci.pipeline.proof.figure import Figure, range_text, slug, value_text
from edgebci.pipeline.proof.ledger import ClaimRecord, Ledger
from edgebci.pipeline.proof.readme import BEGIN, END, figures_page, refreshed, short_table


def figure(value: float | str = 0.43, low: float | None = None, high: float | None = None, unit: str = "") -> Figure:
    return Figure(name="a", label="A", value=value, low=low, high=high, unit=unit, evidence="measured")


def record(*figures: Figure, not_measured_again: str = "") -> ClaimRecord:
    return ClaimRecord(
        title="Quick",
        command="edgebci run x.toml",
        source_sha256="0" * 64,
        measured_utc="2026-01-01T00:00:00+00:00",
        cores=2,
        processor="-",
        python="3.11",
        figures=figures,
        not_measured_again=not_measured_again,
    )


@pytest.mark.parametrize(
    ("shown", "value", "ranged"),
    [
        (figure(0.43126, 0.4, 0.45678, "R²"), "0.431", "0.431 (0.400 to 0.457)"),
        (figure(117_000, unit="cycles"), "117,000 cycles", "117,000 cycles"),
        (figure(117_012.4, 90_000.0, 131_072.9, "cycles"), "117,012 cycles", "117,012 (90,000 to 131,073) cycles"),
        (figure(0.0287, unit="s"), "0.0287 s", "0.0287 s"),
        (figure(12.3456, 1.0, 20.0, "mW"), "12.3 mW", "12.3 (1 to 20) mW"),
        (figure("superior"), "superior", "superior"),
        (figure(66, unit="of 66"), "66 of 66", "66 of 66"),
    ],
)
def test_a_figure_has_three_digits_and_its_unit(shown: Figure, value: str, ranged: str) -> None:
    assert (value_text(shown), range_text(shown)) == (value, ranged)


def test_names_are_made_of_words() -> None:
    assert slug("device (host twin)") == "device_host_twin"


HIDDEN = figure().model_copy(update={"name": "b", "label": "hidden", "headline": False})
SECOND = figure(0.2).model_copy(update={"name": "c", "label": "C"})


def test_the_page_shows_headlines_only_and_what_is_known_about_them() -> None:
    ledger = Ledger(claims={"quick": record(figure().model_copy(update={"note": "2 cores"}), HIDDEN)})
    lines = figures_page(ledger).splitlines()
    assert lines[-2:] == ["| **Quick**, `edgebci run x.toml` | | |", "| A | 0.43 | measured, 2 cores |"]


def test_the_page_shows_every_answer_of_a_study() -> None:
    ledger = Ledger(claims={"study_quick": record(figure(), HIDDEN)})
    assert [line.split(" | ")[0] for line in figures_page(ledger).splitlines()[-2:]] == ["| A", "| hidden"]


@pytest.mark.parametrize(
    ("quoted", "shown"), [((), []), (("c",), ["C"]), (("a", "c"), ["A", "C"])], ids=["none", "one", "both"]
)
def test_the_table_shows_what_a_claim_puts_forward(quoted: tuple[str, ...], shown: list[str]) -> None:
    ledger = Ledger(claims={"quick": record(HIDDEN, figure(), SECOND)})
    rows = [row.split(" | ") for row in short_table(ledger, {"unmeasured": ("a",), "quick": quoted}).splitlines()[2:]]
    assert [row[0] for row in rows[:1]] == ["| **Quick**, `edgebci run x.toml`"][: len(shown)]
    assert [row[1] for row in rows] == shown


def test_table_and_page_say_when_figures_could_not_be_measured_again() -> None:
    ledger = Ledger(claims={"rat": record(figure(), not_measured_again="rat.nwb is not on this machine")})
    assert "older than its sources: rat.nwb is not on this machine" in figures_page(ledger)
    assert "older than its sources |" in short_table(ledger, {"rat": ("a",)})


def test_marked_figures_are_filled_in_and_everything_else_stays() -> None:
    ledger = Ledger(claims={"quick": record(figure(0.5, 0.4, 0.6, "R²"))})
    prose = "R² <!--=quick.a-->0.1<!--/-->, <!--=quick.a:range--><!--/-->, <!--=quick.z--><!--/-->"
    readme = f"a\n{BEGIN}\nold\n{END}\n{prose}\n"
    new = refreshed(readme, ledger, {})
    assert "<!--=quick.a-->0.500<!--/-->, <!--=quick.a:range-->0.500 (0.400 to 0.600)<!--/-->" in new
    assert "<!--=quick.z-->(not measured)<!--/-->" in new
    assert new.startswith(f"a\n{BEGIN}\n| | figure |")
    assert refreshed(new, ledger, {}) == new


def test_a_readme_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(InputError, match="put the two lines where the table shall stand"):
        refreshed("no table\n", Ledger(), {})


def test_figures_survive_the_file_exactly() -> None:
    ledger = Ledger(claims={"quick": record(figure(0.1 + 0.2), figure(3), figure(3.0), figure("superior"))})
    again = Ledger.model_validate_json(ledger.model_dump_json())
    assert again == ledger
    assert [type(f.value) for f in again.claims["quick"].figures] == [float, int, float, str]
