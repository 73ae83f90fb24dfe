"""Lost packets on the way to a decoder outside: bursts replayed through the decoder with its state, by policy.

Which samples are lost the conditions say, or else the named radio: the implant streams its samples, its packets meet
the link's margin, bit errors and good and bad times, are repeated where the link repeats, and are of no use when they
come later than the loop allows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.features.specification import FeatureSpec, Missing
from edgebci.firmware_sim.design import Design, Work
from edgebci.firmware_sim.electronics.conditions import Packets
from edgebci.firmware_sim.radio import payload_bits_per_s
from edgebci.firmware_sim.radio_link import link_carries_bits_per_s, link_figures, link_timing
from edgebci.firmware_sim.radio_link_trace import burst_trace, missing_rows
from edgebci.firmware_sim.timeline.records import Fate
from edgebci.firmware_sim.timeline.simulation import Timeline, simulate_timeline
from edgebci.firmware_sim.timeline.summary import BUDGET_MS
from edgebci.firmware_sim.uncertainty import typical
from edgebci.pipeline.simulation.device_side import Device, in_time
from edgebci.pipeline.simulation.setting import Setting

Bool = NDArray[np.bool_]
POLICIES: tuple[Missing, ...] = (Missing(policy="hold"), Missing(policy="zero"))


@dataclass(frozen=True, eq=False)
class Losses:
    """rows: (T,) samples that never arrive in time. origin: why, a sentence. packets: as the conditions say."""

    rows: Bool
    origin: str
    packets: Packets | None = None


def losses_of(setting: Setting, device: Device | None) -> tuple[Losses | None, str | None]:
    """Which samples get lost; None, with the reason, where nothing says so."""
    packets = setting.conditions.packets
    if packets is not None:
        rows = lost_rows(packets, setting.model.rate_hz, setting.n_rows, setting.conditions.seed)
        return Losses(rows, "as the conditions say, whatever the radio", packets), None
    return (None, None) if device is None else _on_link(setting, device)


def _on_link(setting: Setting, device: Device) -> tuple[Losses | None, str | None]:
    load, bits = device.design.load, setting.model.converter.bits
    streaming = device.design.doing(Work(0.0, load.n_channels * load.rate_hz / load.frame_rate_hz * bits))
    wanted, carried = payload_bits_per_s(streaming), link_carries_bits_per_s(streaming, typical)
    if wanted > carried:
        return None, (
            f"no samples are lost on the way to a decoder outside, because none are streamed: {streaming.radio.name} "
            f"carries {carried:,.0f} bit/s, they are {wanted:,.0f}; give [packets] in the conditions to lose some"
        )
    n_frames = -(-setting.n_rows // setting.bundle.manifest.features.samples_per_frame)
    seconds = max(1, int(np.ceil(n_frames / load.frame_rate_hz)))
    timeline = simulate_timeline(streaming, seconds, setting.conditions.seed)
    lost = np.repeat(~in_time(timeline), setting.bundle.manifest.features.samples_per_frame)
    rows = np.zeros(setting.n_rows, bool)
    rows[: len(lost)] = lost[: setting.n_rows]
    return Losses(rows, _origin(streaming, timeline)), None


def _origin(design: Design, timeline: Timeline) -> str:
    radio, air = design.radio, design.radio.air
    sent = len(link_timing(radio, typical).packets(design.work.payload_bits_per_frame))
    gone = int(np.isin(timeline.fate, (Fate.LOST_ON_AIR, Fate.QUEUE_FULL)).sum())
    late = int((~in_time(timeline)).sum()) - gone
    outcome = f"of {len(timeline.fate):,} frames {gone:,} were lost and {late:,} came later than {BUDGET_MS:g} ms"
    if air is None:
        return f"{radio.name} streams {sent} packets a frame; its profile gives no figures of the air; {outcome}"
    found = link_figures(design, air, typical)
    bad_ms = air.bad_burst_ms.typical
    return (
        f"{radio.name} streams {sent} packets a frame, {air.turns.replace('_', ' ')}: margin {found.margin_db:+.1f} dB "
        f"and bit error rate {found.ber:.2g}; {found.bad_margin_db:+.1f} dB and {found.bad_ber:.2g} in the "
        f"{air.bad_share.typical:.1%} of the time that are bad, {bad_ms:g} ms each; {outcome} (modelled)"
    )


def lost_rows(packets: Packets, rate_hz: float, n_rows: int, seed: int) -> Bool:
    """Which rows of samples (n_rows,) never arrive: a packet carries packet_ms of all channels."""
    rows_per_packet = max(1, round(packets.packet_ms * rate_hz / 1000))
    n_packets = -(-n_rows // rows_per_packet)
    trace = burst_trace(packets.loss_share, packets.burst_packets, n_packets, seed)
    return np.asarray(missing_rows(trace, rows_per_packet, n_rows))


def policies(spec: FeatureSpec) -> dict[str, Missing]:
    """Every policy of the feature specification, with the time to a reset that the decoder was made with."""
    return {
        f"{policy.policy}, reset after {spec.missing.reset_after_s:g} s": spec.missing.model_copy(
            update={"policy": policy.policy}
        )
        for policy in POLICIES
    }
