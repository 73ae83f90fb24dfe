"""Lost packets on the way to a decoder outside: bursts replayed through the decoder with its state, by policy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgebci.features.specification import FeatureSpec, Missing
from edgebci.firmware_sim.electronics.conditions import Packets
from edgebci.firmware_sim.radio_link_trace import burst_trace, missing_rows

POLICIES: tuple[Missing, ...] = (Missing(policy="hold"), Missing(policy="zero"))


def lost_rows(packets: Packets, rate_hz: float, n_rows: int, seed: int) -> NDArray[np.bool_]:
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
