"""When what happens in an implant, for its report: a few frames to be drawn, and how late minutes of outputs arrive."""

from __future__ import annotations

import numpy as np

from edgebci.errors import InputError
from edgebci.firmware_sim.design import DecoderLoad, Design, assemble
from edgebci.firmware_sim.timeline.figure import STATES
from edgebci.firmware_sim.timeline.simulation import Timeline, simulate_timeline, timeline_spans
from edgebci.firmware_sim.timeline.summary import BUDGET_MS
from edgebci.hardware import ComputePart, Implant, Radio, load_profile
from edgebci.pipeline.configuration import PlacementConfig
from edgebci.reporting.schema import ImplantSection
from edgebci.reporting.sections import Event, TimelineSection, TransportSection

MINUTES = 5
"""15,000 outputs at 50 Hz: the 99.9th percentile is that of 15 of them."""
FRAMES, SKIPPED = 4, 2
_ORDER = ("wake", "run", "ramp", "rx", "tx")
"""In which a frame goes through them."""
OUTPUT_LANE = "output arrives"
_SEED = 0


def with_timeline(section: ImplantSection, placement: PlacementConfig, load: DecoderLoad) -> ImplantSection:
    """The same implant with its timeline and transport latency; a link that can't be simulated is a finding."""
    try:
        design = assemble(
            load_profile(Implant, placement.implant),
            load_profile(ComputePart, placement.compute),
            load_profile(Radio, placement.radio),
            load,
        )
        found = {"timeline": frames_of(design), "transport": transport_of(design)}
    except InputError as error:
        return section.model_copy(update={"findings": (*section.findings, f"There is no timeline: {error}.")})
    return section.model_copy(update=found)


def frames_of(design: Design, n_frames: int = FRAMES, skipped: int = SKIPPED) -> TimelineSection:
    """A few frames after the first, every input typical; times count from the last sample of the frame before them.

    Raises:
        InputError: as `simulate_timeline`.
    """
    period_s = 1 / design.load.frame_rate_hz
    spans, part = timeline_spans(design, max(1, int(np.ceil((skipped + n_frames + 2) * period_s))), _SEED)
    start_s = float(part.frame_s[skipped - 1])
    stop_s = start_s + n_frames * period_s
    shown = [span for span in spans if start_s <= span.start_s < stop_s]
    events = [
        Event(
            lane=STATES[span.state],
            start_ms=_ms(span.start_s - start_s),
            stop_ms=_ms(span.start_s + span.length_s - start_s),
        )
        for span in sorted(shown, key=lambda span: (_ORDER.index(span.state), span.start_s))
    ]
    for delivered_s, transport_s in zip(part.delivered_s, part.transport_s, strict=True):
        if start_s <= delivered_s < stop_s:
            at = _ms(delivered_s - start_s)
            events.append(Event(lane=OUTPUT_LANE, start_ms=at, stop_ms=at, note=f"{_ms(transport_s):.1f} ms"))
    return TimelineSection(
        period_ms=_ms(period_s),
        events=tuple(events),
        source=(
            f"{n_frames} frames from {1e3 * start_s:g} ms after power-on, every input typical; dashed: a frame's last "
            "sample. The time beside an output is its transport latency, from that sample to the receiver."
        ),
    )


def transport_of(design: Design, minutes: int = MINUTES) -> TransportSection:
    """How late the outputs of some minutes arrive, every input typical.

    Raises:
        InputError: as `simulate_timeline`.
    """
    found: Timeline = simulate_timeline(design, 60 * minutes, _SEED)
    arrived_ms = 1e3 * found.transport_s[~found.lost]
    return TransportSection.of(arrived_ms, n_lost=int(found.lost.sum()), seconds=60 * minutes, budget_ms=BUDGET_MS)


def _ms(seconds: float) -> float:
    return round(1e3 * float(seconds), 4)
