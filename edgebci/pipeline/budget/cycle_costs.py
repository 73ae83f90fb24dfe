"""What front end and decoder cost on each core: cycles per counted thing, from programs that were run once and kept.

    front end   per sample and channel (counts, reference), per section of a filter and sample, per feature and frame
    decoder     per MAC of a dense layer; by cell per row of dense layers, and per element of its state

`edgebci budget --measure-cycles FILE` generates, compiles and emulates the programs again and writes the table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from edgebci.documents import Document, load_toml
from edgebci.errors import InputError
from edgebci.hardware import Core
from edgebci.operators.cells import CellKind
from edgebci.quantity import Quantity

SHIPPED = Path(__file__).parent.parent / "budget_cycles.toml"


class CoreCosts(Document):
    """Modelled cycles at zero wait states on one core, and how far sums of them lie off the programs they came from."""

    core: Core
    per_sample: float = Field(ge=0)
    per_section: float = Field(ge=0)
    per_feature: float = Field(ge=0)
    per_mac: float = Field(ge=0)
    per_row: dict[CellKind, float]
    per_state: dict[CellKind, float]
    per_coded_sample: float = Field(ge=0)
    """Of the lossless coder (`edgebci.firmware_sim.lossless`)."""
    largest_error: float = Field(ge=0, lt=1)

    def error_factor(self) -> Quantity:
        """What a sum of counts times costs may be off by, as a factor."""
        return Quantity(
            low=1 - self.largest_error,
            typical=1.0,
            high=1 + self.largest_error,
            unit="1",
            source=f"largest error of budget_cycles.toml over the programs that it was fitted to, {self.core}",
            evidence_class="derived",
        )


class CycleCosts(Document):
    """Costs on every core that runs here."""

    schema_version: Literal["edgebci.budget_cycles/1"] = Field(alias="schema")
    evidence: str
    command: str
    cores: tuple[CoreCosts, ...]


def costs_on(core: str, path: Path = SHIPPED) -> CoreCosts:
    """Read the costs on one core.

    Raises:
        InputError: there are none for that core; or the file is no such table.
    """
    cores = load_toml(path, CycleCosts).cores
    for costs in cores:
        if costs.core == core:
            return costs
    raise InputError(
        f"no cycles per count are known for a {core}, only for {', '.join(c.core for c in cores)}; "
        "give a compute part with one of those cores, or the cycles of a run with --measured or --cycles"
    )


def costs_toml(cores: tuple[CoreCosts, ...]) -> str:
    """The file that `costs_on` reads."""
    head = (
        'schema = "edgebci.budget_cycles/1"\n'
        'evidence = "instructions counted, cycles modelled at zero wait states, over 10 steps of random decoders"\n'
        'command = "edgebci budget --measure-cycles FILE"\n'
    )
    return head + "".join(_core_toml(core) for core in cores)


def _core_toml(costs: CoreCosts) -> str:
    rows = [f'core = "{costs.core}"']
    for name, value in costs.model_dump(exclude={"core"}).items():
        shown = f"{{ {', '.join(f'{k} = {v}' for k, v in value.items())} }}" if isinstance(value, dict) else f"{value}"
        rows.append(f"{name} = {shown}")
    return "\n[[cores]]\n" + "\n".join(rows) + "\n"
