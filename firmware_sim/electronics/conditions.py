"""The front end and what surrounds it, as data: read from a TOML file, its fields named by their units.

A field that is None is not modelled. Levels are referred to the amplifier's input.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from edgebci.documents import Document
from edgebci.firmware_sim.electronics.events import AnyEvent


class Electrode(Document):
    """An electrode in tissue, against the reference.

    impedance_kohm is taken as a resistance for its thermal noise, which is then an upper bound; impedance_cv is the
    spread over channels (log-normal); offset_mv bounds the uniform spread of the half-cell potentials.
    """

    impedance_kohm: float | None = Field(default=None, gt=0, le=1e5)
    impedance_cv: float = Field(default=0.3, ge=0, le=3)
    offset_mv: float = Field(default=0.0, ge=0, le=1000)


class Amplifier(Document):
    """What stands between electrode and filter.

    noise_nv_per_rthz: white part of the density; it rises as 1 + flicker_corner_hz / f. high_pass_hz: a first-order
    high-pass, or 0 where the amplifier is coupled at 0 Hz and passes the electrode's offset on. input_range_mv: beyond
    +- this it saturates, and stays at its limit for recovery_ms after the input has come back. cmrr_db and
    input_impedance_mohm decide how much of the mains arrives.
    """

    noise_nv_per_rthz: float = Field(default=0.0, ge=0)
    flicker_corner_hz: float = Field(default=0.0, ge=0)
    high_pass_hz: float = Field(default=0.0, ge=0)
    input_range_mv: float | None = Field(default=None, gt=0)
    recovery_ms: float = Field(default=0.0, ge=0)
    cmrr_db: float = Field(default=80.0, ge=0, le=200)
    input_impedance_mohm: float = Field(default=100.0, gt=0)
    crosstalk_db: float | None = Field(default=None, lt=0)
    """From each neighbour in the order of channels."""


class Filter(Document):
    """The analogue Butterworth low-pass before the sampler."""

    corner_hz: float = Field(gt=0)
    order: int = Field(default=2, ge=1, le=8)


class Converter(Document):
    """Sampler and quantizer. Full scale and bits together: 2^bits steps over full_scale_uv, peak to peak.

    jitter_us: standard deviation of the time of a sample, the same for all channels of it. enob_bits: effective number
    of bits, where it is less than `bits`: white noise makes up for the difference.
    """

    bits: int = Field(ge=1, le=24)
    full_scale_uv: float = Field(gt=0)
    jitter_us: float = Field(default=0.0, ge=0)
    enob_bits: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _effective_is_not_more(self) -> Converter:
        if self.enob_bits is not None and self.enob_bits > self.bits:
            raise ValueError(f"enob_bits {self.enob_bits:g} exceeds bits {self.bits}; lower it, or raise bits")
        return self

    @property
    def noise_uv(self) -> float:
        """The converter's own noise, rms, beyond that of its steps: both together are a step of 2^-ENOB."""
        effective = self.bits if self.enob_bits is None else self.enob_bits
        return self.full_scale_uv * float(np.sqrt((4.0**-effective - 4.0**-self.bits) / 12))

    @property
    def step_uv(self) -> float:
        """Microvolt in one step."""
        return self.full_scale_uv / (1 << self.bits)


class Mains(Document):
    """The body's potential against the device, at mains frequency and its harmonics."""

    common_mode_mv: float = Field(gt=0)
    """Root mean square of all of it."""
    frequency_hz: float = Field(default=50.0, gt=0)
    harmonics: tuple[float, ...] = (1.0, 0.15, 0.25, 0.05, 0.1)
    """Relative amplitude of harmonic 1, 2, ..."""


class Aging(Document):
    """What months in tissue do, since the decoder was trained."""

    months: float = Field(default=0.0, ge=0, le=600)
    lost_share_per_month: float = Field(default=0.0, ge=0, le=1)
    gain_log_sd_per_rt_month: float = Field(default=0.0, ge=0)
    """A channel's gain walks: the standard deviation of its logarithm grows with the root of time."""
    impedance_growth_per_month: float = Field(default=0.0, ge=-0.5, le=10)
    dead_share: float = Field(default=0.0, ge=0, le=1)
    """Channels that were dead from the first day on."""

    @property
    def share_of_dead(self) -> float:
        """Part of all channels that gives no signal any more."""
        living = (1 - self.dead_share) * float((1 - self.lost_share_per_month) ** self.months)
        return 1 - living


class FrontEndModel(Document):
    """A front end at one sampling rate, with its surroundings."""

    rate_hz: float = Field(gt=0)
    converter: Converter
    amplifier: Amplifier = Amplifier()
    anti_alias: Filter | None = None
    electrode: Electrode = Electrode()
    mains: Mains | None = None
    aging: Aging = Aging()
    events: tuple[AnyEvent, ...] = ()
    seed: int = Field(default=1, ge=0)


class SourceQuality(Document):
    """How good a recording is itself; what is None is measured from its samples."""

    noise_nv_per_rthz: float | None = Field(default=None, ge=0)
    step_uv: float | None = Field(default=None, ge=0)
    band_hz: float | None = Field(default=None, gt=0)


class Packets(Document):
    """A link that loses packets in bursts, each of which carries the samples of all channels for packet_ms."""

    packet_ms: float = Field(default=7.5, gt=0)
    loss_share: float = Field(ge=0, lt=1)
    mean_burst_packets: float | None = Field(default=None, ge=1)
    """None: as long as chance alone makes it."""

    @property
    def burst_packets(self) -> float:
        """Packets of a burst in the mean."""
        return 1 / (1 - self.loss_share) if self.mean_burst_packets is None else self.mean_burst_packets


class Conditions(Document):
    """A file of conditions: what it gives stands in place of what the implant's profile says."""

    schema_version: Literal["edgebci.conditions/1"] = Field(alias="schema")
    seed: int = Field(default=1, ge=0)
    converter: dict[Literal["bits", "full_scale_uv", "jitter_us", "enob_bits"], float] = Field(default_factory=dict)
    amplifier: dict[str, float] = Field(default_factory=dict)
    anti_alias: Filter | None = None
    electrode: Electrode | None = None
    mains: Mains | None = None
    aging: Aging = Aging()
    events: tuple[AnyEvent, ...] = ()
    packets: Packets | None = None
    source: SourceQuality = SourceQuality()

    @model_validator(mode="after")
    def _amplifier_is_one(self) -> Conditions:
        unknown = sorted(set(self.amplifier) - set(Amplifier.model_fields))
        if unknown:
            known = ", ".join(Amplifier.model_fields)
            raise ValueError(f"the amplifier has no {', '.join(unknown)}; allowed: {known}")
        return self


NO_CONDITIONS = Conditions(schema="edgebci.conditions/1")
