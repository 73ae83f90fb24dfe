"""A decoder put into an implant: the load that it is, the parts that carry it, and the work of one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from edgebci.documents import Document
from edgebci.errors import CapacityError, InputError
from edgebci.firmware_sim.heat.body import body_input_names
from edgebci.firmware_sim.heat.slope import slopes
from edgebci.firmware_sim.uncertainty import Pick
from edgebci.hardware import ComputePart, Core, Implant, Radio, Tissue, load_profile
from edgebci.quantity import Quantity, measured_in, quantities


class DecoderLoad(Document):
    """What a decoder asks of an implant, as its emulated binary showed.

    Cycles are those of one frame on `core`, modelled at zero wait states: front end and decoder together, and the front
    end's part alone. What flash and the model's error add is the compute profile's, and is applied here, once.
    `cycles_factor` says how far cycles may be off that were not emulated but counted and multiplied; None: emulated.
    """

    core: Core
    cycles_per_frame: float = Field(ge=0)
    worst_cycles_per_frame: float = Field(ge=0)
    front_end_cycles_per_frame: float = Field(ge=0)
    frame_rate_hz: float = Field(gt=0)
    n_channels: int = Field(gt=0)
    rate_hz: float = Field(gt=0)
    flash_bytes: int = Field(ge=0)
    ram_bytes: int = Field(ge=0)
    feature_bits_per_frame: int = Field(ge=0)
    output_bits_per_frame: int = Field(gt=0)
    cycles_factor: Annotated[Quantity, measured_in("1", at_least=0.1, at_most=10.0)] | None = None


@dataclass(frozen=True)
class Work:
    """What the implant does for one frame: modelled cycles, and bits of payload to send."""

    cycles_per_frame: float
    payload_bits_per_frame: float


@dataclass(frozen=True)
class Design:
    """An implant with its compute part, radio and tissues, a decoder's load, and the work now considered."""

    implant: Implant
    compute: ComputePart
    radio: Radio
    tissues: Mapping[str, Tissue]
    load: DecoderLoad
    work: Work

    def doing(self, work: Work) -> Design:
        """The same design with other work."""
        return replace(self, work=work)

    def real_cycles(self, modelled: float, pick: Pick) -> float:
        """Cycles on silicon of so many modelled ones: flash stalls, the model's error, and that of counting."""
        factor = self.load.cycles_factor
        counted = modelled if factor is None else modelled * pick(factor)
        return counted * pick(self.compute.real_cycles_per_modelled_cycle)

    def input_names(self) -> dict[int, str]:
        """The dotted path of each quantity of the profiles, and of the body, by its id."""
        own: dict[str, Document] = {"implant": self.implant, "compute": self.compute, "radio": self.radio}
        profiles = own | dict(self.tissues) | {"decoder": self.load}
        named = {
            id(quantity): f"{owner}.{path}"
            for owner, profile in profiles.items()
            for path, quantity in quantities(profile).items()
        }
        return body_input_names() | self._slope_names() | named

    def _slope_names(self) -> dict[int, str]:
        """Of the rises per milliwatt, which belong to no profile."""
        return {
            id(layer.c_per_mw): f"heat.{name}.c_per_mw{f'.{layer.layer}' if k else ''}"
            for name, source in self.implant.heat_sources.items()
            for k, layer in enumerate((slopes(source).hottest, *slopes(source).layers))
        }


def assemble(implant: Implant, compute: ComputePart, radio: Radio, load: DecoderLoad) -> Design:
    """Put a decoder into an implant.

    Raises:
        InputError: the cycles were modelled for another core, or the implant has too few channels or too low a rate.
        CapacityError: flash or RAM are too small; says by how much.
    """
    _check_core(compute, load)
    _check_signals(implant, load)
    _check_memory(compute, load)
    return unchecked(implant, compute, radio, load)


def unchecked(implant: Implant, compute: ComputePart, radio: Radio, load: DecoderLoad) -> Design:
    """The same for a decoder that need not fit: what a search tries."""
    names = sorted({source.tissue for source in implant.heat_sources.values()})
    tissues = {name: load_profile(Tissue, name) for name in names}
    return Design(implant, compute, radio, tissues, load, Work(load.cycles_per_frame, load.output_bits_per_frame))


def _check_core(compute: ComputePart, load: DecoderLoad) -> None:
    if compute.core != load.core:
        raise InputError(
            f"{compute.name} has a {compute.core}, the cycles were modelled for a {load.core}; "
            "choose a part with that core or compile and emulate for this one"
        )


def _check_signals(implant: Implant, load: DecoderLoad) -> None:
    channels, rate_hz = implant.front_end.channels.typical, implant.front_end.max_rate_hz.typical
    if load.n_channels > channels:
        raise InputError(
            f"the decoder reads {load.n_channels} channels, {implant.name} has {channels:.0f}; "
            "choose an implant with enough, or train on fewer channels"
        )
    if load.rate_hz > rate_hz:
        raise InputError(
            f"the decoder needs {load.rate_hz:g} Hz a channel, {implant.name} samples at up to {rate_hz:g} Hz; "
            "choose another implant, or train at a lower rate"
        )


def _check_memory(compute: ComputePart, load: DecoderLoad) -> None:
    needs = (("flash", load.flash_bytes, compute.flash_bytes), ("RAM", load.ram_bytes, compute.ram_bytes))
    faults = [
        f"{name} {wanted:,} bytes of {present.low:,.0f}, {wanted - present.low:,.0f} too many"
        for name, wanted, present in needs
        if wanted > present.low
    ]
    if faults:
        raise CapacityError(
            f"the decoder does not fit {compute.name}: {'; '.join(faults)}; choose a smaller decoder or a larger part"
        )
