"""The closed forms of heat in perfused tissue: published cross-checks, and their limits into each other."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import j0, j1

from edgebci.firmware_sim.thermal import disc_c_per_w, slab_c_per_w_per_m2, sphere_c_per_w, spread_length_m
from edgebci.hardware import Tissue, load_profile

GREY = load_profile(Tissue, "grey-matter")
K, W = GREY.conductivity_w_per_m_k.typical, GREY.perfusion_w_per_m3_k.typical


@pytest.mark.parametrize(
    ("name", "length_mm"), [("grey-matter", 3.56), ("white-matter", 5.60), ("skin", 7.2)], ids=lambda value: str(value)
)
def test_heat_spreads_as_far_as_published(name: str, length_mm: float) -> None:
    tissue = load_profile(Tissue, name)
    length_m = spread_length_m(tissue.conductivity_w_per_m_k.typical, tissue.perfusion_w_per_m3_k.typical)
    # 0.5 %: the published lengths have two or three digits.
    assert length_m * 1e3 == pytest.approx(length_mm, rel=0.005)


def test_a_sphere_of_3_mm_in_grey_matter_warms_by_0_025_c_per_mw() -> None:
    # 2 %: the published figure has two digits.
    assert sphere_c_per_w(3e-3, K, W) * 1e-3 == pytest.approx(0.025, rel=0.02)


def test_40_mw_per_cm2_warm_a_slab_by_2_5_c_and_16_by_1_c() -> None:
    per_mw_per_cm2 = slab_c_per_w_per_m2(K, W) * 10.0
    # 3 %: the published figures have two digits.
    assert 40 * per_mw_per_cm2 == pytest.approx(2.5, rel=0.03)
    assert 16 * per_mw_per_cm2 == pytest.approx(1.0, rel=0.03)


def test_white_matter_allows_8_9_mw_per_cm2_for_1_c() -> None:
    white = load_profile(Tissue, "white-matter")
    rise = slab_c_per_w_per_m2(white.conductivity_w_per_m_k.typical, white.perfusion_w_per_m3_k.typical) * 89.0
    assert rise == pytest.approx(1.0, rel=0.01)


def test_a_large_disc_is_a_slab_and_a_small_one_conducts_only() -> None:
    large, small = 1.0, 1e-6
    assert disc_c_per_w(large, K, W) * math.pi * large**2 == pytest.approx(slab_c_per_w_per_m2(K, W), rel=1e-9)
    # Without perfusion the hottest point of a disc of even flux is P / (pi k a) above the tissue; a << L here.
    assert disc_c_per_w(small, K, W) == pytest.approx(1.0 / (math.pi * K * small), rel=1e-3)


def test_a_small_sphere_conducts_only() -> None:
    assert sphere_c_per_w(1e-6, K, W) == pytest.approx(1.0 / (4 * math.pi * K * 1e-6), rel=1e-3)


def test_the_disc_equals_the_solution_by_hankel_transform() -> None:
    radius_m = 2e-3
    m = 1.0 / spread_length_m(K, W)

    def rise_at(r_m: float) -> float:
        # Surface rise of a disc with flux q: (q a / k) * integral of J0(x r / a) J1(x) / sqrt(x^2 + (m a)^2) dx.
        # The damping stands for a depth of 0.001 a, so that the integral converges; it costs about 0.1 %.
        def kernel(x: float) -> float:
            root = math.hypot(x, m * radius_m)
            return float(j0(x * r_m / radius_m) * j1(x) / root * math.exp(-1e-3 * root))

        value, _ = quad(kernel, 0, 8000, limit=20000, epsabs=1e-7)
        return value * radius_m / K / (math.pi * radius_m**2)

    centre = disc_c_per_w(radius_m, K, W)
    assert rise_at(0.0) == pytest.approx(centre, rel=3e-3)
    assert all(rise_at(r * radius_m) < centre for r in (0.4, 0.8))


@given(st.floats(1e-4, 1e-1), st.floats(0.1, 1.0), st.floats(1e3, 1e5))
def test_spreading_the_same_power_over_more_area_never_warms_more(radius_m: float, k: float, w: float) -> None:
    for law in (sphere_c_per_w, disc_c_per_w):
        rises = [law(radius_m * growth, k, w) for growth in np.linspace(1.0, 3.0, 5)]
        assert all(wider <= narrower for narrower, wider in pairwise(rises))


@given(st.floats(1e-4, 1e-1), st.floats(0.1, 1.0), st.floats(1e3, 1e5))
def test_a_disc_warms_more_than_a_sphere_of_the_same_area(radius_m: float, k: float, w: float) -> None:
    # One side on tissue against all sides inside it; 1e-9 covers rounding where both are slabs of one area.
    assert disc_c_per_w(radius_m, k, w) >= sphere_c_per_w(radius_m / 2, k, w) * (1 - 1e-9)
