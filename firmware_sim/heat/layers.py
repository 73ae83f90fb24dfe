"""Layers of tissue in plain numbers, and grids over them that are fine where heat enters and coarse far away."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

FAR = 8.0
"""Spread lengths to where tissue is taken to be at rest: exp(-8) of the rise is left there."""
FURTHEST_M = 0.15
"""Where nothing perfuses, the body ends before heat does."""


@dataclass(frozen=True)
class Fineness:
    """How finely tissue is cut.

    Fields:
        finest: cells where heat enters, as a share of the shortest length that matters (spread, radius, thickness).
        growth: from one cell to the next.
    """

    finest: float
    growth: float


STEADY = Fineness(0.05, 1.3)
"""Within 0.8 % of the closed forms once heat has spread, a thousand cells: a budget asks for many."""
IN_TIME = Fineness(0.02, 1.15)
"""Finer, because heat that has just entered is close to where it did."""


@dataclass(frozen=True)
class Layer:
    """A sheet of tissue.

    Fields:
        thickness_m: inf for the last one.
        conductivity: k, W/m/K. perfusion: w * rho_b * c_b, W/m3/K. capacity: rho * c, J/m3/K.
    """

    thickness_m: float
    conductivity: float
    perfusion: float
    capacity: float

    @property
    def spread_m(self) -> float:
        """Distance over which a rise falls by e in one dimension; inf without perfusion."""
        return math.sqrt(self.conductivity / self.perfusion) if self.perfusion > 0 else math.inf


@dataclass(frozen=True, eq=False)
class Column:
    """Layers cut into cells along the depth; fields (n,), edges (n + 1,).

    Fields:
        edges_m: from the face at 0 inwards.
        layer: index of each cell's layer.
        conductivity, perfusion, capacity: of each cell.
    """

    edges_m: F64
    layer: NDArray[np.intp]
    conductivity: F64
    perfusion: F64
    capacity: F64

    @property
    def width_m(self) -> F64:
        """(n,) thickness of each cell."""
        return np.diff(self.edges_m)


def column(layers: tuple[Layer, ...], fineness: Fineness, shortest_m: float = math.inf) -> Column:
    """Cut `layers` into cells that grow from the face inwards; `shortest_m`: a length of the source that matters."""
    finest_m = fineness.finest * min(shortest_m, *(min(layer.thickness_m, layer.spread_m) for layer in layers))
    starts = np.concatenate([[0.0], np.cumsum([_depth_m(layer) for layer in layers])])
    edges = np.concatenate(
        [_cut(starts[i], starts[i + 1], finest_m, fineness.growth) for i in range(len(layers))] + [starts[-1:]]
    )
    index = np.searchsorted(starts, 0.5 * (edges[1:] + edges[:-1])) - 1

    def of_cells(values: list[float]) -> F64:
        return np.array([values[i] for i in index])

    return Column(
        edges_m=edges,
        layer=index,
        conductivity=of_cells([layer.conductivity for layer in layers]),
        perfusion=of_cells([layer.perfusion for layer in layers]),
        capacity=of_cells([layer.capacity for layer in layers]),
    )


def radii(radius_m: float, far_m: float, fineness: Fineness) -> F64:
    """Edges of rings: fine on both sides of a disc's rim, (n + 1,) from 0 to `far_m`."""
    finest_m = fineness.finest * radius_m
    outwards = _growing(far_m - radius_m, finest_m, fineness.growth)
    inwards = _growing(radius_m, finest_m, fineness.growth)
    return np.concatenate([[0.0], radius_m - inwards[-2::-1], radius_m + outwards[1:]])


def far_m(layers: tuple[Layer, ...]) -> float:
    """How far tissue has to be followed until it is at rest."""
    return min(FURTHEST_M, FAR * max(layer.spread_m for layer in layers))


def _depth_m(layer: Layer) -> float:
    return layer.thickness_m if math.isfinite(layer.thickness_m) else min(FURTHEST_M, FAR * layer.spread_m)


def _cut(start_m: float, stop_m: float, finest_m: float, growth: float) -> F64:
    """Edges from start (included) to stop (left out): cells grow with the distance from the face at 0."""
    at_start_m = finest_m + (growth - 1.0) * start_m
    return start_m + _growing(stop_m - start_m, at_start_m, growth)[:-1]


def _growing(length_m: float, first_m: float, growth: float) -> F64:
    """Edges from 0 to `length_m`, each cell `growth` times the one before; the last ones stretched to fit."""
    n = max(1, math.ceil(math.log1p(length_m * (growth - 1.0) / first_m) / math.log(growth)))
    edges = np.concatenate([[0.0], np.cumsum(growth ** np.arange(n))])
    grown: F64 = edges * (length_m / edges[-1])
    return grown
