"""The sheet of cortex: patches on a grid, electrodes over them, smooth maps, and mixing with delay by distance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgebci.synthetic.signals import F32, F64
from edgebci.synthetic.specification import PopulationSpec, SyntheticSpec


@dataclass(frozen=True)
class Sheet:
    """Positions in mm from the centre: patches (G, 2), electrodes (C, 2)."""

    patches_mm: F64
    electrodes_mm: F64

    @property
    def n_patches(self) -> int:
        """Patches, each with one excitatory and one inhibitory rate."""
        return len(self.patches_mm)

    def distances_mm(self) -> F64:
        """From every patch to every electrode, (G, C)."""
        return between(self.patches_mm, self.electrodes_mm)

    def nearest_patch(self) -> list[int]:
        """The patch under each electrode."""
        return [int(g) for g in np.argmin(self.distances_mm(), axis=0)]


def lay(spec: SyntheticSpec) -> Sheet:
    """Lay out the sheet and its electrodes: a square array, of which the positions nearest to the centre are used."""
    side = round(spec.population.sheet_mm / spec.population.grid_mm)
    patches = _square(side, spec.population.sheet_mm / side)
    per_side = max(10, math.ceil(math.sqrt(spec.n_channels)))
    pitch_mm = min(spec.electrodes.pitch_mm, 0.9 * spec.population.sheet_mm / (per_side - 1))
    array = _square(per_side, pitch_mm)
    # Rounded, so that positions at equal distance keep their order on every machine.
    nearest = np.argsort(np.round(np.hypot(array[:, 0], array[:, 1]), 6), kind="stable")[: spec.n_channels]
    return Sheet(patches, array[np.sort(nearest)])


def between(from_mm: F64, to_mm: F64) -> F64:
    """Distances (A, B) of two sets of positions."""
    return np.asarray(np.linalg.norm(from_mm[:, None, :] - to_mm[None, :, :], axis=2))


def smooth_maps(spec: PopulationSpec, patches_mm: F64, n_maps: int, rng: np.random.Generator) -> F64:
    """Gaussian random fields (n_maps, G) of zero mean and unit variance over the sheet."""
    if spec.map_correlation_mm > 0:
        # White noise through a kernel of width s correlates over s * sqrt(2).
        blur = np.exp(-((between(patches_mm, patches_mm) / spec.map_correlation_mm) ** 2))
    else:
        blur = np.eye(len(patches_mm))
    fields = rng.standard_normal((n_maps, len(patches_mm))) @ blur
    return np.asarray((fields - fields.mean(axis=1, keepdims=True)) / fields.std(axis=1, keepdims=True))


class DelayedMixing:
    """Mixes patches to electrodes: exponential decay with distance, and a delay that grows with it.

    Patches at one delay form a ring around an electrode; each ring is one matrix product. Its state is the last samples
    of the patches, so that any chunking of the stream gives the same sum.
    """

    def __init__(self, spec: SyntheticSpec, sheet: Sheet) -> None:
        kernel = spec.kernel
        distance_mm = sheet.distances_mm()
        weight = np.exp(-distance_mm / kernel.space_constant_mm)
        weight[distance_mm > kernel.reach_space_constants * kernel.space_constant_mm] = 0.0
        # 1 m/s is 1 mm/ms.
        lag = np.round(distance_mm / kernel.propagation_m_per_s * spec.rate_hz / 1000).astype(int)
        self.rings = [(int(k), np.where(lag == k, weight, 0.0).astype(np.float32)) for k in np.unique(lag[weight > 0])]
        self._longest = self.rings[-1][0]
        self._past = np.zeros((self._longest, sheet.n_patches), dtype=np.float32)

    def push(self, patches: F32) -> F32:
        """Mix (T, G) to (T, C)."""
        signal = np.concatenate([self._past, patches])
        n = len(patches)
        mixed = np.zeros((n, self.rings[0][1].shape[1]), dtype=np.float32)
        for lag, weight in self.rings:
            first = self._longest - lag
            mixed += signal[first : first + n] @ weight
        self._past = signal[len(signal) - self._longest :].copy()
        return mixed


def _square(per_side: int, pitch_mm: float) -> F64:
    axis = (np.arange(per_side) - (per_side - 1) / 2) * pitch_mm
    x, y = np.meshgrid(axis, axis)
    return np.column_stack([x.ravel(), y.ravel()])
