"""`edgebci proof`: measure every figure that the project quotes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

if TYPE_CHECKING:
    from edgebci.pipeline.proof.ledger import Ledger


def proof(
    only: Annotated[
        list[str] | None, typer.Option(help="Measure this claim alone; may be given several times.")
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the claims; measure nothing.")] = False,
    write_readme: Annotated[
        bool,
        typer.Option(
            "--write-readme", help="Put what was measured into the README, the old marked as old; measure nothing."
        ),
    ] = False,
    runs: Annotated[Path, typer.Option(help="Folder of all runs; the proof gets a folder in it.")] = Path("runs"),
    json: JsonFlag = False,
) -> None:
    """Measure every figure of examples/figures.md and README.md, into examples/proof.json.

    What is unchanged is not measured again; an interrupted proof goes on where it was.
    """
    from edgebci.pipeline.proof.claims import CLAIMS
    from edgebci.pipeline.proof.ledger import load_ledger
    from edgebci.pipeline.proof.prove import prove, select
    from edgebci.pipeline.proof.prove import write_readme as refresh
    from edgebci.pipeline.proof.sources import PROOF_NAME, find_checkout

    checkout, chosen = find_checkout(), select(CLAIMS, only or [])
    ledger = load_ledger(checkout / PROOF_NAME)
    if write_readme:
        ledger = refresh(checkout, ledger, CLAIMS)
    elif not show_list:
        with progress_bar("proof") as progress:
            ledger = prove(checkout, runs / "proof", CLAIMS, chosen, progress)
    if json:
        print_json(ledger)
    elif show_list:
        _list_claims(ledger, checkout)
    else:
        _show(ledger, [claim.name for claim in chosen])


def _list_claims(ledger: Ledger, checkout: Path) -> None:
    from edgebci.pipeline.proof.claims import CLAIMS
    from edgebci.pipeline.proof.prove import is_current

    rows = []
    for claim in CLAIMS:
        state = "current" if is_current(claim, ledger, checkout) else "to be measured"
        rows.append((claim.name, f"{claim.title}; about {claim.minutes:g} min; {state}\n{claim.command}"))
    print_rows("claims", rows)


def _show(ledger: Ledger, names: list[str]) -> None:
    from edgebci.pipeline.proof.figure import range_text

    for name in names:
        if name in ledger.claims:
            record = ledger.claims[name]
            rows = [(figure.label, range_text(figure)) for figure in record.figures if figure.headline]
            print_rows(f"{record.title} ({record.measured_utc}, {record.cores} cores)", rows)
