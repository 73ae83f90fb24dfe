"""What `edgebci budget` is asked: which implant, chip and radio, which decoder, and which limits it must keep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from edgebci.documents import Document, nearest
from edgebci.errors import InputError
from edgebci.firmware_sim.limits import UNITS, LimitName
from edgebci.pipeline.budget.counts import Counts

LIMITS: tuple[LimitName, ...] = get_args(LimitName)
Sent = Literal["decoded", "features", "samples"]
"""What leaves the implant."""
SENT: tuple[Sent, ...] = get_args(Sent)


class Limit(Document):
    """What a design must keep: at most so much, of `battery_h` at least."""

    name: LimitName
    value: float = Field(gt=0)


class BudgetOrder(Document):
    """A question.

    Fields:
        decoder: a bundle's folder or the .toml of a decoder's sizes; counts: the same, typed; one of the two.
        measured: what `edgebci run-on-target --json` printed for the decoder, in place of counts times costs.
        cycles: of one frame, known from elsewhere, likewise.
        clock_mhz: below the compute part's own.
        sent: what leaves the implant; samples are sent as the converter gives them.
        years: that the battery has been in use.
        board: that would run the decoder outside; board_measured: what benchmark.py wrote there.
    """

    implant: str
    compute: str
    radio: str
    decoder: Path | None = None
    counts: Counts | None = None
    measured: Path | None = None
    cycles: float | None = Field(default=None, ge=0)
    clock_mhz: float | None = Field(default=None, gt=0)
    sent: Sent = "decoded"
    years: float = Field(default=0.0, ge=0)
    limits: tuple[Limit, ...] = ()
    board: str | None = None
    board_measured: Path | None = None


def parse_limit(text: str) -> Limit:
    """Read `name=value`.

    Raises:
        InputError: it is not of that form, there is no such limit, or its value is no positive number.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"the limit {text!r} has no value; write it as temperature_rise_c=1.0")
    for known in LIMITS:
        if known == name:
            return Limit(name=known, value=_positive(known, value))
    raise InputError(f"no limit {name!r}; {nearest(name, list(LIMITS))}")


def _positive(name: LimitName, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise InputError(f"the limit {name} is {value!r}; give a positive number of {UNITS[name]}")
    return number


def parse_sent(text: str) -> Sent:
    """Read what leaves the implant; raises InputError where there is no such thing."""
    for known in SENT:
        if known == text:
            return known
    raise InputError(f"the implant cannot send {text!r}; {nearest(text, list(SENT))}")


def require_one_question(questions: Mapping[str, object], of_comparison: Mapping[str, object]) -> None:
    """Refuse two questions at once, and what belongs to a comparison without one.

    Raises:
        InputError: says which options do not go together.
    """
    asked = [name for name, given in questions.items() if given]
    if len(asked) > 1:
        raise InputError(f"{' and '.join(asked)} were asked at once; ask one at a time")
    stray = [name for name, given in of_comparison.items() if given]
    if stray and "--compare" not in asked:
        raise InputError(f"{stray[0]} is of use to --compare partitions alone; add that, or leave it out")
