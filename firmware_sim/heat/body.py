"""What lies over and under an implant at each location: tissues and thicknesses, shared by heat and radio waves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from edgebci.documents import Document, load_toml
from edgebci.hardware import Location, Tissue, load_profile
from edgebci.quantity import Quantity, measured_in, quantities

_TISSUES = {"remaining-skull": "skull"}
"""Layers that are named otherwise than their tissue."""


class _Order(Document):
    over: tuple[str, ...]
    under: tuple[str, ...]


class Body(Document):
    """The content of body.toml."""

    air_w_per_m2_k: Annotated[Quantity, measured_in("W/m2/K")]
    thickness_mm: dict[str, Annotated[Quantity, measured_in("mm", at_least=0.01)]]
    places: dict[Location, _Order]


@dataclass(frozen=True, eq=False)
class BodyLayer:
    """A layer of the body; `thickness_mm` is None for the last one under an implant, which has no end."""

    name: str
    tissue: Tissue
    thickness_mm: Quantity | None


@dataclass(frozen=True)
class Surroundings:
    """Layers `over` an implant from it out to the air, layers `under` it inwards, and what air takes, W/m2/K."""

    over: tuple[BodyLayer, ...]
    under: tuple[BodyLayer, ...]
    air_w_per_m2_k: Quantity


@cache
def surroundings(location: Location) -> Surroundings:
    """What lies around an implant at a location."""
    shipped = body()
    order = shipped.places[location]
    over = tuple(_layer(name, shipped.thickness_mm[name]) for name in order.over)
    under = tuple(_layer(name, shipped.thickness_mm[name]) for name in order.under[:-1])
    return Surroundings(over, (*under, _layer(order.under[-1], None)), shipped.air_w_per_m2_k)


@cache
def body() -> Body:
    """The shipped thicknesses and orders of layers."""
    return load_toml(Path(__file__).with_name("body.toml"), Body)


def _layer(name: str, thickness_mm: Quantity | None) -> BodyLayer:
    return BodyLayer(name, _tissue(_TISSUES.get(name, name)), thickness_mm)


@cache
def _tissue(name: str) -> Tissue:
    return load_profile(Tissue, name)


@cache
def body_inputs() -> dict[str, Quantity]:
    """The quantities that formulas pick from the body, by their dotted path."""
    layers = {layer for place in body().places for side in _sides(place) for layer in side}
    tissues = {layer.tissue.name: layer.tissue for layer in layers}
    named = {f"body.{path}": quantity for path, quantity in quantities(body()).items()}
    for name, tissue in sorted(tissues.items()):
        named |= {f"body.{name}.{path}": quantity for path, quantity in quantities(tissue).items()}
    return named


def body_input_names() -> dict[int, str]:
    """The dotted path of each of them by its id (see `uncertainty.estimate`)."""
    return {id(quantity): path for path, quantity in body_inputs().items()}


def _sides(location: Location) -> tuple[tuple[BodyLayer, ...], ...]:
    around = surroundings(location)
    return around.over, around.under
