"""A number about hardware has a range, a unit, a source and a class, or it is refused."""

from __future__ import annotations

from typing import Annotated

import pytest

from edgebci.documents import Document, parse
from edgebci.errors import InputError
from edgebci.quantity import Quantity, measured_in, quantities


class Chip(Document):
    clock_mhz: Annotated[Quantity, measured_in("MHz", at_least=1.0, at_most=1000.0)]


class Board(Document):
    chips: dict[str, Chip]
    spare: Chip | None = None


GOOD: dict[str, object] = {"value": 64, "unit": "MHz", "source": "a datasheet", "class": "primary"}


def _chip(clock: object) -> Chip:
    return parse({"clock_mhz": clock}, Chip, "chip.toml")


def test_one_value_stands_for_low_typical_and_high() -> None:
    clock = _chip(GOOD).clock_mhz
    assert (clock.low, clock.typical, clock.high) == (64.0, 64.0, 64.0)
    assert clock.evidence_class == "primary"


def test_a_range_keeps_its_three_values() -> None:
    clock = _chip(_range(32, 64, 128)).clock_mhz
    assert (clock.low, clock.typical, clock.high) == (32.0, 64.0, 128.0)


def _range(low: float, typical: float, high: float) -> dict[str, object]:
    rest = {key: entry for key, entry in GOOD.items() if key != "value"}
    return rest | {"low": low, "typical": typical, "high": high}


def _without(key: str) -> dict[str, object]:
    return {name: entry for name, entry in GOOD.items() if name != key}


BAD = {
    "bare number": (64, "value .or low, typical, high., unit, source and class"),
    "no unit": (_without("unit"), "'clock_mhz.unit' is missing"),
    "no source": (_without("source"), "'clock_mhz.source' is missing"),
    "empty source": (GOOD | {"source": ""}, "'clock_mhz.source' is ''"),
    "no class": (_without("class"), "'clock_mhz.class' is missing"),
    "no value": (_without("value"), "give value, or all of low, typical and high"),
    "half a range": (_without("value") | {"low": 1}, "give value, or all of low, typical and high"),
    "value and range": (GOOD | {"low": 1}, "both value and a range"),
    "wrong unit": (GOOD | {"unit": "kHz"}, "its unit is 'kHz' where only 'MHz' is allowed"),
    "low above high": (_range(128, 64, 32), "out of order"),
    "typical above high": (_range(32, 64, 48), "out of order"),
    "impossible value": (GOOD | {"value": -64}, "leaves the possible range 1 to 1000 MHz"),
    "unknown class": (GOOD | {"class": "guess"}, "'primary', 'paper', 'secondary', 'derived' or 'assumed'"),
    "unknown key": (GOOD | {"clas": "primary"}, "unknown key 'clock_mhz.clas', did you mean 'class'"),
    "not a number": (GOOD | {"value": "fast"}, "valid number"),
    "not finite": (GOOD | {"value": float("inf")}, "finite"),
}


@pytest.mark.parametrize(("clock", "sentence"), BAD.values(), ids=BAD.keys())
def test_a_number_that_lacks_something_is_refused_by_name(clock: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        _chip(clock)
    assert str(caught.value).startswith("chip.toml: ")
    assert "\n" not in str(caught.value)


def test_quantities_are_found_at_every_depth_by_their_path() -> None:
    spare = _chip(_range(1, 2, 3))
    found = quantities(Board(chips={"main": _chip(GOOD)}, spare=spare))
    assert set(found) == {"chips.main.clock_mhz", "spare.clock_mhz"}
    # The object itself, not a copy: formulas recognise an input by identity.
    assert found["spare.clock_mhz"] is spare.clock_mhz
