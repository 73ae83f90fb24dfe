"""Profiles of implants and front ends: what records, what supplies it, and where its heat goes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.hardware_units import (
    PARTS,
    Bits,
    Count,
    Decibel,
    Evidence,
    Hertz,
    In,
    Location,
    Microwatt,
    Millisecond,
    Milliwatt,
    Part,
    Profile,
    Scope,
    Share,
    Share0,
    Volt,
)
from edgebci.quantity import Quantity


class FrontEnd(Document):
    """Amplifiers and converter. What a source gives only together with the amplifier is 0 here, and says so.

    All voltages are referred to the electrode.

    Fields:
        full_scale_uv: from the lowest code to the highest, peak to peak.
        enob_bits: effective number of bits of the converter, at most `bits`.
        anti_alias_order, anti_alias_corner_hz: of the analogue low-pass before the sampler.
        gain_v_per_v: from the electrode to the converter.
        offset_range_mv: largest electrode offset, either sign, at which the amplifier still works.
        noise_nv_per_rthz: amplifier's white density; below `flicker_corner_hz` its power density rises as 1/f.
        electrode_impedance_kohm: magnitude at 1 kHz. input_impedance_mohm: the amplifier's at 50 to 60 Hz.
        impedance_mismatch: difference between two electrodes' impedances over their mean.
        cmrr_db, crosstalk_db: common-mode rejection; how far below a channel its neighbour shows in it.
        settling_ms: from the end of an overload to valid samples. sampling_jitter_us: standard deviation.
        noise_efficiency_factor, supply_v: current of an amplifier of given noise density (Steyaert and Sansen 1987).
        walden_fj_per_step: converter's energy over 2^ENOB, for other resolutions than its own.
    """

    channels: Count
    max_rate_hz: Hertz
    bits: Bits
    band_low_hz: Hertz
    band_high_hz: Hertz
    noise_uvrms: Annotated[Quantity, In("uVrms")] | None = None
    amplifier_uw_per_channel: Microwatt
    adc_pj_per_sample: Annotated[Quantity, In("pJ")]

    full_scale_uv: Annotated[Quantity, In("uV", at_least=1.0)] | None = None
    enob_bits: Bits | None = None
    anti_alias_order: Annotated[Quantity, In("1", at_most=20.0)] | None = None
    anti_alias_corner_hz: Annotated[Quantity, In("Hz", at_least=0.1)] | None = None
    gain_v_per_v: Annotated[Quantity, In("V/V", at_least=1e-3)] | None = None
    offset_range_mv: Annotated[Quantity, In("mV")] | None = None
    noise_nv_per_rthz: Annotated[Quantity, In("nV/sqrt(Hz)")] | None = None
    flicker_corner_hz: Hertz | None = None
    electrode_impedance_kohm: Annotated[Quantity, In("kohm", at_least=1e-3)] | None = None
    impedance_mismatch: Share0 | None = None
    input_impedance_mohm: Annotated[Quantity, In("Mohm", at_least=1e-3)] | None = None
    cmrr_db: Decibel | None = None
    crosstalk_db: Decibel | None = None
    settling_ms: Millisecond | None = None
    sampling_jitter_us: Annotated[Quantity, In("us")] | None = None
    noise_efficiency_factor: Annotated[Quantity, In("1", at_least=0.3)] | None = None
    supply_v: Volt | None = None
    walden_fj_per_step: Annotated[Quantity, In("fJ")] | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.band_low_hz.typical >= self.band_high_hz.typical:
            raise ValueError(
                f"band_low_hz {self.band_low_hz.typical:g} is not below band_high_hz {self.band_high_hz.typical:g}; "
                "exchange or correct them"
            )
        if self.enob_bits is not None and self.enob_bits.high > self.bits.high:
            raise ValueError(f"enob_bits {self.enob_bits.high:g} exceeds bits {self.bits.high:g}; correct one of them")
        return self


class Battery(Document):
    """Energy from full charge to the end of the range in which the device runs.

    Fields:
        fade_share_per_year: share of the capacity that a year costs. self_discharge_uw: lost at rest.
        internal_resistance_ohm, nominal_v, cutoff_v: for the droop under a pulse.
        charge_mw, charge_efficiency: power that enters the implant while it is recharged, and the share that is kept.
    """

    energy_mwh: Annotated[Quantity, In("mWh", at_least=0.001)]
    usable_share: Share
    nominal_v: Volt | None = None
    cutoff_v: Volt | None = None
    internal_resistance_ohm: Annotated[Quantity, In("ohm")] | None = None
    fade_share_per_year: Share0 | None = None
    self_discharge_uw: Microwatt | None = None
    charge_mw: Milliwatt | None = None
    charge_efficiency: Share | None = None


class Link(Document):
    """Wireless power: what of the power that the coil receives reaches the regulator, and the most it receives.

    coil_loss_share: of what the implant takes up, lost in coil and shield inside it.
    rectifier_quiescent_uw: what the rectifier draws at no load, beside its efficiency at a large one.
    """

    rectifier_efficiency: Share
    coil_loss_share: Share0 | None = None
    rectifier_quiescent_uw: Microwatt | None = None
    received_mw: Milliwatt | None = None


class HeatSource(Document):
    """One body that warms tissue: which parts are inside, where it lies, what it touches.

    back_side "tissue": heat leaves through the whole contact area, on all sides; "insulated": through one face.
    """

    location: Location
    parts: tuple[Part, ...] = Field(min_length=1)
    tissue: str
    contact_area_cm2: Annotated[Quantity, In("cm2", at_least=1e-6)]
    back_side: Literal["tissue", "insulated"]
    published_rise_c_per_mw: Annotated[Quantity, In("C/mW")] | None = None


class Published(Document):
    """What the device's own authors say that it draws in its own use: never mixed with what we model."""

    use: str
    total_mw: Milliwatt
    runtime_h: Annotated[Quantity, In("h")] | None = None


class Implant(Profile):
    """A device, or a part of one, into which a decoder can be put.

    Fields:
        regulator_quiescent_uw: what the regulator draws at no load, beside its efficiency at a large one.
        antenna_depth_mm: of the implant's antenna under the skin; 0 outside the body.
    """

    folder: ClassVar[str] = "implants"

    kind: Literal["implant"]
    scope: Scope
    evidence: Evidence
    front_end: FrontEnd
    standing_uw: Microwatt
    regulator_efficiency: Share
    regulator_quiescent_uw: Microwatt | None = None
    antenna_depth_mm: Annotated[Quantity, In("mm")] | None = None
    battery: Battery | None = None
    link: Link | None = None
    heat_sources: dict[str, HeatSource] = Field(min_length=1)
    published: Published | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.battery is None) == (self.link is None):
            raise ValueError("an implant has one supply: give either [battery] or [link]")
        placed = sorted(part for source in self.heat_sources.values() for part in source.parts)
        if placed != sorted(PARTS):
            raise ValueError(f"heat_sources hold {', '.join(placed)}: name each of {', '.join(PARTS)} exactly once")
        return self


def compare_scopes(first: Implant, second: Implant) -> None:
    """Refuse to set the totals of two implants side by side whose figures cover unlike parts of a device.

    Raises:
        InputError: the scopes differ.
    """
    if first.scope != second.scope:
        raise InputError(
            f"{first.name} is a profile of scope {first.scope!r} and {second.name} of {second.scope!r}; "
            "only like scopes are compared: choose two of one scope (edgebci profiles list shows them)"
        )
