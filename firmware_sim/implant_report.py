"""What placing a decoder into an implant gives: models ready for JSON. Every figure in them is modelled."""

from __future__ import annotations

from typing import Literal

from edgebci.documents import Document
from edgebci.firmware_sim.uncertainty import Estimate
from edgebci.hardware import Location, Part

Verdict = Literal["yes", "no", "depends"]
"""Whether a limit holds over the whole range: yes, no, or it depends on where in their ranges the inputs lie."""


PartitionName = Literal["raw_lfp", "features", "decoded_output"]


class ReportedInput(Document):
    """An input of the results, by its path in the profiles."""

    name: str
    low: float
    typical: float
    high: float
    unit: str
    source: str


class PartPower(Document):
    """Mean power of one part, in uW; `conversion` is what regulator and rectifier lose."""

    part: Part
    power: Estimate


class RadioUse(Document):
    """Rates of the link in bit/s, and the share of what it carries that is used."""

    payload_bits_per_s: float
    on_air_bits_per_s: Estimate
    carries_bits_per_s: Estimate
    utilization: Estimate
    carried: Verdict


class StepTiming(Document):
    """The worst step against the frame period, and the share of time in which the core runs on average."""

    worst_step_ms: Estimate
    deadline_ms: float
    meets_deadline: Verdict
    duty: Estimate


class MemoryUse(Document):
    """Bytes of flash and RAM: needed, and on the chip."""

    flash_bytes: int
    flash_available_bytes: int
    ram_bytes: int
    ram_available_bytes: int


class Warming(Document):
    """Steady temperature rise at one heat source of the implant."""

    source: str
    location: Location
    tissue: str
    rise_c: Estimate
    limit_c: float
    within_limit: Verdict
    rise_c_per_mw: Estimate
    published_rise_c_per_mw: float | None = None


class Partition(Document):
    """Where the work is split between implant and receiver, with the same amplifiers and samples.

    `total` is the implant's power at its supply, None where the link cannot carry the data.
    """

    name: PartitionName
    payload_bits_per_s: float
    carried: Verdict
    compute: Estimate
    radio: Estimate
    total: Estimate | None


class ImplantReport(Document):
    """A decoder in an implant. Inputs that no public source supports come first."""

    assumed_inputs: tuple[ReportedInput, ...]
    basis: Literal["modelled"] = "modelled"
    implant: str
    implant_scope: str
    implant_evidence: str
    compute: str
    core: str
    radio: str
    legal_basis: str
    frame_rate_hz: float
    power: tuple[PartPower, ...]
    total: Estimate
    published_use: str | None
    published_total_mw: float | None
    radio_use: RadioUse
    step: StepTiming
    memory: MemoryUse
    battery_life_h: Estimate | None
    warming: tuple[Warming, ...]
    partitions: tuple[Partition, ...]
    partitions_note: str
    findings: tuple[str, ...]
