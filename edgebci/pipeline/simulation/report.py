"""What a simulation gives. Every figure is modelled, none measured on a device; accuracy is that of the shipped C."""

from __future__ import annotations

from typing import Literal

from edgebci.comparison import Comparison
from edgebci.documents import Document
from edgebci.firmware_sim.electronics.conditions import FrontEndModel, Packets, SourceQuality
from edgebci.pipeline.simulation.closed_loop import ClosedLoop
from edgebci.pipeline.simulation.device_side import DeviceSide
from edgebci.pipeline.simulation.recovery import Recovery
from edgebci.pipeline.simulation.sweeps import Sweep


class FormAccuracy(Document):
    """How well the decoder follows the truth under one condition, on the same frames as all others of the report."""

    name: str
    reference: str
    """Common reference of the front end: average, median or none."""
    r2: float
    """Mean over axes. Where the device calls a frame invalid, its last valid output counts."""
    valid_share: float
    """Of the frames that count, those that the device calls valid."""


class Clipping(Document):
    """What the implant's converter could not hold."""

    clipped_share: float
    """Of all samples."""
    worst_channel_share: float
    channels_over_1_percent: int


class PolicyLoss(Document):
    """What lost packets cost under one policy for missing samples, without the degraded front end."""

    policy: str
    r2: float
    r2_lost: float
    """Against the same program on the same recording without losses."""
    valid_share: float


class PacketLoss(Document):
    """A trace of lost packets of samples, and each policy of a decoder outside under it."""

    origin: str
    """What lost them: the conditions, or the named radio's link."""
    packets: Packets | None
    """As the conditions gave them."""
    lost_share: float
    """Of the rows of samples, in this trace."""
    longest_gap_ms: float
    mean_gap_ms: float
    policies: tuple[PolicyLoss, ...]


class OutputLoss(Document):
    """Decoding on the implant: outputs that did not arrive within the loop's budget, the receiver holding the last."""

    lost_share: float
    """Of all frames."""
    r2: float
    r2_lost: float
    """Against the same outputs, all of them received."""


class SimulationReport(Document):
    """The device over a recording, under the conditions that were asked for."""

    schema_version: Literal["edgebci.simulation/1"] = "edgebci.simulation/1"
    basis: Literal["modelled"] = "modelled"
    bundle: str
    recording: str
    implant: str
    seconds: float
    n_channels: int
    rate_hz: float
    frames_scored: int
    only_test_intervals: bool
    """The recording is the one that the decoder was made from, and only frames count that it never saw."""
    notes: tuple[str, ...]
    source: SourceQuality
    front_end: FrontEndModel
    accuracy: tuple[FormAccuracy, ...]
    degraded_against_clean: Comparison
    effective_lag_ms: float
    """Of what is decoded from the degraded signal, in the recording's own time."""
    clipping: Clipping
    recoveries: tuple[Recovery, ...]
    packet_loss: PacketLoss | None
    output_loss: OutputLoss | None = None
    sweeps: tuple[Sweep, ...] = ()
    closed_loop: ClosedLoop | None = None
    device: DeviceSide | None = None
    """None where no chip and radio were named."""
