"""Profiles of radios and of the bands that rules leave open to them."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.hardware_units import (
    Count,
    Decibel,
    DecibelMilliwatt,
    In,
    Megahertz,
    Microjoule,
    Microsecond,
    Microwatt,
    Millisecond,
    Milliwatt,
    Profile,
    Share0,
    Volt,
)
from edgebci.quantity import Quantity

Turns = Literal["ble", "acknowledged", "one_way"]
Modulation = Literal["fsk", "ook", "bpsk", "ppm"]
BitRate = Annotated[Quantity, In("bit/s", at_least=1.0)]
AntennaGain = Annotated[Quantity, In("dBi", at_least=-80.0, at_most=30.0)]
ROUNDING_DB = 0.01
"""A limit in dBm is written with two decimals."""


class Band(Profile):
    """A stretch of spectrum and what one rule allows in it.

    Fields:
        permission: "exempt" needs no licence, "by rule" is open to medical devices, "experimental" needs a licence for
            the place and is none for a product, "not radio" is outside of what radio rules cover.
        eirp_dbm: most that is radiated, in any `bandwidth_mhz` where that is given.
        duty_limit: largest share of the time on the air.
    """

    folder: ClassVar[str] = "bands"

    kind: Literal["band"]
    rule: str = Field(min_length=1)
    permission: Literal["exempt", "by rule", "experimental", "not radio"]
    low_mhz: Annotated[Quantity, In("MHz")]
    high_mhz: Megahertz
    eirp_dbm: DecibelMilliwatt | None = None
    bandwidth_mhz: Megahertz | None = None
    duty_limit: Share0 | None = None


class Connection(Document):
    """What Bluetooth Low Energy adds to the packets: events every interval.

    Fields:
        interval_step_ms: intervals are its multiples, from interval_min_ms to interval_max_ms.
        event_uj: of an event beyond its packets: start of oscillator and radio, processing.
        events_skipped_max: events that the implant may sleep through (peripheral latency).
        supervision_min_ms, supervision_max_ms: silence after which the link counts as lost.
    """

    interval_step_ms: Millisecond
    interval_min_ms: Millisecond
    interval_max_ms: Millisecond
    event_uj: Microjoule
    events_skipped_max: Count
    supervision_min_ms: Millisecond
    supervision_max_ms: Millisecond


class Air(Document):
    """What a link does in time and in space, beyond its mean power.

    Fields:
        turns: who may speak when; one_way has no acknowledgement. modulation: gfsk of Bluetooth is fsk, non-coherent.
        air_bits_per_s: raw rate. empty_packet_bits: of a packet without payload.
        carrier_mhz: where it may tune, which must lie in the band. bandwidth_khz: occupied.
        eirp_limit_dbm, duty_limit: what the band's rule leaves to this signal.
        sensitivity_dbm: weakest signal at which the receiver outside has the bit error rate sensitivity_ber.
        tx_mw, rx_mw, ramp_up_mw: of the implant's radio alone. ramp_up_us: from sleep to the first bit.
        turn_around_us: between a packet and the next in the other direction. clock_ppm: of both sleep clocks together.
        body_loss_db, distance_m: at the typical place of the receiver.
        bad_share, bad_burst_ms, bad_loss_db: share of time in bursts, their mean length, the loss that they add.
    """

    turns: Turns
    modulation: Modulation
    air_bits_per_s: BitRate
    empty_packet_bits: Annotated[Quantity, In("bit")]
    carrier_mhz: Megahertz
    bandwidth_khz: Annotated[Quantity, In("kHz", at_least=0.1)]
    tx_power_dbm: DecibelMilliwatt
    eirp_limit_dbm: DecibelMilliwatt
    duty_limit: Share0 | None = None
    sensitivity_dbm: DecibelMilliwatt
    sensitivity_ber: Annotated[Quantity, In("1", at_least=1e-15, at_most=0.5)]
    implant_antenna_dbi: AntennaGain
    receiver_antenna_dbi: AntennaGain
    tx_mw: Milliwatt
    rx_mw: Milliwatt
    ramp_up_us: Microsecond
    ramp_up_mw: Milliwatt
    turn_around_us: Microsecond
    clock_ppm: Annotated[Quantity, In("ppm")]
    body_loss_db: Decibel
    distance_m: Annotated[Quantity, In("m", at_least=1e-4)]
    bad_share: Share0
    bad_burst_ms: Millisecond
    bad_loss_db: Decibel


class Radio(Profile):
    """The implant's side of a link: energy on the air, per packet and at rest; and the payload that it carries.

    Fields:
        band: name of the profile in `hardware_profiles/bands` by whose rule it may send.
        air: packets, power budget and bursts; absent for links that do not radiate (light, near field).
        transmit_uw, receive_uw: while sending and listening, at its supply. idle_uw: between packets, the link held.
        sleep_uw: the link not held. wake_up_us, wake_up_uj: from there to the first bit.
        external_mw: what the other side spends to carry the link, where that makes the energy per bit small.
        range_mm: shown at published_ber.
    """

    folder: ClassVar[str] = "radios"

    kind: Literal["radio"]
    legal_basis: str = Field(min_length=1)
    payload_bits_per_s: BitRate
    energy_nj_per_bit: Annotated[Quantity, In("nJ/bit")]
    overhead_bits_per_packet: Annotated[Quantity, In("bit")]
    max_payload_bytes_per_packet: Annotated[Quantity, In("byte", at_least=1.0)]
    # Start-up, turn-around and listening for the acknowledgement.
    energy_uj_per_packet: Microjoule
    idle_uw: Microwatt

    band: str | None = None
    air: Air | None = None
    connection: Connection | None = None
    supply_v: Volt | None = None
    transmit_uw: Microwatt | None = None
    receive_uw: Microwatt | None = None
    sleep_uw: Microwatt | None = None
    wake_up_us: Microsecond | None = None
    wake_up_uj: Microjoule | None = None
    external_mw: Milliwatt | None = None
    range_mm: Annotated[Quantity, In("mm")] | None = None
    published_ber: Annotated[Quantity, In("1", at_most=0.5)] | None = None

    @model_validator(mode="after")
    def _has_a_band(self) -> Self:
        if self.air is not None and self.band is None:
            raise ValueError("it radiates and names no band: add band, the profile of the rule by which it may send")
        if self.air is not None and self.payload_bits_per_s.high > self.air.air_bits_per_s.high:
            raise ValueError(
                f"payload_bits_per_s {self.payload_bits_per_s.high:g} exceeds air_bits_per_s "
                f"{self.air.air_bits_per_s.high:g}; correct one of them"
            )
        return self


def check_band(radio: Radio, band: Band) -> None:
    """Check that the rule which a radio names allows what it sends.

    Raises:
        InputError: its carrier leaves the band, it radiates more than the rule allows, or more often.
    """
    if radio.air is None:
        return
    low_mhz, high_mhz = radio.air.carrier_mhz.low, radio.air.carrier_mhz.high
    if low_mhz < band.low_mhz.typical or high_mhz > band.high_mhz.typical:
        raise InputError(
            f"{radio.name} sends at {low_mhz:g} to {high_mhz:g} MHz, {band.name} ({band.rule}) allows "
            f"{band.low_mhz.typical:g} to {band.high_mhz.typical:g} MHz; "
            "move carrier_mhz or name the band that allows it"
        )
    _check_power(radio.name, radio.air, band)
    _check_duty(radio.name, radio.air, band)


def _check_duty(name: str, air: Air, band: Band) -> None:
    if band.duty_limit is None:
        return
    allowed = band.duty_limit.typical
    if air.duty_limit is None or air.duty_limit.high > allowed:
        raise InputError(
            f"{name} may send for {'any share' if air.duty_limit is None else f'{air.duty_limit.high:g}'} of the time, "
            f"{band.name} ({band.rule}) allows {allowed:g}; set air.duty_limit to no more"
        )


def _check_power(name: str, air: Air, band: Band) -> None:
    radiated_dbm = air.tx_power_dbm.typical + air.implant_antenna_dbi.typical
    allowed_dbm = allowed_eirp_dbm(air, band)
    if radiated_dbm > allowed_dbm:
        raise InputError(
            f"{name} radiates {radiated_dbm:.3g} dBm, {band.name} ({band.rule}) allows {allowed_dbm:.3g} dBm; "
            "lower air.tx_power_dbm"
        )
    if air.eirp_limit_dbm.typical > allowed_dbm + ROUNDING_DB:
        raise InputError(
            f"{name} sets itself air.eirp_limit_dbm {air.eirp_limit_dbm.typical:.4g}, {band.name} ({band.rule}) allows "
            f"{allowed_dbm:.4g} dBm; lower it"
        )


def allowed_eirp_dbm(air: Air, band: Band) -> float:
    """What a rule leaves to a signal: a limit on a stretch of spectrum counts once for each stretch that it fills."""
    if band.eirp_dbm is None:
        return math.inf
    if band.bandwidth_mhz is None:
        return band.eirp_dbm.typical
    stretches = max(1.0, air.bandwidth_khz.typical / (1e3 * band.bandwidth_mhz.typical))
    return band.eirp_dbm.typical + 10.0 * math.log10(stretches)
