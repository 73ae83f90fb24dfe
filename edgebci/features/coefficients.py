"""Every number that the device's front end holds, computed once: `device.py` runs on it and the C generator writes it.

Integers steer the integer path, float32 values were computed in float64 and rounded once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.errors import InputError
from edgebci.features.front_end import Bool, FrontEnd
from edgebci.features.sections import Chain, band_pass, low_pass
from edgebci.features.specification import MIN_REFERENCE_CHANNELS, FeatureSpec

Reference = Literal["average", "median", "none"]


@dataclass(frozen=True)
class IntegerPath:
    """Constants of the path from counts to referenced integers (`conditioning.py`).

    Fields:
        n_channels: C, width of an input row.
        good: (G,) ascending channel indices; everything after the input knows only these.
        samples_per_frame: D.
        lowest_count, highest_count: the rails; a count at one is saturated.
        reference: what is subtracted; "none" where too few channels are good.
        multiplier: m; the path gives m * difference - reference, in steps of uv_per_step = uv_per_count / m:
            G for the average, 2 for the median (twice the median is an integer), 1 for none.
        hold: a missing sample repeats the previous difference; otherwise it is 0.
        flagged_limit: more flagged samples than this in a frame (of G * D) make it an artefact.
        startup_frames: frames after power-on or reset that are not valid.
        reset_after_samples: missing rows in a row that cause a reset.
    """

    n_channels: int
    good: NDArray[np.intp]
    samples_per_frame: int
    lowest_count: int
    highest_count: int
    reference: Reference
    multiplier: int
    uv_per_step: float
    hold: bool
    flagged_limit: int
    startup_frames: int
    reset_after_samples: int


@dataclass(frozen=True)
class NormalizerConstants:
    """Constants of `normalization.normalize`; mean and inverse_sd are (kinds * G,) for good channels only.

    scale is 1 / sd in units of the bundle's sd: it starts at 1 and stays in [lowest_scale, highest_scale].
    """

    running: bool
    mean: F32
    inverse_sd: F32
    rate: np.float32
    half_rate: np.float32
    z_limit: np.float32
    mean_limit: np.float32
    lowest_scale: np.float32
    highest_scale: np.float32


@dataclass(frozen=True)
class DeviceCoefficients:
    """Everything for `device.py` and for C. chains: one per kind, bands first; powers apply to the first n_bands."""

    integer_path: IntegerPath
    uv_per_step: np.float32
    chains: tuple[Chain, ...]
    n_bands: int
    power_scale: F32  # (n_bands,) gain^2 / D: from a frame's sum of squares to its mean square in uV^2
    power_rate: np.float32  # weight of the newest frame in the exponential average
    floor_uv2: np.float32
    normalizer: NormalizerConstants


def integer_path(spec: FeatureSpec, good_channels: Bool) -> IntegerPath:
    """Constants of the integer path.

    Raises:
        InputError: no channel is good, or the exact sum over channels would not fit into 32 bits.
    """
    good = np.flatnonzero(good_channels)
    n_good = len(good)
    if n_good == 0:
        raise InputError(f"none of the {len(good_channels)} channels is good (all flat or saturated); check recording")
    reference: Reference = spec.reference if n_good >= MIN_REFERENCE_CHANNELS else "none"
    multiplier = {"average": n_good, "median": 2, "none": 1}[reference]
    # A difference of counts is below 2^bits, a referenced one times m below m * 2^(bits + 1), signed.
    if multiplier > 1 << (30 - spec.adc.bits):
        raise InputError(
            f"{n_good} channels of {spec.adc.bits} bits overflow the exact 32-bit average; "
            f"use at most {1 << (30 - spec.adc.bits)} channels, fewer bits, or the median reference"
        )
    d = spec.samples_per_frame
    return IntegerPath(
        n_channels=len(good_channels),
        good=good,
        samples_per_frame=d,
        lowest_count=spec.adc.lowest_count,
        highest_count=spec.adc.highest_count,
        reference=reference,
        multiplier=multiplier,
        uv_per_step=spec.adc.uv_per_count / multiplier,
        hold=spec.missing.policy == "hold",
        flagged_limit=math.floor(spec.invalid_fraction * n_good * d),
        startup_frames=spec.startup_frames,
        reset_after_samples=spec.reset_after_samples,
    )


def filter_chains(spec: FeatureSpec) -> tuple[Chain, ...]:
    """One chain of sections per kind of feature, in the order of `spec.kinds`."""
    bands = [band_pass(band.low_hz, band.high_hz, band.order, spec.rate_hz) for band in spec.bands]
    low_passes = [low_pass(lp.corner_hz, lp.order, lp.high_pass_hz, spec.rate_hz) for lp in (spec.lmp, spec.raw) if lp]
    return (*bands, *low_passes)


def normalizer_constants(front_end: FrontEnd) -> NormalizerConstants:
    """Constants of the running normalisation."""
    spec = front_end.spec.normalization
    good = np.tile(front_end.good_channels, len(front_end.spec.kinds))
    rate = -math.expm1(-1.0 / (spec.tau_s * front_end.spec.frame_rate_hz))
    return NormalizerConstants(
        running=spec.mode == "running",
        mean=front_end.mean[good],
        inverse_sd=(1.0 / front_end.sd[good].astype(np.float64)).astype(np.float32),
        rate=np.float32(rate),
        half_rate=np.float32(0.5 * rate),
        z_limit=np.float32(spec.z_limit),
        mean_limit=np.float32(spec.mean_limit_sd),
        lowest_scale=np.float32(1.0 / spec.sd_limit_ratio),
        highest_scale=np.float32(spec.sd_limit_ratio),
    )


def power_rate(spec: FeatureSpec) -> float:
    """Weight of the newest frame in the exponential average of band power."""
    return -math.expm1(-1.0 / (spec.power_tau_s * spec.frame_rate_hz))


def device_coefficients(front_end: FrontEnd) -> DeviceCoefficients:
    """Compute everything that the device holds; raises InputError as `integer_path` does."""
    spec = front_end.spec
    path = integer_path(spec, front_end.good_channels)
    chains = filter_chains(spec)
    gains = [chain.gain for chain in chains[: len(spec.bands)]]
    return DeviceCoefficients(
        integer_path=path,
        uv_per_step=np.float32(path.uv_per_step),
        chains=chains,
        n_bands=len(spec.bands),
        power_scale=np.array([gain * gain / path.samples_per_frame for gain in gains], dtype=np.float32),
        power_rate=np.float32(power_rate(spec)),
        floor_uv2=np.float32(spec.floor_uv2),
        normalizer=normalizer_constants(front_end),
    )
