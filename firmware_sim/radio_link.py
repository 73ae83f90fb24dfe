"""An implant's link from its profile: when packets go, how many are lost, and what that draws.

A radio without `[air]` in its profile is taken at its mean figures: nobody answers, nothing is lost, and a packet takes
as long as its payload takes at the stated rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.heat.body import surroundings
from edgebci.firmware_sim.radio_link_connection import Agreement, agree
from edgebci.firmware_sim.radio_link_loss import ber_at_margin, free_space_db, packet_error_rate, tissue_db
from edgebci.firmware_sim.radio_link_timing import LinkTiming, mean_uw, most_payload_bits_per_s
from edgebci.firmware_sim.radio_link_trace import BurstChannel, LossTrace, channel_trace
from edgebci.firmware_sim.uncertainty import Pick, typical
from edgebci.hardware import HeatSource, Radio
from edgebci.hardware_radios import Air

LIKELY_LOSS = 0.999
"""A link that loses more has no packets to count tries of."""


@dataclass(frozen=True)
class LinkFigures:
    """What a link is worth at one choice of its inputs.

    Fields:
        tissue_db, space_db: losses on the way. radiated_dbm: outside of the body, towards the receiver (EIRP).
        margin_db, bad_margin_db: above the receiver's sensitivity, in good and in bad times.
        ber, bad_ber: bit errors then. loss, bad_loss: of a packet. tries: of a packet until it arrives, on average.
    """

    tissue_db: float
    space_db: float
    radiated_dbm: float
    margin_db: float
    bad_margin_db: float
    ber: float
    bad_ber: float
    loss: float
    bad_loss: float
    tries: float


def link_timing(radio: Radio, pick: Pick) -> LinkTiming:
    """The link in plain numbers."""
    most_bits = 8.0 * pick(radio.max_payload_bytes_per_packet)
    overhead_bits = pick(radio.overhead_bits_per_packet)
    if radio.air is None:
        return _timing_of_means(radio, pick, most_bits, overhead_bits)
    air = radio.air
    return LinkTiming(
        turns=air.turns,
        bits_per_s=_bits_per_s(radio, air, pick, most_bits + overhead_bits),
        overhead_bits=overhead_bits,
        empty_bits=pick(air.empty_packet_bits),
        most_payload_bits=most_bits,
        turn_us=pick(air.turn_around_us),
        ramp_us=pick(air.ramp_up_us),
        clock_error=pick(air.clock_ppm) * 1e-6,
        tx_uw=pick(air.tx_mw) * 1e3,
        rx_uw=pick(air.rx_mw) * 1e3,
        ramp_uw=pick(air.ramp_up_mw) * 1e3,
        idle_uw=pick(radio.idle_uw),
        event_uj=pick(radio.connection.event_uj) if radio.connection else 0.0,
    )


def _bits_per_s(radio: Radio, air: Air, pick: Pick, packet_bits: float) -> float:
    """Rate of bits that mean something: BLE's raw one; else such that full packets carry the payload that is stated,
    because a code for errors or clock recovery takes its share of the raw bits.
    """
    raw = pick(air.air_bits_per_s)
    if air.turns == "ble":
        return raw
    turns_s = 2e-6 * pick(air.turn_around_us) if air.turns == "acknowledged" else 0.0
    answer_bits = pick(air.empty_packet_bits) if air.turns == "acknowledged" else 0.0
    spent_s = 8.0 * pick(radio.max_payload_bytes_per_packet) / pick(radio.payload_bits_per_s) - turns_s
    return min(raw, (packet_bits + answer_bits) / spent_s) if spent_s > 0 else raw


def _timing_of_means(radio: Radio, pick: Pick, most_bits: float, overhead_bits: float) -> LinkTiming:
    """A raw rate at which full packets carry the stated payload, and energies per bit and packet as stated."""
    bits_per_s = pick(radio.payload_bits_per_s) * (most_bits + overhead_bits) / most_bits
    return LinkTiming(
        turns="one_way",
        bits_per_s=bits_per_s,
        overhead_bits=overhead_bits,
        empty_bits=0.0,
        most_payload_bits=most_bits,
        turn_us=0.0,
        ramp_us=0.0,
        clock_error=0.0,
        tx_uw=pick(radio.energy_nj_per_bit) * bits_per_s * 1e-3,
        rx_uw=0.0,
        ramp_uw=0.0,
        idle_uw=pick(radio.idle_uw),
        packet_uj=pick(radio.energy_uj_per_packet),
    )


def agreement(
    design: Design,
    interval_ms: float | None = None,
    skipped_events: int | None = None,
    supervision_ms: float | None = None,
) -> Agreement | None:
    """The BLE connection that a design gets; None for links without events.

    Args:
        interval_ms: None for the shortest that is allowed.
        skipped_events: None for those between two frames: the implant then wakes its radio only when it has something
            to say, and still finds an event within one interval.
        supervision_ms: silence after which the connection counts as lost; None for the longest that is allowed.

    Raises:
        InputError: the standard does not allow it.
    """
    limits = design.radio.connection
    if design.radio.air is None or design.radio.air.turns != "ble" or limits is None:
        return None
    interval = limits.interval_min_ms.typical if interval_ms is None else interval_ms
    between = min(math.floor(1e3 / design.load.frame_rate_hz / interval), int(limits.events_skipped_max.typical))
    return agree(limits, interval, between if skipped_events is None else skipped_events, supervision_ms)


def radio_body(design: Design) -> HeatSource:
    """The body of the implant that holds the radio; a profile names each part once."""
    return next(source for source in design.implant.heat_sources.values() if "radio" in source.parts)


def path_layers(design: Design, pick: Pick) -> list[tuple[str, float]]:
    """Tissues and thicknesses (m) between the antenna and the air.

    They are those over the body that holds the radio; where the implant states how deep its antenna lies, only the
    outermost of them to that depth, the innermost stretched if they do not reach it.
    """
    layers = [
        (layer.tissue.name, pick(layer.thickness_mm) * 1e-3)
        for layer in surroundings(radio_body(design).location).over
        if layer.thickness_mm is not None
    ]
    depth = design.implant.antenna_depth_mm
    return layers if depth is None else _outermost(layers, pick(depth) * 1e-3)


def _outermost(layers: list[tuple[str, float]], depth_m: float) -> list[tuple[str, float]]:
    kept: list[tuple[str, float]] = []
    for i, (tissue, thickness_m) in enumerate(reversed(layers)):
        part_m = depth_m if i == len(layers) - 1 else min(thickness_m, depth_m)
        kept += [(tissue, part_m)] if part_m > 0 else []
        depth_m -= part_m
    return kept[::-1]


def link_figures(design: Design, air: Air, pick: Pick) -> LinkFigures:
    """Link budget, bit errors and packet losses for the messages of the work."""
    frequency_hz = pick(air.carrier_mhz) * 1e6
    tissue = tissue_db(path_layers(design, pick), frequency_hz)
    space = free_space_db(pick(air.distance_m), frequency_hz)
    radiated = pick(air.tx_power_dbm) + pick(air.implant_antenna_dbi) - tissue
    received = radiated - space - pick(air.body_loss_db) + pick(air.receiver_antenna_dbi)
    margin = received - pick(air.sensitivity_dbm)
    bad_margin = margin - pick(air.bad_loss_db)
    bits = _mean_packet_bits(link_timing(design.radio, pick), design.work.payload_bits_per_frame)
    ber, bad_ber = (ber_at_margin(air.modulation, pick(air.sensitivity_ber), db) for db in (margin, bad_margin))
    loss, bad_loss = packet_error_rate(ber, bits), packet_error_rate(bad_ber, bits)
    share = pick(air.bad_share)
    lost = min(LIKELY_LOSS, (1.0 - share) * loss + share * bad_loss)
    return LinkFigures(
        tissue_db=tissue,
        space_db=space,
        radiated_dbm=radiated,
        margin_db=margin,
        bad_margin_db=bad_margin,
        ber=ber,
        bad_ber=bad_ber,
        loss=loss,
        bad_loss=bad_loss,
        tries=1.0 if air.turns == "one_way" else 1.0 / (1.0 - lost),
    )


def link_channel(design: Design, pick: Pick = typical) -> BurstChannel:
    """Good and bad times of the link, and what a data packet of the work risks in each."""
    air = design.radio.air
    if air is None:
        return BurstChannel(0.0, 0.0, 0.0, 1.0)
    figures = link_figures(design, air, pick)
    return BurstChannel(figures.loss, figures.bad_loss, pick(air.bad_share), pick(air.bad_burst_ms) * 1e-3)


def link_trace(design: Design, n_packets: int, packet_period_s: float, seed: int, pick: Pick = typical) -> LossTrace:
    """Send a packet every `packet_period_s` without repeating any, and mark those that are lost."""
    return channel_trace(link_channel(design, pick), n_packets, packet_period_s, seed)


def link_uw(design: Design, pick: Pick, interval_ms: float | None = None, skipped_events: int | None = None) -> float:
    """Mean power of the radio with packets, events and repetitions counted, in uW."""
    link, agreed = link_timing(design.radio, pick), agreement(design, interval_ms, skipped_events)
    tries = link_figures(design, design.radio.air, pick).tries if design.radio.air else 1.0
    return mean_uw(link, agreed, design.work.payload_bits_per_frame, design.load.frame_rate_hz, tries)


def link_carries_bits_per_s(design: Design, pick: Pick, interval_ms: float | None = None) -> float:
    """Payload that the link can carry by its packets and turns when nothing is lost."""
    return most_payload_bits_per_s(link_timing(design.radio, pick), agreement(design, interval_ms))


def on_air_share(design: Design, pick: Pick) -> float:
    """Share of the time in which the implant sends, for the duty that a rule allows."""
    link = link_timing(design.radio, pick)
    sent_us = sum(link.data_us(bits) for bits in link.packets(design.work.payload_bits_per_frame))
    tries = link_figures(design, design.radio.air, pick).tries if design.radio.air else 1.0
    return tries * sent_us * 1e-6 * design.load.frame_rate_hz


def _mean_packet_bits(link: LinkTiming, message_bits: float) -> float:
    packets = link.packets(message_bits)
    return (sum(packets) / len(packets) if packets else 0.0) + link.overhead_bits
