"""How a constant of the generator is declared: value, meaning, evidence and the range that sweeps draw from.

Evidence is a class. `assumed` means that no source was found that fixes the value; `paper` names its source. Every
constant is one field with its unit in its name, so that a sweep, a report and a reader all see the same list.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

T = TypeVar("T")


def _ordered(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError(f"the low end {span[0]:g} is above the high end {span[1]:g}; swap them")
    return span


Span = Annotated[tuple[float, float], AfterValidator(_ordered)]
"""(low, high): one value is drawn for each latent, unit, channel or session, as the field's text says."""


def assumed(
    default: T, text: str, *, sweep: tuple[float, float] | None = None, ge: float | None = None, le: float | None = None
) -> T:
    """Declare a constant of class `assumed`; `sweep` is the range from which `drawn` takes another value."""
    return _field(default, text, {"evidence": "assumed", **_sweep(sweep)}, ge, le)


def sourced(
    default: T,
    text: str,
    source: str,
    *,
    sweep: tuple[float, float] | None = None,
    ge: float | None = None,
    le: float | None = None,
) -> T:
    """Declare a constant of class `paper`, with its source."""
    return _field(default, text, {"evidence": "paper", "source": source, **_sweep(sweep)}, ge, le)


def setting(default: T, text: str, *, ge: float | None = None, le: float | None = None) -> T:
    """Declare something that the user chooses and that claims nothing about brains."""
    return _field(default, text, {"evidence": "setting"}, ge, le)


def sweep_of(field: FieldInfo) -> tuple[float, float] | None:
    """The range that a constant was declared with, if any."""
    extra = field.json_schema_extra
    sweep = extra.get("sweep") if isinstance(extra, dict) else None
    return (float(str(sweep[0])), float(str(sweep[1]))) if isinstance(sweep, list) else None


def _field(default: T, text: str, extra: JsonDict, ge: float | None, le: float | None) -> T:
    value: T = Field(default=default, description=text, ge=ge, le=le, json_schema_extra=extra)
    return value


def _sweep(sweep: tuple[float, float] | None) -> JsonDict:
    return {} if sweep is None else {"sweep": list(sweep)}
