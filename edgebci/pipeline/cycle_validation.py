"""How far the cycle models are off silicon: what they were chosen on, judged on, and what they missed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from edgebci.documents import Document, load_toml

SHIPPED = Path(__file__).parent / "cycle_validation.toml"
WITH_FLASH = "with_flash"


class Comparison(Document):
    """One program, modelled and timed on silicon by others."""

    role: Literal["chosen", "judged"]
    core: str
    board: str | None = None
    """Whose flash the model followed; None: no wait states."""
    program: str
    modelled_cycles: int = Field(gt=0)
    hardware_cycles: int = Field(gt=0)
    hardware: str = Field(min_length=10)
    """Where that was published, and how it was timed."""
    note: str = ""

    @property
    def error(self) -> float:
        """Of the model, as a fraction of what the silicon took."""
        return self.modelled_cycles / self.hardware_cycles - 1


class LeftOut(Document):
    """What could not be compared."""

    what: str
    why: str


class CycleValidation(Document):
    """All comparisons, and the errors that were expected of the judged ones."""

    schema_version: Literal["edgebci.cycle_validation/1"]
    compiler: str
    bounds: dict[str, float]
    """By core, and `with_flash` for every core."""
    entries: tuple[Comparison, ...] = Field(min_length=1)
    left_out: tuple[LeftOut, ...]

    def judged(self, core: str) -> tuple[Comparison, ...]:
        """What a core was judged on."""
        return tuple(one for one in self.entries if one.core == core and one.role == "judged")

    def bound(self, entry: Comparison) -> float:
        """What was expected of an entry."""
        return self.bounds[WITH_FLASH if entry.board else entry.core]

    def missed(self) -> tuple[Comparison, ...]:
        """Judged entries that are farther off than was expected."""
        return tuple(one for one in self.entries if one.role == "judged" and abs(one.error) > self.bound(one))

    def sentence(self, core: str) -> str:
        """What a table says of a core's model."""
        parts = [self._span(core, with_flash) for with_flash in (False, True)]
        return "; ".join(part for part in parts if part) or "held against no program that it was not chosen on"

    def _span(self, core: str, with_flash: bool) -> str:
        found = [one for one in self.judged(core) if (one.board is not None) == with_flash]
        if not found:
            return ""
        errors, late = [one.error for one in found], [one for one in found if one in self.missed()]
        where = "with flash" if with_flash else "without wait states"
        missed = f", {len(late)} beyond the expected ±{self.bound(late[0]):.0%}" if late else ""
        return f"{where} {min(errors):+.1%} to {max(errors):+.1%} on {len(found)} held-out programs{missed}"


def load_cycle_validation(path: Path = SHIPPED) -> CycleValidation:
    """Read the file; raises InputError as load_toml does."""
    return load_toml(path, CycleValidation)
