"""Measuring claims one after the other: what is unchanged is kept, what was interrupted goes on where it was."""

from __future__ import annotations

import datetime as dt
import platform
from pathlib import Path
from typing import Literal

from edgebci.documents import Document, load_json, nearest
from edgebci.errors import InputError
from edgebci.files import sha256, write_text
from edgebci.pipeline.cache import run_stage
from edgebci.pipeline.proof.claim import CannotMeasureError, Claim, Place, available_cores
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.ledger import ClaimRecord, Ledger, load_ledger, save_ledger
from edgebci.pipeline.proof.readme import figures_page, refreshed
from edgebci.pipeline.proof.sources import FIGURES_PAGE, PROOF_NAME, README_NAME
from edgebci.progress import Progress, part

FIGURES_NAME = "figures.json"


class Measured(Document):
    """The figures of one claim, as its folder keeps them."""

    schema_version: Literal["edgebci.figures/1"] = "edgebci.figures/1"
    measured_utc: str
    cores: int
    processor: str
    figures: tuple[Figure, ...]


def select(claims: tuple[Claim, ...], names: list[str]) -> tuple[Claim, ...]:
    """The claims of these names, or all of them.

    Raises:
        InputError: there is no claim of that name.
    """
    known = [claim.name for claim in claims]
    for name in names:
        if name not in known:
            raise InputError(f"no claim {name!r}; {nearest(name, known)}")
    return tuple(claim for claim in claims if not names or claim.name in names)


def prove(
    checkout: Path, runs: Path, claims: tuple[Claim, ...], chosen: tuple[Claim, ...], progress: Progress
) -> Ledger:
    """Measure the chosen claims; examples/proof.json is up to date after each, what quotes it at the end.

    Args:
        checkout: the top of the tree.
        runs: folder of the claims' files, in the folder of all runs.
        claims: all there are, in the order of the table.
        chosen: those to measure.
        progress: of all of them.
    """
    path, order = checkout / PROOF_NAME, tuple(claim.name for claim in claims)
    ledger, done, total = load_ledger(path), 0.0, sum(claim.minutes for claim in chosen)
    for claim in chosen:
        share = part(progress, done / total, (done + claim.minutes) / total)
        record = _measure(claim, checkout, runs, ledger.claims.get(claim.name), share)
        if record is not None:
            # Read again: another proof may have written while this one measured.
            ledger = load_ledger(path).with_claim(claim.name, record, order)
            save_ledger(path, ledger)
        done += claim.minutes
    return write_readme(checkout, load_ledger(path), claims)


def write_readme(checkout: Path, ledger: Ledger, claims: tuple[Claim, ...]) -> Ledger:
    """Mark what has become old, and put the ledger's figures into README.md and examples/figures.md."""
    ledger = marked(ledger, claims, checkout)
    save_ledger(checkout / PROOF_NAME, ledger)
    readme = checkout / README_NAME
    quoted = {claim.name: claim.quoted for claim in claims}
    write_text(readme, refreshed(readme.read_text(encoding="utf-8"), ledger, quoted))
    write_text(checkout / FIGURES_PAGE, figures_page(ledger))
    return ledger


def marked(ledger: Ledger, claims: tuple[Claim, ...], checkout: Path) -> Ledger:
    """The ledger in which every claim whose sources changed since it was measured says so, and no other does."""
    for claim in claims:
        record = ledger.claims.get(claim.name)
        if record is None:
            continue
        reason = record.not_measured_again or f"measured on {record.measured_utc[:10]}, before they last changed"
        update = {"not_measured_again": "" if is_current(claim, ledger, checkout) else reason}
        ledger = ledger.with_claim(claim.name, record.model_copy(update=update), tuple(ledger.claims))
    return ledger


def is_current(claim: Claim, ledger: Ledger, checkout: Path) -> bool:
    """Whether the claim's figures were measured on today's sources."""
    record = ledger.claims.get(claim.name)
    return record is not None and record.source_sha256 == claim.sources.digest(checkout)


def _measure(
    claim: Claim, checkout: Path, runs: Path, earlier: ClaimRecord | None, progress: Progress
) -> ClaimRecord | None:
    """The claim's new record; the earlier one, marked where it has become old, if it cannot be measured here."""
    progress(0.0, claim.name)
    digest = claim.sources.digest(checkout)
    try:
        place = Place(runs / claim.name, checkout, claim.find_recording(checkout), runs.parent)
        inputs = [sha256(place.recording)] if place.recording else []
        run_stage(runs, claim.name, inputs, lambda _: _fill(claim, place, digest, progress), digest)
    except CannotMeasureError as reason:
        if earlier is None or earlier.source_sha256 == digest:
            return earlier
        return earlier.model_copy(update={"not_measured_again": str(reason)})
    measured = load_json(place.folder / FIGURES_NAME, Measured)
    return ClaimRecord(
        title=claim.title,
        command=claim.command,
        source_sha256=digest,
        python=platform.python_version(),
        **measured.model_dump(exclude={"schema_version"}),
    )


def _fill(claim: Claim, place: Place, digest: str, progress: Progress) -> None:
    figures = claim.measure(place, lambda fraction, note: progress(fraction, f"{claim.name}: {note}"))
    names = [figure.name for figure in figures]
    if len(set(names)) < len(names):
        raise ValueError(f"the claim {claim.name} gives two figures of one name")
    if claim.sources.digest(place.checkout) != digest:
        raise InputError(f"sources of {claim.name} changed while it was measured; run edgebci proof again")
    measured = Measured(
        measured_utc=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        cores=available_cores(),
        processor=_processor(),
        figures=figures,
    )
    write_text(place.folder / FIGURES_NAME, measured.model_dump_json(indent=1) + "\n")


def _processor() -> str:
    """The processor's own name where the system tells it, else its architecture."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
