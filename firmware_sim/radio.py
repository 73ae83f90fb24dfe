"""What a link carries and what sending costs: payload, packet overhead, packets, and the rest between them."""

from __future__ import annotations

from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.expressions import ceiling
from edgebci.firmware_sim.uncertainty import Pick


def payload_bits_per_s(design: Design) -> float:
    """Payload that the work produces, in bit/s."""
    return design.work.payload_bits_per_frame * design.load.frame_rate_hz


def packets_per_s(design: Design, pick: Pick) -> float:
    """Each frame is sent at once, in as few packets as hold it: batching would save energy and cost delay."""
    packet_bits = 8 * pick(design.radio.max_payload_bytes_per_packet)
    return ceiling(design.work.payload_bits_per_frame / packet_bits) * design.load.frame_rate_hz


def on_air_bits_per_s(design: Design, pick: Pick) -> float:
    """Payload and packet overhead, in bit/s."""
    return payload_bits_per_s(design) + packets_per_s(design, pick) * pick(design.radio.overhead_bits_per_packet)


def utilization(design: Design, pick: Pick) -> float:
    """Payload over what the link carries; above 1 the link is too slow."""
    return payload_bits_per_s(design) / pick(design.radio.payload_bits_per_s)


def radio_uw(design: Design, pick: Pick) -> float:
    """Mean power of the radio at its supply, in uW."""
    air_uw = on_air_bits_per_s(design, pick) * pick(design.radio.energy_nj_per_bit) * 1e-3
    packets_uw = packets_per_s(design, pick) * pick(design.radio.energy_uj_per_packet)
    return air_uw + packets_uw + pick(design.radio.idle_uw)
