"""The front end as data: which features the decoder gets, and what happens when the input is bad.

One `FeatureSpec` is followed by the float64 reference (`stream.py`), the float32 device reference (`device.py`), the
generated C and the simulator. Time runs in samples of one clock; frame k is finished by sample (k + 1) * D - 1,
D = samples_per_frame, and its time is that sample's timestamp. Features of a frame are ordered kind by kind (bands in
their order, then lmp, then raw), all channels within a kind: index = kind * n_channels + channel.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from edgebci.documents import Document

Counts = NDArray[np.int16] | NDArray[np.int32]
"""(T, C) counts of the ADC."""

MIN_REFERENCE_CHANNELS = 8
"""With fewer good channels a common reference would subtract too much of each channel's own signal."""
HIGHEST_CORNER = 0.45
"""Of the sampling rate: a corner closer to half the rate leaves the bilinear transform no room for the slope."""
LOWEST_CORNER = 1.0 / 40_000.0
"""Of the sampling rate: down to here float32 stays 60 dB under the signal (a test holds it there)."""


class Band(Document):
    """A causal Butterworth band-pass whose power is a feature; `order` second-order sections."""

    low_hz: float = Field(gt=0)
    high_hz: float = Field(gt=0)
    order: int = Field(default=2, ge=1, le=4)

    @model_validator(mode="after")
    def _low_under_high(self) -> Band:
        # A band narrower than this rings for longer than any feature should remember.
        if self.high_hz < 1.1 * self.low_hz:
            raise ValueError(f"high_hz {self.high_hz:g} must be at least 1.1 x low_hz {self.low_hz:g}; widen the band")
        return self

    @property
    def name(self) -> str:
        """For example `power_60_200_hz`."""
        return f"power_{self.low_hz:g}_{self.high_hz:g}_hz"


class LowPass(Document):
    """A causal Butterworth low-pass of `order` poles (even: order / 2 second-order sections), without what is slow.

    Before it comes a Butterworth high-pass of two poles at high_pass_hz. The front end counts from each channel's first
    sample, so the mean of a low-passed channel is an accident of the moment of power-on: without the high-pass, the
    decoder would meet another mean at each start. 0 leaves it in.
    """

    corner_hz: float = Field(gt=0)
    order: int = Field(default=2, ge=2, le=8, multiple_of=2)
    high_pass_hz: float = Field(default=0.1, ge=0)

    @model_validator(mode="after")
    def _something_passes(self) -> LowPass:
        if self.corner_hz < 2 * self.high_pass_hz:
            raise ValueError(
                f"corner_hz {self.corner_hz:g} must be at least twice high_pass_hz {self.high_pass_hz:g}; "
                "raise the corner, lower high_pass_hz, or set it to 0"
            )
        return self


class Adc(Document):
    """The converter whose counts are the input of everything. Signed counts; the two outermost are the rails."""

    bits: int = Field(default=16, ge=4, le=24)
    uv_per_count: float = Field(default=0.195, gt=0)

    @property
    def lowest_count(self) -> int:
        """The lower rail."""
        return -(1 << (self.bits - 1))

    @property
    def highest_count(self) -> int:
        """The upper rail."""
        return (1 << (self.bits - 1)) - 1

    def counts(self, lfp_uv: NDArray[np.floating]) -> Counts:
        """Convert (T, C) microvolt to counts: rounded, stopped at the rails; NaN reads as the lower rail.

        The result is int16 up to 16 bits, int32 above.
        """
        steps = np.rint(np.asarray(lfp_uv, dtype=np.float64) / self.uv_per_count)
        bounded = np.clip(np.where(np.isnan(steps), self.lowest_count, steps), self.lowest_count, self.highest_count)
        return bounded.astype(np.int16) if self.bits <= 16 else bounded.astype(np.int32)


class Normalization(Document):
    """How a feature becomes z: starting statistics from the bundle, then an exponential update or none.

    With `running`, mean and spread follow the valid frames with time constant tau_s; the mean stays within
    mean_limit_sd bundle standard deviations of the bundle's, the spread within a factor of sd_limit_ratio.
    z is limited to +-z_limit in every mode.
    """

    mode: Literal["running", "frozen"] = "running"
    tau_s: float = Field(default=120.0, ge=60.0)
    z_limit: float = Field(default=8.0, ge=1.0, le=16.0)
    mean_limit_sd: float = Field(default=3.0, gt=0, le=100.0)
    sd_limit_ratio: float = Field(default=3.0, ge=1.0, le=100.0)


class Missing(Document):
    """What stands in for a sample that never came: the previous counts (`hold`) or the offset (`zero`).

    After reset_after_s of missing samples in a row, filters, offsets, normaliser and decoder state start anew.
    """

    policy: Literal["hold", "zero"] = "hold"
    reset_after_s: float = Field(default=0.5, gt=0)


