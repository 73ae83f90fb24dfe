"""One figure of the proof: a value with its range, its unit and how it came about, and how it is written in prose."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from edgebci.documents import Document

Evidence = Literal["measured", "counted", "modelled"]
"""Measured on the machine that ran the proof, counted exactly, or the result of a model."""

R2 = "R²"
BARE_UNITS = ("", R2, "r")
"""The label of such a figure says what it is; the number stands alone."""
DECIMALS = 3


class Figure(Document):
    """One figure; `low` and `high` are its interval or range."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9_]*$")
    label: str
    value: int | float | str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    evidence: Evidence
    note: str = ""
    headline: bool = True
    """Whether examples/figures.md shows it; examples/proof.json holds them all."""


def slug(text: str) -> str:
    """A part of a figure's name: `device (host twin)` becomes device_host_twin."""
    return re.sub("[^a-z0-9]+", "_", text.lower()).strip("_")


def value_text(figure: Figure) -> str:
    """The value with its unit, for example 117,000 cycles."""
    return _with_unit(_number(figure.value, figure.unit), figure.unit)


def range_text(figure: Figure) -> str:
    """The value with its range and unit, for example 0.431 (0.402 to 0.457)."""
    if figure.low is None or figure.high is None:
        return value_text(figure)
    value, low, high = (_number(number, figure.unit) for number in (figure.value, figure.low, figure.high))
    return _with_unit(f"{value} ({low} to {high})", figure.unit)


def _with_unit(text: str, unit: str) -> str:
    return text if unit in BARE_UNITS else f"{text} {unit}"


def _number(value: float | str, unit: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    if unit in (R2, "r"):
        return f"{value:.{DECIMALS}f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
