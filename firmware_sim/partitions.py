"""The same recording sent as raw LFP, as features, or decoded on the implant: rates and power side by side.

This says nothing about accuracy: which partition is best at equal accuracy, with the noise and the rate that each one
needs, is a question for measured accuracy, so the comparison names no winner.
"""

from __future__ import annotations

from edgebci.firmware_sim.design import Design, Work
from edgebci.firmware_sim.implant_report import Partition, PartitionName
from edgebci.firmware_sim.power import compute_uw, total_uw
from edgebci.firmware_sim.radio import payload_bits_per_s, radio_uw, utilization
from edgebci.firmware_sim.uncertainty import estimate
from edgebci.firmware_sim.verdicts import below

NOTE = (
    "Same amplifiers and samples for each; accuracy, compression and cheaper front ends are not compared, "
    "so no partition is said to win. Raw LFP counts no cycles for moving samples to the radio."
)


def partitions(design: Design) -> tuple[Partition, ...]:
    """Compare three places to split the work."""
    load = design.load
    raw_bits = load.n_channels * load.rate_hz * design.implant.front_end.bits.typical / load.frame_rate_hz
    return (
        _partition("raw_lfp", design.doing(Work(0.0, raw_bits))),
        _partition("features", design.doing(Work(load.front_end_cycles_per_frame, load.feature_bits_per_frame))),
        _partition("decoded_output", design.doing(Work(load.cycles_per_frame, load.output_bits_per_frame))),
    )


def _partition(name: PartitionName, design: Design) -> Partition:
    names = design.input_names()
    carried = below(estimate(lambda pick: utilization(design, pick), "1", names), 1.0)
    total = estimate(lambda pick: total_uw(design, pick), "uW", names)
    return Partition(
        name=name,
        payload_bits_per_s=payload_bits_per_s(design),
        carried=carried,
        compute=estimate(lambda pick: compute_uw(design, pick), "uW", names),
        radio=estimate(lambda pick: radio_uw(design, pick), "uW", names),
        total=None if carried == "no" else total,
    )