class FeatureSpec(Document):
    """Everything that decides a feature's value, except the statistics and the good channels of a `FrontEnd`.

    power_tau_s: the mean square of a band over a frame is averaged over frames with this time constant;
    the feature is log(power_uv2 + floor_uv2). lmp, raw: the low-passed LFP in microvolt at the frame's time.
    invalid_fraction: a frame with more saturated or missing samples than this is an artefact: not valid, and the
    normaliser does not learn from it. startup_s: no frame is valid before, counted from power-on or reset;
    by default the memory of the features, so that a valid frame owes nothing to having been switched on.
    """

    rate_hz: float = Field(gt=0)
    frame_rate_hz: float = Field(default=50.0, gt=0)
    adc: Adc = Adc()
    reference: Literal["average", "median", "none"] = "average"
    bands: tuple[Band, ...] = ()
    power_tau_s: float = Field(default=0.1, gt=0, le=60.0)
    floor_uv2: float = Field(default=0.01, ge=1e-6)
    lmp: LowPass | None = None
    raw: LowPass | None = None
    normalization: Normalization = Normalization()
    missing: Missing = Missing()
    invalid_fraction: float = Field(default=0.1, ge=0.0, lt=1.0)
    startup_s: float | None = Field(default=None, ge=0.0)

    @model_validator(mode="after")
    def _can_be_computed(self) -> FeatureSpec:
        if not self.kinds:
            raise ValueError("there is no feature; give at least one of bands, lmp, raw")
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("two bands have the same corners; remove one")
        _check_frame_rate(self.rate_hz, self.frame_rate_hz)
        for band in self.bands:
            _check_corners(self.rate_hz, band.low_hz, band.high_hz, f"{band.low_hz:g}-{band.high_hz:g} Hz")
        for name, low_pass in (("lmp", self.lmp), ("raw", self.raw)):
            if low_pass:
                for what, corner_hz in (("corner", low_pass.corner_hz), ("high-pass", low_pass.high_pass_hz)):
                    if corner_hz:
                        _check_corners(self.rate_hz, corner_hz, corner_hz, f"the {name} {what} at {corner_hz:g} Hz")
        return self

    @property
    def kinds(self) -> tuple[str, ...]:
        """The features that one channel has, in their order."""
        low_passes = (("lmp", self.lmp), ("raw", self.raw))
        return (*(band.name for band in self.bands), *(name for name, low_pass in low_passes if low_pass))

    @property
    def samples_per_frame(self) -> int:
        """D."""
        return round(self.rate_hz / self.frame_rate_hz)

    @property
    def startup_frames(self) -> int:
        """Frames that are not valid after power-on or reset."""
        startup_s = self.memory_s if self.startup_s is None else self.startup_s
        return math.ceil(startup_s * self.frame_rate_hz)

    @property
    def reset_after_samples(self) -> int:
        """Missing samples in a row that cause a reset."""
        return math.ceil(self.missing.reset_after_s * self.rate_hz)

    @property
    def memory_s(self) -> float:
        """Time after which every feature has forgotten a sample to 1 % (how: `response.py`)."""
        # Imported here so that reading a configuration does not load SciPy's filters.
        from edgebci.features.response import memory_s

        return memory_s(self)

    def n_features(self, n_channels: int) -> int:
        """F, the width of a frame."""
        return len(self.kinds) * n_channels

    def feature_names(self, channel_names: tuple[str, ...]) -> tuple[str, ...]:
        """For example `power_60_200_hz.ch03`, in the order of a frame."""
        return tuple(f"{kind}.{channel}" for kind in self.kinds for channel in channel_names)


def _check_frame_rate(rate_hz: float, frame_rate_hz: float) -> None:
    ratio = rate_hz / frame_rate_hz
    whole = max(1, round(ratio))
    if abs(ratio - whole) > 1e-6 * whole:
        raise ValueError(
            f"frame_rate_hz {frame_rate_hz:g} does not divide rate_hz {rate_hz:g}; take {rate_hz / whole:.6g}"
        )


def _check_corners(rate_hz: float, lowest_hz: float, highest_hz: float, what: str) -> None:
    if highest_hz > HIGHEST_CORNER * rate_hz:
        raise ValueError(
            f"rate {rate_hz:g} Hz cannot carry {what}: corners end at {HIGHEST_CORNER * rate_hz:g} Hz; "
            "lower the corner or use a faster recording"
        )
    if lowest_hz < LOWEST_CORNER * rate_hz:
        raise ValueError(
            f"{what} is too low for single precision at rate {rate_hz:g} Hz: "
            f"corners begin at {LOWEST_CORNER * rate_hz:g} Hz; raise the corner or use a slower recording"
        )
