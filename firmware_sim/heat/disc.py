"""Heat of a thin round implant between layers of tissue: the axisymmetric Pennes equation, steady and in time.

The disc lies in a plane; `below` are the layers under it, the first touching it, `above` those over it, out to the air.
It sets heat free evenly over its area. Where its back is insulated, nothing crosses the plane inside its rim; without
layers above, nothing crosses the plane anywhere, which is the closed form of `edgebci.firmware_sim.thermal`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.firmware_sim.heat.layers import F64, IN_TIME, STEADY, Column, Fineness, Layer, column, far_m, radii
from edgebci.firmware_sim.heat.network import Network, network, rises_in_time, steady_rise

Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Place:
    """Where a disc lies.

    Fields:
        below: the last one has no end. above: from the disc to the air; () is a plane that lets no heat through.
        air_w_per_m2_k: what air takes from the outermost layer above.
        insulated_back: heat leaves the disc downwards only.
    """

    below: tuple[Layer, ...]
    above: tuple[Layer, ...] = ()
    air_w_per_m2_k: float = 0.0
    insulated_back: bool = False


@dataclass(frozen=True)
class Rises:
    """Rises per watt of a disc, K/W: at the disc's hottest point, and the highest in each layer below and above."""

    disc: float
    below: tuple[float, ...]
    above: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class _Grid:
    """Cells of both sides: rings (r,) by the cells of a column, side by side; `below` first.

    Fields:
        ring_m2: area of each ring. inside: rings under the disc.
        down, up: the conductance of a ring from the first cell's middle to the disc's plane, W/K; up is 0 without
            layers above.
    """

    sides: tuple[Column, ...]
    starts: tuple[int, ...]
    edges_m: F64
    ring_m2: F64
    inside: NDArray[np.bool_]
    down: F64
    up: F64


def disc_rises(radius_m: float, place: Place) -> Rises:
    """Steady rises for one watt."""
    grid = _grid(radius_m, place, STEADY)
    return _rises(grid, place, steady_rise(_cells(grid, place), _heat(grid, place)))


def disc_in_time(radius_m: float, place: Place, duration_s: float, first_step_s: float) -> tuple[F64, F64]:
    """Moments (m,) in s and rises of the disc's hottest point (m,) in K for one watt switched on at 0."""
    grid = _grid(radius_m, place, IN_TIME)
    steps = rises_in_time(_cells(grid, place), _heat(grid, place), duration_s, first_step_s)
    found = [(moment_s, _disc_rise(grid, place, rise)) for moment_s, rise in steps]
    moments, rises = zip(*found, strict=True)
    return np.array(moments), np.array(rises)


def _grid(radius_m: float, place: Place, fineness: Fineness) -> _Grid:
    sides = tuple(column(layers, fineness, radius_m) for layers in (place.below, place.above) if layers)
    edges = radii(radius_m, radius_m + far_m(place.below + place.above), fineness)
    ring_m2 = math.pi * np.diff(edges**2)
    down = ring_m2 * 2.0 * sides[0].conductivity[0] / sides[0].width_m[0]
    up = ring_m2 * 2.0 * sides[1].conductivity[0] / sides[1].width_m[0] if place.above else np.zeros_like(ring_m2)
    starts = (0, len(sides[0].layer) * len(ring_m2))[: len(sides)]
    return _Grid(sides, starts, edges, ring_m2, edges[1:] <= radius_m * (1 + 1e-9), down, up)


def _cells(grid: _Grid, place: Place) -> Network:
    pairs, between, sinks, capacities = [], [], [], []
    outer = (_outer(grid, 0, place.below, 0.0), _outer(grid, 1, place.above, place.air_w_per_m2_k))
    for i, side in enumerate(grid.sides):
        side_pairs, side_between, sink, capacity = _side(grid, side, grid.starts[i], outer[i])
        pairs.append(side_pairs)
        between.append(side_between)
        sinks.append(sink)
        capacities.append(capacity)
    if place.above:
        crossing = np.flatnonzero(~grid.inside) if place.insulated_back else np.arange(len(grid.ring_m2))
        pairs.append(np.stack([crossing, grid.starts[1] + crossing], axis=1))
        between.append((grid.down * grid.up / (grid.down + grid.up))[crossing])
    return network(np.concatenate(pairs), np.concatenate(between), np.concatenate(sinks), np.concatenate(capacities))


