"""The README says what was measured, on the sources of today, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgebci.pipeline.proof.claim import Claim
from edgebci.pipeline.proof.claims import CLAIMS
from edgebci.pipeline.proof.ledger import Ledger, load_ledger
from edgebci.pipeline.proof.prove import marked
from edgebci.pipeline.proof.readme import BEGIN, END, MARKED, UNMEASURED, figures_page, refreshed
from edgebci.pipeline.proof.sources import FIGURES_PAGE, PROOF_NAME

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

# What is no result: versions and names of papers, and the level of every interval.
NOT_RESULTS = ("Python 3.11", "Apache-2.0", "95 % block-bootstrap")
# A number that stands by itself; in `int8`, `Cortex-M4F` and `Mamba-2` it is a part of a name.
NUMBER = re.compile(r"(?<![\w.])(?<![A-Za-z]-)\d[\d,.]*")


def loose_numbers(text: str) -> list[str]:
    """Numbers of the prose that do not come from the proof."""
    text = re.sub(f"{BEGIN}.*?{END}", "", text, flags=re.DOTALL)
    text = MARKED.sub("", text)
    for pattern in (r"```.*?```", r"^(?: {4}|\t).*$", r"`[^`]*`", r"\]\([^)]*\)", r"https?://\S+", r"arXiv:[\d.]+\d"):
        text = re.sub(pattern, "", text, flags=re.DOTALL if "```" in pattern else re.MULTILINE)
    for allowed in NOT_RESULTS:
        text = text.replace(allowed, "")
    return NUMBER.findall(text)


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return load_ledger(ROOT / PROOF_NAME)


@pytest.fixture(scope="module")
def today(ledger: Ledger) -> Ledger:
    """The ledger, marked by the sources as they are."""
    return marked(ledger, CLAIMS, ROOT)


def test_the_table_and_every_marked_figure_are_those_of_the_proof(ledger: Ledger) -> None:
    quoted = {claim.name: claim.quoted for claim in CLAIMS}
    assert refreshed(README, ledger, quoted) == README, "run edgebci proof --write-readme"
    assert figures_page(ledger) == (ROOT / FIGURES_PAGE).read_text(encoding="utf-8"), "run edgebci proof --write-readme"


def test_figures_that_claims_put_forward_are_headlines_of_theirs(ledger: Ledger) -> None:
    named = [f"{claim.name}.{name}" for claim in CLAIMS for name in claim.quoted]
    found = {name: ledger.figure(name) for name in named}
    assert len(named) > 20
    assert [name for name, figure in found.items() if figure is None or not figure.headline] == []


def test_every_figure_that_the_prose_quotes_was_measured() -> None:
    quoted = [match["figure"] for match in MARKED.finditer(README)]
    assert len(quoted) >= 5
    assert UNMEASURED not in README, "run make proof"


def test_no_number_of_the_prose_comes_from_elsewhere() -> None:
    assert loose_numbers(README) == [], f"write them as <!--=claim.figure--><!--/-->, or name them in {__name__}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("R² of 0.43 and 117,000 cycles", ["0.43", "117,000"]),
        ("takes 4 minutes (-3.2 dB)", ["4", "3.2"]),
        ("the Cortex-M4F runs int8 Mamba-2 in C99", []),
        ("`x = 3` and <!--=a.b-->0.43<!--/--> on Python 3.11\n\n    make x=7\n", []),
        (f"{BEGIN}\n| 5 |\n{END} see [it](examples/2.svg), arXiv:2405.21060.", []),
    ],
)
def test_a_loose_number_is_one_that_looks_like_a_result(text: str, found: list[str]) -> None:
    assert loose_numbers(text) == found


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_figures_are_as_new_as_the_code_that_they_measure_or_say_that_they_are_not(
    claim: Claim, ledger: Ledger, today: Ledger
) -> None:
    record = ledger.claims.get(claim.name)
    assert record is not None, f"{claim.name} was never measured: run make proof"
    advice = f"the sources of {claim.name} changed: run make proof, or mark it by edgebci proof --write-readme"
    assert today.claims[claim.name] == record, advice


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    assert len(README.splitlines()) < 200
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) >= 2
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_names_no_files_that_are_not_there() -> None:
    names = re.findall(r"`((?:edgebci|training|export|firmware_sim|examples|hardware_profiles)/[\w./]*)`", README)
    assert len(names) > 8
    assert [name for name in names if not (ROOT / name).exists()] == []
