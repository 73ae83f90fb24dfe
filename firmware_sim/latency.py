"""Whether a step ends before the next frame: the worst modelled step at the part's clock."""

from __future__ import annotations

from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.uncertainty import Pick


def deadline_ms(design: Design) -> float:
    """The frame period."""
    return 1e3 / design.load.frame_rate_hz


def step_ms(design: Design, pick: Pick) -> float:
    """Time of the worst step, in ms: front end of one frame and decoder, flash stalls included."""
    return design.real_cycles(design.load.worst_cycles_per_frame, pick) / (pick(design.compute.clock_mhz) * 1e3)
