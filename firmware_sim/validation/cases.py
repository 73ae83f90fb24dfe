"""Published devices as test cases: totals, what they are made of, and what others published about such parts."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from edgebci.documents import Document, load_toml
from edgebci.errors import InputError
from edgebci.hardware_units import In, Scope
from edgebci.quantity import EvidenceClass, Quantity

CASES = Path(__file__).parent / "devices.toml"
_TO_UW = {"uW": 1.0, "mW": 1e3}


class Sample(Document):
    """What one paper says that a part takes, in uW or mW."""

    paper: str
    takes: Quantity

    @model_validator(mode="after")
    def _is_power(self) -> Self:
        if self.takes.unit not in _TO_UW:
            raise ValueError(f"its unit is {self.takes.unit!r}; give uW or mW")
        return self


class Component(Document):
    """A part that devices are made of, with everything that was found about what it takes."""

    title: str
    samples: tuple[Sample, ...] = Field(min_length=1)

    def power_uw(self, not_from: tuple[str, ...]) -> Quantity:
        """Lowest, median and highest of the samples that are from none of the papers.

        Raises:
            InputError: nobody else published such a part.
        """
        kept = [sample.takes for sample in self.samples if sample.paper not in not_from]
        if not kept:
            raise InputError(
                f"{self.title} is known from {', '.join(not_from)} alone, which are under test; "
                "name another sample or list the device under left_out"
            )
        classes = get_args(EvidenceClass)
        return Quantity(
            low=min(q.low * _TO_UW[q.unit] for q in kept),
            typical=statistics.median(q.typical * _TO_UW[q.unit] for q in kept),
            high=max(q.high * _TO_UW[q.unit] for q in kept),
            unit="uW",
            source="; ".join(q.source for q in kept),
            evidence_class=max((q.evidence_class for q in kept), key=classes.index),
        )


class PartCount(Document):
    """So many of one component."""

    component: str
    count: Annotated[Quantity, In("1")]


class Device(Document):
    """A published device: its total, and its parts.

    Fields:
        papers: what is taken from these is under test, and predicts nothing here.
        efficiency: of the supply, where the total is the battery's.
    """

    title: str
    papers: tuple[str, ...] = Field(min_length=1)
    scope: Scope
    published_uw: Annotated[Quantity, In("uW")]
    parts: tuple[PartCount, ...] = Field(min_length=1)
    efficiency: Annotated[Quantity, In("1", at_least=0.01, at_most=1.0)] | None = None


class Sum(Document):
    """Parts, or factors, that were printed beside a total.

    kind "battery": power times running time beside the energy that is printed on the cell. Not all of that can be used:
    the ratio is shown, and no bound is set to it.
    """

    title: str
    kind: Literal["sum", "product", "battery"]
    total: Quantity
    parts: dict[str, Quantity] = Field(min_length=2)


class Member(Document):
    """One device of a family."""

    size: Annotated[Quantity, In("1", at_least=1e-9)]
    power_uw: Annotated[Quantity, In("uW", at_least=1e-9)]


class Family(Document):
    """Devices of one architecture that differ in `size`."""

    title: str
    size: str
    devices: dict[str, Member] = Field(min_length=3)


class Cases(Document):
    """All test cases; left_out says why a device is none."""

    components: dict[str, Component]
    devices: dict[str, Device]
    sums: dict[str, Sum]
    families: dict[str, Family]
    left_out: dict[str, str]

    @model_validator(mode="after")
    def _components_are_known(self) -> Self:
        named = {part.component for device in self.devices.values() for part in device.parts}
        if named - set(self.components):
            raise ValueError(f"no component {', '.join(sorted(named - set(self.components)))}: add it to [components]")
        return self


def load_cases() -> Cases:
    """The cases that are shipped."""
    return load_toml(CASES, Cases)
