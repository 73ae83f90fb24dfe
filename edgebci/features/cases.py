"""Named inputs for the front end: one table for the references, the C on the host and the C on a core.

Every rule of the specification about bad input has a case; each form of the front end must give the same frames for
all of them, and each test says which rule it checks by the case's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from edgebci.arithmetic import I32
from edgebci.features.front_end import Bool, FrontEnd
from edgebci.features.specification import Adc, Band, Counts, FeatureSpec, LowPass, Missing, Normalization

RATE_HZ = 500.0
N_CHANNELS = 10
N_ROWS = 1500
GAP_START = 705
"""In the middle of frame 70: gaps need not begin or end with a frame."""
RESET_AFTER = 100


@dataclass(frozen=True)
class FrontEndCase:
    """One input with its front end.

    Fields:
        name: the rule that it shows.
        front_end: what is computed.
        counts: (T, C) int16, or int32 for converters over 16 bits.
        missing: (T,) bool; the counts of a missing row mean nothing.
    """

    name: str
    front_end: FrontEnd
    counts: Counts
    missing: Bool


def base_spec() -> FeatureSpec:
    """The features of most cases: bands of every order, one of them low enough to carry, and both low-passes."""
    return FeatureSpec(
        rate_hz=RATE_HZ,
        frame_rate_hz=50.0,
        bands=(
            Band(low_hz=1, high_hz=4),
            Band(low_hz=12, high_hz=30, order=1),
            Band(low_hz=60, high_hz=150, order=3),
        ),
        lmp=LowPass(corner_hz=3),
        raw=LowPass(corner_hz=20, order=4),
        missing=Missing(reset_after_s=RESET_AFTER / RATE_HZ),
        normalization=Normalization(tau_s=60.0),
        startup_s=0.3,
    )


def base_counts() -> I32:
    """(N_ROWS, N_CHANNELS) 16-bit counts of a drifting, noisy signal with a different offset on each channel."""
    rng = np.random.default_rng(20240601)
    drift_uv = np.cumsum(rng.normal(scale=4.0, size=(N_ROWS, N_CHANNELS)), axis=0)
    offset_uv = np.linspace(-2000.0, 2000.0, N_CHANNELS)
    return Adc().counts(drift_uv + rng.normal(scale=10.0, size=drift_uv.shape) + offset_uv).astype(np.int32)


def front_end_cases() -> tuple[FrontEndCase, ...]:
    """All cases, always the same."""
    return tuple(_build(recipe) for recipe in _RECIPES)


def front_end_case(name: str) -> FrontEndCase:
    """The case of that name."""
    return next(_build(recipe) for recipe in _RECIPES if recipe.name == name)


def case_names() -> tuple[str, ...]:
    """Names of all cases, in their order."""
    return tuple(recipe.name for recipe in _RECIPES)


def front_end_for(spec: FeatureSpec, good: Bool) -> FrontEnd:
    """A front end with made-up statistics near those of `base_counts`."""
    is_power = np.repeat([kind.startswith("power") for kind in spec.kinds], len(good))
    dead = ~np.tile(good, len(spec.kinds))
    mean = np.where(is_power & ~dead, 4.5, 0.0).astype(np.float32)
    sd = np.where(dead, 1.0, np.where(is_power, 1.5, 80.0)).astype(np.float32)
    return FrontEnd(spec, good, mean, sd)


@dataclass(frozen=True)
class _Recipe:
    """How a case differs from a clean stream: changed counts, missing rows (start, length), dead channels, spec."""

    name: str
    change: Callable[[I32], None] | None = None
    gaps: tuple[tuple[int, int], ...] = ()
    dead: tuple[int, ...] = ()
    spec: Mapping[str, object] = field(default_factory=dict)


def _build(recipe: _Recipe) -> FrontEndCase:
    counts = base_counts()
    if recipe.change:
        recipe.change(counts)
    missing = np.zeros(len(counts), dtype=bool)
    for start, length in recipe.gaps:
        missing[start : start + length] = True
    counts[missing] = 12345  # to be ignored by everyone
    good = np.ones(N_CHANNELS, dtype=bool)
    good[list(recipe.dead)] = False
    spec = FeatureSpec.model_validate({**dict(base_spec()), **recipe.spec})
    typed = counts.astype(np.int16) if spec.adc.bits <= 16 else counts
    return FrontEndCase(recipe.name, front_end_for(spec, good), typed, missing)


def _saturate_one_sample(counts: I32) -> None:
    counts[700, 4], counts[701, 5] = 32767, -32768


def _saturate_from_power_on(counts: I32) -> None:
    counts[:40, 2], counts[:, 6] = 32767, -32768


def _saturate_all_for_100_ms(counts: I32) -> None:
    counts[603:653] = 32767


def _fall_silent(counts: I32) -> None:
    counts[20:] = counts[0]


def _step_after_power_on(counts: I32) -> None:
    counts[1:] = np.clip(counts[1:] + 20000, -32767, 32766)


def _full_scale_square(counts: I32) -> None:
    counts[:] = np.where(np.arange(N_ROWS) // 50 % 2, 32766, -32766)[:, None]
    counts[:, ::2] = -counts[:, ::2]


def _offsets_of_50_mv(counts: I32) -> None:
    counts += round(50_000 / 0.195)
    counts[700:] -= round(100_000 / 0.195)


def _become_ten_times_larger(counts: I32) -> None:
    counts[300:] = np.clip((counts[300:] - counts[300]) * 10, -32767, 32766)


_NO_REFERENCE = {"reference": "none"}
_ZERO = {"missing": Missing(policy="zero", reset_after_s=RESET_AFTER / RATE_HZ)}
_FAST = {"normalization": Normalization(tau_s=60.0, z_limit=2.0, mean_limit_sd=0.01, sd_limit_ratio=1.02)}

_RECIPES = (
    _Recipe("clean"),
    _Recipe("frozen_normalization", spec={"normalization": Normalization(mode="frozen")}),
    _Recipe("normalization_reaches_its_bounds", change=_become_ten_times_larger, spec=_FAST),
    _Recipe("median_of_an_even_number", spec={"reference": "median"}),
    _Recipe("median_of_an_odd_number", dead=(3,), spec={"reference": "median"}),
    _Recipe("no_reference", spec=_NO_REFERENCE),
    _Recipe("dead_channels", dead=(0, 9)),
    _Recipe("too_few_good_channels_for_a_reference", dead=(1, 4, 7)),
    _Recipe("one_missing_row_is_held", gaps=((GAP_START, 1),)),
    _Recipe("one_missing_row_is_zero", gaps=((GAP_START, 1),), spec=_ZERO),
    _Recipe("missing_at_power_on", gaps=((0, 33),)),
    _Recipe("gap_one_row_short_of_reset", gaps=((GAP_START, RESET_AFTER - 1),)),
    _Recipe("gap_that_resets", gaps=((GAP_START, RESET_AFTER),)),
    _Recipe("gap_that_resets_zeroed", gaps=((GAP_START, RESET_AFTER + 7),), spec=_ZERO),
    _Recipe("long_gap_resets_until_data_return", gaps=((GAP_START, 3 * RESET_AFTER),)),
    _Recipe("two_short_gaps_do_not_add_up", gaps=((GAP_START, 60), (GAP_START + 61, 60))),
    _Recipe("saturated_sample_is_held", change=_saturate_one_sample),
    _Recipe("saturated_from_power_on", change=_saturate_from_power_on),
    _Recipe("all_channels_saturated", change=_saturate_all_for_100_ms),
    _Recipe("saturated_across_a_gap", change=_saturate_all_for_100_ms, gaps=((610, 20),), spec=_ZERO),
    _Recipe("silence_decays_to_zero", change=_fall_silent),
    _Recipe("step_after_power_on", change=_step_after_power_on, spec=_NO_REFERENCE),
    _Recipe("full_scale_square", change=_full_scale_square),
    _Recipe("offset_50_mv_at_24_bits", change=_offsets_of_50_mv, spec={"adc": Adc(bits=24), **_NO_REFERENCE}),
    _Recipe("power_only", spec={"lmp": None, "raw": None}),
    _Recipe("low_passes_only", spec={"bands": ()}),
)
