"""Heat through layers in one dimension: an even flux into a wide face, and a sphere inside one tissue."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgebci.firmware_sim.heat.layers import F64, IN_TIME, Column, Layer, column
from edgebci.firmware_sim.heat.network import Network, network, rises_in_time, steady_rise


@dataclass(frozen=True, eq=False)
class Profile:
    """Rises along a line, for one watt per square metre (slab) or one watt (sphere).

    Fields:
        depth_m, rise: (n,) middles of the cells and their rise, K.
        face_rise: where heat enters, K.
    """

    depth_m: F64
    rise: F64
    face_rise: float


def slab_profile(layers: tuple[Layer, ...], air_w_per_m2_k: float = 0.0) -> Profile:
    """Steady rises for 1 W/m2 into the face of `layers`.

    `air_w_per_m2_k` cools the far side of the last layer; without it, that side is far tissue at rest if the layer has
    no end, else it lets no heat through.
    """
    cut, cells = _slab(layers, air_w_per_m2_k)
    return _profile(cut, steady_rise(cells, _at_face(cut)), area_m2=1.0)


def slab_face_in_time(layers: tuple[Layer, ...], duration_s: float, first_step_s: float) -> tuple[F64, F64]:
    """Moments (m,) in s and rises of the face (m,) in K for 1 W/m2 switched on at 0."""
    cut, cells = _slab(layers, 0.0)
    return _face_in_time(cut, cells, 1.0, duration_s, first_step_s)


def sphere_profile(radius_m: float, tissue: Layer) -> Profile:
    """Steady rises outside a sphere in endless tissue that sets 1 W free; depth counts from its surface."""
    cut, cells = _sphere(radius_m, tissue)
    return _profile(cut, steady_rise(cells, _at_face(cut)), _sphere_area(radius_m))


def sphere_surface_in_time(radius_m: float, tissue: Layer, duration_s: float, first_step_s: float) -> tuple[F64, F64]:
    """Moments (m,) in s and rises of the surface (m,) in K for 1 W switched on at 0."""
    cut, cells = _sphere(radius_m, tissue)
    return _face_in_time(cut, cells, _sphere_area(radius_m), duration_s, first_step_s)


def _slab(layers: tuple[Layer, ...], air_w_per_m2_k: float) -> tuple[Column, Network]:
    cut = column(layers, IN_TIME)
    ones = np.ones(len(cut.edges_m))
    return cut, _line(cut, ones, cut.width_m, _leaving(cut, layers[-1], air_w_per_m2_k))


def _leaving(cut: Column, last: Layer, air_w_per_m2_k: float) -> float:
    """Conductance from the last cell's middle out of the far side, per area."""
    half = 2.0 * cut.conductivity[-1] / cut.width_m[-1]
    if math.isinf(last.thickness_m):
        return float(half)
    return float(air_w_per_m2_k * half / (air_w_per_m2_k + half)) if air_w_per_m2_k else 0.0


def _sphere(radius_m: float, tissue: Layer) -> tuple[Column, Network]:
    cut = column((tissue,), IN_TIME, radius_m)
    edges = radius_m + cut.edges_m
    volumes = 4.0 / 3.0 * math.pi * np.diff(edges**3)
    areas = 4.0 * math.pi * edges**2
    return cut, _line(cut, areas, volumes, float(2.0 * cut.conductivity[-1] / cut.width_m[-1] * areas[-1]))


def _line(cut: Column, areas: F64, volumes: F64, leaving: float) -> Network:
    """Cells in a row: areas (n + 1,) of their borders in m2, volumes (n,) in m3."""
    n = len(volumes)
    resistance = 0.5 * cut.width_m / cut.conductivity
    between = areas[1:-1] / (resistance[1:] + resistance[:-1])
    sink = cut.perfusion * volumes
    sink[-1] += leaving
    pairs = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
    return network(pairs, between, sink, cut.capacity * volumes)


def _at_face(cut: Column) -> F64:
    heat_w = np.zeros(len(cut.layer))
    heat_w[0] = 1.0
    return heat_w


def _profile(cut: Column, rise: F64, area_m2: float) -> Profile:
    middles = 0.5 * (cut.edges_m[1:] + cut.edges_m[:-1])
    return Profile(middles, rise, _face(cut, rise, area_m2))


def _face(cut: Column, rise: F64, area_m2: float) -> float:
    """From the first cell's middle to the face, through which one watt flows over `area_m2`."""
    return float(rise[0] + 0.5 * cut.width_m[0] / (cut.conductivity[0] * area_m2))


def _face_in_time(
    cut: Column, cells: Network, area_m2: float, duration_s: float, first_step_s: float
) -> tuple[F64, F64]:
    found = [
        (moment_s, _face(cut, rise, area_m2))
        for moment_s, rise in rises_in_time(cells, _at_face(cut), duration_s, first_step_s)
    ]
    moments, faces = zip(*found, strict=True)
    return np.array(moments), np.array(faces)


def _sphere_area(radius_m: float) -> float:
    return 4.0 * math.pi * radius_m**2
