"""Heat flowing between cells: conductances, sinks and capacities as sparse matrices, solved steadily or in time.

    C dT/dt = Q - G T        T rise above the resting tissue, K        G conductance between cells and to blood and air
    C capacity, J/K          Q heat set free in a cell, W

A finite-volume form of the Pennes equation (Pennes 1948, J. Appl. Physiol. 1:93): every geometry fills the same two
matrices, so the tests of a slab and of a sphere are tests of the disc's solver too. Metabolic heat and arterial blood
make the resting temperature, which drops out of the rise: the equation is linear.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu, spsolve

F64 = NDArray[np.float64]
Ints = NDArray[np.intp]

# An L-stable Runge-Kutta method of order two whose stages share one matrix (Alexander 1977, SIAM J. Numer. Anal. 14).
GAMMA = 1.0 - math.sqrt(0.5)
SYMMETRIC: Final = "MMD_AT_PLUS_A"
"""The order of elimination that suits a symmetric pattern: a third faster than the default."""
STEPS_PER_DOUBLING = 8
"""The step doubles after so many: heat conduction starts as the square root of time and settles as an exponential."""


@dataclass(frozen=True, eq=False)
class Network:
    """Cells that exchange heat.

    Fields:
        conductance: (n, n) sparse, W/K; what flows out of cell i is row i times the rises.
        capacity: (n,) J/K.
    """

    conductance: sparse.csc_array
    capacity: F64


def network(pairs: Ints, between: F64, sink: F64, capacity: F64) -> Network:
    """Put cells together.

    Args:
        pairs: (m, 2) cells that touch. between: (m,) W/K from one to the other.
        sink: (n,) W/K from each cell to what stays at rest: blood, air, far tissue.
        capacity: (n,) J/K.
    """
    n = len(capacity)
    first, second = pairs[:, 0], pairs[:, 1]
    rows = np.concatenate([first, second, first, second, np.arange(n)])
    columns = np.concatenate([second, first, first, second, np.arange(n)])
    values = np.concatenate([-between, -between, between, between, sink])
    return Network(sparse.csc_array((values, (rows, columns)), shape=(n, n)), capacity)


def steady_rise(cells: Network, heat_w: F64) -> F64:
    """Rise of each cell, (n,) K, after a long time of `heat_w` (n,) W."""
    return np.asarray(spsolve(cells.conductance, heat_w, permc_spec=SYMMETRIC))


def rises_in_time(cells: Network, heat_w: F64, duration_s: float, first_step_s: float) -> Iterator[tuple[float, F64]]:
    """Moments and rises (n,) from rest, with `heat_w` on from 0; the last moment is `duration_s` exactly."""
    rise, time_s, step_s, solve = np.zeros_like(heat_w), 0.0, first_step_s, _stage(cells, first_step_s)
    for count in range(1, 10**9):
        if time_s + step_s >= duration_s * (1 - 1e-9):
            step_s = duration_s - time_s
            yield duration_s, _advance(cells, _stage(cells, step_s), heat_w, rise, step_s)
            return
        rise = _advance(cells, solve, heat_w, rise, step_s)
        time_s += step_s
        yield time_s, rise
        if count % STEPS_PER_DOUBLING == 0:
            step_s *= 2.0
            solve = _stage(cells, step_s)


def _stage(cells: Network, step_s: float) -> sparse.linalg.SuperLU:
    stage = sparse.csc_array(sparse.diags_array(cells.capacity) + GAMMA * step_s * cells.conductance)
    return splu(stage, permc_spec=SYMMETRIC)


def _advance(cells: Network, solve: sparse.linalg.SuperLU, heat_w: F64, rise: F64, step_s: float) -> F64:
    first = solve.solve(heat_w - cells.conductance @ rise)
    second = solve.solve(heat_w - cells.conductance @ (rise + (1.0 - GAMMA) * step_s * first))
    advanced: F64 = rise + step_s * ((1.0 - GAMMA) * first + GAMMA * second)
    return advanced
