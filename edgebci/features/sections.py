"""Second-order sections in the one form that the device computes: the state-variable form of a Butterworth pole pair.

A direct-form biquad puts a low corner into the tiny difference between its coefficients and 2 or 1, which float32
cannot hold. Here the corner is a factor, g = tan(pi * corner / rate), kept to 24 bits however small it is, and
the two states are integrators (the trapezoidal, "topology-preserving" discretisation: Zavalishin, The Art of VA
Filter Design, 2012). One step, every operation rounded to float32, in this order:

    high = a * ((x - s2) - r * s1)                   r = g + k, k = 1 / Q;  a = 1 / (1 + g * r)
    t1 = g * high;  band = s1 + t1;  s1 = band + t1
    t2 = g * band;  low = s2 + t2
    u = (t2 + t2) + c;  new = s2 + u
    c = u - (new - s2) if the section carries, else c stays 0;  s2 = new

and the section's output is `high`, `band` or `low`, as its kind says: s^2, g s or g^2 over s^2 + k g s + g^2.

s2 follows the input's offset. Where the corner is low, its steps are so small beside a large offset that rounding
swallows them (0.05 Hz at 1 kS/s, 50 mV that came after power-on: the output is wrong by 6 %). Sections with a corner
below CARRY_CORNER therefore carry what the last addition lost, c, into the next one: the error falls to 3 in a million.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32

CARRY_CORNER = 1.0 / 200.0
"""Of the sampling rate: sections below it carry the rounding error of their second state."""


class SectionKind(IntEnum):
    """Which of the three outputs a section passes on."""

    HIGH = 0
    BAND = 1
    LOW = 2


@dataclass(frozen=True)
class Section:
    """Coefficients of one section, designed in float64 and rounded once."""

    kind: SectionKind
    g: np.float32
    r: np.float32
    a: np.float32
    carries: bool


@dataclass(frozen=True)
class Chain:
    """Sections in the order in which the signal passes them; its output times `gain` is the Butterworth filter's."""

    sections: tuple[Section, ...]
    gain: float


def band_pass(low_hz: float, high_hz: float, order: int, rate_hz: float) -> Chain:
    """Design a Butterworth band-pass of `order` sections, equal to scipy.signal.butter(order, [low, high], "bandpass").

    The lowest pole pairs become high-passes and come first, so that drift and offset are gone before the rest.
    """
    w_low, w_high = _prewarped(low_hz, rate_hz), _prewarped(high_hz, rate_hz)
    width, centre2 = w_high - w_low, w_low * w_high
    pairs = sorted(pair for pole in _prototype_poles(order) for pair in _band_pairs(pole * width / 2.0, centre2))
    half = order // 2
    kinds = [SectionKind.HIGH] * half + [SectionKind.BAND] * (order % 2) + [SectionKind.LOW] * half
    # Each kind passes s^2, g s or g^2; the filter wants width^order * s^order.
    passed = math.prod(g ** int(kind) for kind, (g, _) in zip(kinds, pairs, strict=True))
    sections = tuple(_section(kind, g, k) for kind, (g, k) in zip(kinds, pairs, strict=True))
    return Chain(sections, width**order / passed)


def low_pass(corner_hz: float, order: int, high_pass_hz: float, rate_hz: float) -> Chain:
    """Design a Butterworth low-pass of `order` poles (even), equal to scipy.signal.butter(order, corner).

    Before it, unless high_pass_hz is 0, comes butter(2, high_pass_hz, "highpass").
    """
    g = _prewarped(corner_hz, rate_hz)
    low = tuple(_section(SectionKind.LOW, g, -2.0 * pole.real) for pole in _prototype_poles(order))
    if not high_pass_hz:
        return Chain(low, 1.0)
    return Chain((_section(SectionKind.HIGH, _prewarped(high_pass_hz, rate_hz), math.sqrt(2.0)), *low), 1.0)


@dataclass(frozen=True)
class SideBySide:
    """n sections, one for each of n signals of G channels, as arrays.

    Fields:
        kinds: (n,) output of each.
        g, r, a, carries: (n, G) coefficients; carries is 1 or 0.
    """

    kinds: NDArray[np.intp]
    g: F32
    r: F32
    a: F32
    carries: F32

    @classmethod
    def of(cls, sections: Sequence[Section], n_channels: int) -> SideBySide:
        """Arrange sections for signals of n_channels."""

        def column(name: str) -> F32:
            values = np.array([getattr(section, name) for section in sections], dtype=np.float32)
            return np.repeat(values[:, None], n_channels, axis=1)

        kinds = np.array([section.kind for section in sections], dtype=np.intp)
        return cls(kinds, column("g"), column("r"), column("a"), column("carries"))

    def initial_states(self) -> F32:
        """(3, n, G) zeros: s1, s2 and c."""
        return np.zeros((3, *self.g.shape), dtype=np.float32)

    def run(self, x: F32, states: F32) -> tuple[F32, F32]:
        """Pass (T, n, G) signals through, sample by sample; returns the output (T, n, G) and the states after it."""
        g, r, a, carrying = self.g, self.r, self.a, bool(self.carries.any())
        outputs = np.empty((3, *x.shape), dtype=np.float32)
        s1, s2, c = states.copy()
        t12, new = np.empty_like(s1), np.empty_like(s1)
        # Results go to prepared arrays: making new ones would double the time.
        for x_t, high, band, low in zip(x, *outputs, strict=True):
            np.multiply(r, s1, out=t12)
            np.subtract(x_t, s2, out=high)
            np.subtract(high, t12, out=high)
            np.multiply(a, high, out=high)
            np.multiply(g, high, out=t12)  # t1
            np.add(s1, t12, out=band)
            np.add(band, t12, out=s1)
            np.multiply(g, band, out=t12)  # t2
            np.add(s2, t12, out=low)
            np.add(t12, t12, out=t12)
            if carrying:
                np.add(t12, c, out=t12)
            np.add(s2, t12, out=new)  # t12 is u
            if carrying:
                np.subtract(new, s2, out=c)
                np.subtract(t12, c, out=c)
                np.multiply(c, self.carries, out=c)
            s2, new = new, s2
        chosen = outputs[self.kinds, :, np.arange(len(self.kinds))]
        return chosen.swapaxes(0, 1), np.array([s1, s2, c])


def _prewarped(corner_hz: float, rate_hz: float) -> float:
    return math.tan(math.pi * corner_hz / rate_hz)


def _prototype_poles(order: int) -> list[complex]:
    """Poles of the unit Butterworth low-pass with imaginary part >= 0; the real one (odd order) is exactly -1."""
    upper = [cmath.exp(1j * math.pi * (2 * i + order + 1) / (2 * order)) for i in range(order // 2)]
    return upper + [complex(-1.0, 0.0)] * (order % 2)


def _band_pairs(half: complex, centre2: float) -> list[tuple[float, float]]:
    """(g, k) of the pole pairs that one prototype pole times width / 2 gives: one pair if real, two if complex."""
    if half.imag == 0.0:
        return [(math.sqrt(centre2), -2.0 * half.real / math.sqrt(centre2))]
    root = cmath.sqrt(half * half - centre2)
    return [(abs(pole), -2.0 * pole.real / abs(pole)) for pole in (half + root, half - root)]


def _section(kind: SectionKind, g: float, k: float) -> Section:
    r = g + k
    carries = g < math.tan(math.pi * CARRY_CORNER)
    return Section(kind, np.float32(g), np.float32(r), np.float32(1.0 / (1.0 + g * r)), carries)