def _outer(grid: _Grid, side: int, layers: tuple[Layer, ...], air_w_per_m2_k: float) -> F64:
    """Conductance of each ring out of the far side of a column: to tissue at rest, to the air, or none."""
    if not layers:
        return np.zeros_like(grid.ring_m2)
    cut = grid.sides[side]
    half = 2.0 * cut.conductivity[-1] / cut.width_m[-1]
    cooled = air_w_per_m2_k * half / (air_w_per_m2_k + half) if air_w_per_m2_k else 0.0
    return grid.ring_m2 * float(half if math.isinf(layers[-1].thickness_m) else cooled)


def _side(grid: _Grid, cut: Column, start: int, outer: F64) -> tuple[Ints, F64, F64, F64]:
    """Pairs, conductances, sinks and capacities of one side; cell (j, i), depth j and ring i, is start + j * r + i."""
    depths, rings = len(cut.layer), len(grid.ring_m2)
    index = start + np.arange(depths * rings).reshape(depths, rings)
    half = 0.5 * cut.width_m / cut.conductivity
    vertical = grid.ring_m2 / (half[1:] + half[:-1])[:, None]
    middles = 0.5 * (grid.edges_m[1:] + grid.edges_m[:-1])
    around = 2.0 * math.pi * grid.edges_m[1:-1] / np.diff(middles)
    radial = (cut.conductivity * cut.width_m)[:, None] * around
    volumes = cut.width_m[:, None] * grid.ring_m2
    sink = cut.perfusion[:, None] * volumes
    sink[-1] += outer
    rim = 2.0 * math.pi * grid.edges_m[-1] / (grid.edges_m[-1] - middles[-1])
    sink[:, -1] += cut.conductivity * cut.width_m * rim
    pairs = np.concatenate([_touching(index[:-1], index[1:]), _touching(index[:, :-1], index[:, 1:])])
    between = np.concatenate([vertical.ravel(), radial.ravel()])
    return pairs, between, sink.ravel(), (cut.capacity[:, None] * volumes).ravel()


def _touching(first: Ints, second: Ints) -> Ints:
    return np.stack([first.ravel(), second.ravel()], axis=1)


def _downwards(grid: _Grid, place: Place) -> F64:
    """Share of a ring's heat that enters the first cell below; the plane itself holds none."""
    return np.ones_like(grid.down) if place.insulated_back else grid.down / (grid.down + grid.up)


def _heat(grid: _Grid, place: Place) -> F64:
    heat_w = np.zeros(sum(len(side.layer) for side in grid.sides) * len(grid.ring_m2))
    of_ring = np.where(grid.inside, grid.ring_m2, 0.0) / grid.ring_m2[grid.inside].sum()
    down = _downwards(grid, place)
    heat_w[: len(of_ring)] = down * of_ring
    if place.above:
        heat_w[grid.starts[1] : grid.starts[1] + len(of_ring)] = (1.0 - down) * of_ring
    return heat_w


def _disc_rise(grid: _Grid, place: Place, rise: F64) -> float:
    """At the disc's plane in its middle, where it is hottest."""
    flux_w = grid.ring_m2[0] / grid.ring_m2[grid.inside].sum()
    if place.insulated_back or not place.above:
        return float(rise[0] + flux_w / grid.down[0])
    sides = grid.down[0] * rise[0] + grid.up[0] * rise[grid.starts[1]]
    return float((sides + flux_w) / (grid.down[0] + grid.up[0]))


def _rises(grid: _Grid, place: Place, rise: F64) -> Rises:
    disc = _disc_rise(grid, place, rise)
    by_side = [_highest(grid, i, rise) for i in range(len(grid.sides))]
    below = (disc, *by_side[0][1:])
    above = by_side[1] if place.above else ()
    if place.above and not place.insulated_back:
        above = (disc, *above[1:])
    return Rises(disc, below, above)


def _highest(grid: _Grid, side: int, rise: F64) -> tuple[float, ...]:
    """The highest rise in each layer of a side."""
    cut, start, rings = grid.sides[side], grid.starts[side], len(grid.ring_m2)
    cells = rise[start : start + len(cut.layer) * rings].reshape(len(cut.layer), rings).max(axis=1)
    return tuple(float(cells[cut.layer == layer].max()) for layer in range(int(cut.layer[-1]) + 1))
