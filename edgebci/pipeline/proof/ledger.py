"""examples/proof.json: the figures of every claim, with the digest of the sources that they were measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from edgebci.documents import Document, load_json
from edgebci.files import write_text
from edgebci.pipeline.proof.figure import Figure


class ClaimRecord(Document):
    """What a claim gave when it was last measured."""

    title: str
    command: str
    source_sha256: str
    """Over the claim's sources as they were then."""
    measured_utc: str
    cores: int
    processor: str
    python: str
    figures: tuple[Figure, ...]
    not_measured_again: str = ""
    """Why these figures stand although the sources have changed; empty if they have not."""


class Ledger(Document):
    """All figures, by the name of their claim."""

    schema_version: Literal["edgebci.proof/1"] = "edgebci.proof/1"
    claims: dict[str, ClaimRecord] = Field(default_factory=dict)

    def figure(self, reference: str) -> Figure | None:
        """The figure called `claim.figure`, if there is one."""
        claim, _, name = reference.partition(".")
        figures = self.claims[claim].figures if claim in self.claims else ()
        return next((figure for figure in figures if figure.name == name), None)

    def with_claim(self, name: str, record: ClaimRecord, order: tuple[str, ...]) -> Ledger:
        """The ledger with one claim replaced; claims stand in the given order, and those not in it are dropped."""
        claims = self.claims | {name: record}
        return Ledger(claims={name: claims[name] for name in order if name in claims})


def load_ledger(path: Path) -> Ledger:
    """Read the figures; a file that does not exist holds none."""
    return load_json(path, Ledger) if path.exists() else Ledger()


def save_ledger(path: Path, ledger: Ledger) -> None:
    """Write the figures, whole or not at all."""
    write_text(path, ledger.model_dump_json(indent=1) + "\n")
