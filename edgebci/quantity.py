"""A number about hardware: its range, its unit, where it was read, and how far that source can be trusted.

Classes, from the best evidence to the least:

    primary     read in a datasheet, a standard, a raw log or source code
    paper       read in a paper's own abstract, table or figure
    secondary   a vendor's comparison, a blog, someone's notes
    derived     computed from numbers of the classes above; the source says how
    assumed     from memory or chosen; not found in a public source

In a profile a number is a table: `{ value = 120, unit = "MHz", source = "...", class = "primary" }`, or with
`low`, `typical` and `high` in place of `value`. A bare number is refused.
"""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edgebci.documents import Document

EvidenceClass = Literal["primary", "paper", "secondary", "derived", "assumed"]

_RANGE = ("low", "typical", "high")


class Quantity(Document):
    """A range low <= typical <= high of one unit, with its source."""

    model_config = ConfigDict(populate_by_name=True)

    low: float
    typical: float
    high: float
    unit: str
    source: str = Field(min_length=1)
    evidence_class: EvidenceClass = Field(alias="class")

    @model_validator(mode="before")
    @classmethod
    def _value_stands_for_all_three(cls, content: object) -> object:
        if not isinstance(content, dict):
            raise ValueError("a number stands in a table with value (or low, typical, high), unit, source and class")
        if "value" not in content and not all(key in content for key in _RANGE):
            raise ValueError(f"its keys are {', '.join(content)}: give value, or all of low, typical and high")
        if "value" in content and any(key in content for key in _RANGE):
            raise ValueError("it has both value and a range: keep value, or low, typical and high")
        rest = {key: entry for key, entry in content.items() if key != "value"}
        return rest | dict.fromkeys(_RANGE, content["value"]) if "value" in content else rest

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Self:
        if not self.low <= self.typical <= self.high:
            raise ValueError(
                f"low {self.low:.9g}, typical {self.typical:.9g} and high {self.high:.9g} are out of order; sort them"
            )
        return self


def measured_in(unit: str, at_least: float = 0.0, at_most: float = math.inf) -> AfterValidator:
    """Say in an annotation which unit a field has and which values are physically possible.

    `clock_mhz: Annotated[Quantity, measured_in("MHz")]` refuses a clock in Hz: nothing is converted silently.
    """

    def check(quantity: Quantity) -> Quantity:
        if quantity.unit != unit:
            raise ValueError(f"its unit is {quantity.unit!r} where only {unit!r} is allowed; convert the number")
        if quantity.low < at_least or quantity.high > at_most:
            raise ValueError(f"it leaves the possible range {at_least:g} to {at_most:g} {unit}; check it")
        return quantity

    return AfterValidator(check)


def quantities(model: BaseModel) -> dict[str, Quantity]:
    """Return every Quantity inside a profile by its dotted path, e.g. `front_end.noise_uvrms`."""
    found: dict[str, Quantity] = {}
    for name in type(model).model_fields:
        found |= _named(name, getattr(model, name))
    return found


def _named(path: str, content: object) -> dict[str, Quantity]:
    if isinstance(content, Quantity):
        return {path: content}
    inner: dict[str, Quantity] = {}
    if isinstance(content, BaseModel):
        inner = quantities(content)
    elif isinstance(content, dict):
        for key, entry in content.items():
            inner |= _named(str(key), entry)
    return {f"{path}.{name}": quantity for name, quantity in inner.items()}
