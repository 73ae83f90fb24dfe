"""How long packets and the talk around them take, and what that draws: plain numbers, in microseconds and microwatts.

    BLE            poll | space | data | space | poll | space | data ...    the other side begins each event
    acknowledged   data | turn | answer | turn | data ...                   the implant begins when it has something
    one way        data | data ...                                          nobody answers

A BLE data packet is answered by the next poll, at the latest that of the next event.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgebci.firmware_sim.radio_link_connection import Agreement
from edgebci.hardware_radios import Turns

MAY_BREAK_IN_A_ROW = 2
"""An event ends when so many packets in a row arrive broken (Bluetooth Core Specification, Vol 6 Part B 4.5.6)."""


@dataclass(frozen=True)
class LinkTiming:
    """A link in plain numbers.

    Fields:
        bits_per_s: raw rate on the air. overhead_bits: of a data packet. empty_bits: a poll or an answer.
        most_payload_bits: of one packet.
        turn_us: between packets of either side. ramp_us: until the radio sends or hears.
        clock_error: of both sleep clocks together, as a share.
        tx_uw, rx_uw, ramp_uw: while sending, hearing and ramping up. idle_uw: between packets. event_uj: of a BLE event
            beyond its packets. packet_uj: of a data packet beyond its bits.
    """

    turns: Turns
    bits_per_s: float
    overhead_bits: float
    empty_bits: float
    most_payload_bits: float
    turn_us: float
    ramp_us: float
    clock_error: float
    tx_uw: float
    rx_uw: float
    ramp_uw: float
    idle_uw: float
    event_uj: float = 0.0
    packet_uj: float = 0.0

    def data_us(self, payload_bits: float) -> float:
        """On the air with one data packet."""
        return (payload_bits + self.overhead_bits) / self.bits_per_s * 1e6

    @property
    def empty_us(self) -> float:
        """On the air with a poll or an answer."""
        return self.empty_bits / self.bits_per_s * 1e6

    def packets(self, payload_bits: float) -> list[float]:
        """Payload bits of each packet that a message needs: full ones, then the rest."""
        full, rest = divmod(payload_bits, self.most_payload_bits)
        return [self.most_payload_bits] * int(full) + ([rest] if rest > 0 else [])


def exchange_us(link: LinkTiming, payload_bits: float) -> float:
    """From the start of one turn to the start of the next."""
    if link.turns == "one_way":
        return link.data_us(payload_bits)
    return link.data_us(payload_bits) + link.empty_us + 2.0 * link.turn_us


def data_begins_us(link: LinkTiming) -> float:
    """From the start of a turn to the first bit of data."""
    return link.empty_us + link.turn_us if link.turns == "ble" else 0.0


def exchange_uj(link: LinkTiming, payload_bits: float) -> float:
    """Energy of one turn above idling: the packet sent, the one heard, and a ramp for each."""
    sent_uj = link.data_us(payload_bits) * link.tx_uw * 1e-6 + link.packet_uj
    if link.turns == "one_way":
        return sent_uj
    return sent_uj + link.empty_us * link.rx_uw * 1e-6 + 2.0 * link.ramp_us * link.ramp_uw * 1e-6


@dataclass(frozen=True)
class Turn:
    """One turn with a data packet, in seconds: how long until the next, when after its start the data begins, and for
    how long; what it costs above idling; how long the other side speaks in it, and how long the radio ramps.
    """

    length_s: float
    data_after_s: float
    data_s: float
    energy_uj: float
    heard_s: float
    ramped_s: float


def turn_of(link: LinkTiming, payload_bits: float) -> Turn:
    """The turn of a packet."""
    return Turn(
        length_s=exchange_us(link, payload_bits) * 1e-6,
        data_after_s=data_begins_us(link) * 1e-6,
        data_s=link.data_us(payload_bits) * 1e-6,
        energy_uj=exchange_uj(link, payload_bits),
        heard_s=link.empty_us * 1e-6,
        ramped_s=2.0 * link.ramp_us * 1e-6,
    )


def empty_exchange_uj(link: LinkTiming) -> float:
    """Energy of a BLE event in which neither side has anything to say: a poll heard, an empty packet sent."""
    return link.empty_us * (link.rx_uw + link.tx_uw) * 1e-6 + 2.0 * link.ramp_us * link.ramp_uw * 1e-6


def begin_uj(link: LinkTiming, since_us: float) -> float:
    """Energy of beginning to talk after `since_us` of silence: an implant listens as early as the clocks may be off."""
    if link.turns == "ble":
        return link.event_uj + since_us * link.clock_error * link.rx_uw * 1e-6
    return link.ramp_us * link.ramp_uw * 1e-6 if link.turns == "one_way" else 0.0


def packets_per_event(link: LinkTiming, agreed: Agreement) -> int:
    """Full data packets that fit between two BLE events."""
    return math.floor(agreed.interval_ms * 1e3 / exchange_us(link, link.most_payload_bits))


def most_payload_bits_per_s(link: LinkTiming, agreed: Agreement | None) -> float:
    """Payload that the link can carry when nothing is lost."""
    if agreed is None:
        return link.most_payload_bits / exchange_us(link, link.most_payload_bits) * 1e6
    return packets_per_event(link, agreed) * link.most_payload_bits / agreed.interval_ms * 1e3


def mean_uw(
    link: LinkTiming, agreed: Agreement | None, message_bits: float, messages_per_s: float, tries: float = 1.0
) -> float:
    """Mean power of a link that sends messages evenly, each packet `tries` times on average.

    A BLE event without data costs a poll and an empty answer, where the implant may not skip it because the last event
    that it kept is too long ago.
    """
    talk_uj = tries * sum(exchange_uj(link, bits) for bits in link.packets(message_bits))
    if agreed is None:
        return link.idle_uw + messages_per_s * (talk_uj + begin_uj(link, 0.0))
    events_per_s = 1e3 / agreed.interval_ms
    busy_per_s = min(messages_per_s, events_per_s)
    empty_per_s = max(0.0, events_per_s / (1 + agreed.skipped_events) - busy_per_s)
    silence_us = 1e6 / (busy_per_s + empty_per_s)
    begin = begin_uj(link, silence_us)
    empty_uj = begin + empty_exchange_uj(link)
    return link.idle_uw + messages_per_s * talk_uj + busy_per_s * begin + empty_per_s * empty_uj
