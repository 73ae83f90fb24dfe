"""What it costs to carry a file over an implant's radio, modelled from the profiles of `hardware_profiles`."""

from __future__ import annotations

import math

from edgebci.documents import Document
from edgebci.hardware import Radio, load_profile, profile_names


class Range(Document):
    """Over the ranges of the profile's figures."""

    low: float
    typical: float
    high: float


class RadioCost(Document):
    """One transfer over one radio: modelled, not measured.

    The profiles give the energy of the implant as a sender. As a receiver it is taken to need the
    same per bit and packet.
    """

    radio: str
    payload_bytes: int
    packets: int
    seconds: Range
    energy_uj: Range


def radio_costs(payload_bytes: int) -> tuple[RadioCost, ...]:
    """The cost over every radio that is shipped, in order of their names."""
    return tuple(radio_cost(load_profile(Radio, name), payload_bytes) for name in profile_names(Radio))


def radio_cost(radio: Radio, payload_bytes: int) -> RadioCost:
    """The cost over one radio, idle power left out."""
    bits, rate = 8 * payload_bytes, radio.payload_bits_per_s
    packets = math.ceil(payload_bytes / radio.max_payload_bytes_per_packet.typical)
    of_bit, of_packet, overhead = radio.energy_nj_per_bit, radio.energy_uj_per_packet, radio.overhead_bits_per_packet

    def energy_uj(nj_per_bit: float, uj_per_packet: float, overhead_bits: float) -> float:
        return 1e-3 * nj_per_bit * (bits + packets * overhead_bits) + packets * uj_per_packet

    return RadioCost(
        radio=radio.name,
        payload_bytes=payload_bytes,
        packets=packets,
        seconds=Range(low=bits / rate.high, typical=bits / rate.typical, high=bits / rate.low),
        energy_uj=Range(
            low=energy_uj(of_bit.low, of_packet.low, overhead.low),
            typical=energy_uj(of_bit.typical, of_packet.typical, overhead.typical),
            high=energy_uj(of_bit.high, of_packet.high, overhead.high),
        ),
    )
