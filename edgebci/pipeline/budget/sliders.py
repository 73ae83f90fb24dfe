"""The designs that the page's sliders reach: one function of their settings, for numbers and for expressions alike.

Python's budget of a setting and the formulas that the page computes both come from `design_at`: called with numbers it
gives a design, called with expressions a design whose power is the tree of its formula.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgebci.firmware_sim.design import Design, Work
from edgebci.firmware_sim.expressions import power_of_two
from edgebci.firmware_sim.uncertainty import Pick
from edgebci.hardware import Radio
from edgebci.pipeline.budget.counts import FEATURE_BITS, OUTPUT_BITS, Counts, decoder_cycles, front_end_cycles
from edgebci.pipeline.budget.cycle_costs import CoreCosts
from edgebci.pipeline.budget.order import Sent
from edgebci.quantity import Quantity


@dataclass(frozen=True)
class Setting:
    """Where the sliders stand. size: of the decoder, as a factor of all but its first layer."""

    n_channels: float
    rate_hz: float
    bits: float
    size: float
    radio: str
    sent: Sent


@dataclass(frozen=True)
class Reach:
    """What the sliders start from; `design` is that of the order, for any of its `radios`."""

    design: Design
    counts: Counts
    costs: CoreCosts
    radios: Mapping[str, Radio]


def counts_at(counts: Counts, setting: Setting) -> Counts:
    """The counts of a setting; not whole numbers, and not checked, where sliders stand between."""
    features = setting.n_channels * (counts.features / counts.n_channels)
    input_macs = features * (counts.input_macs / counts.features)
    sizes: dict[str, Any] = {
        "n_channels": setting.n_channels,
        "rate_hz": setting.rate_hz,
        "features": features,
        "input_macs": input_macs,
        "macs": input_macs + setting.size * (counts.macs - counts.input_macs),
        "rows": setting.size * counts.rows,
        "states": setting.size * counts.states,
    }
    return counts.model_copy(update=sizes)


def design_at(reach: Reach, setting: Setting) -> Design:
    """The design of a setting; the profile's own converter (see `converting`)."""
    counts = counts_at(reach.counts, setting)
    front, back = front_end_cycles(counts, reach.costs), decoder_cycles(counts, reach.costs)
    sizes: dict[str, Any] = {
        "n_channels": setting.n_channels,
        "rate_hz": setting.rate_hz,
        "cycles_per_frame": front + back,
        "worst_cycles_per_frame": front + back,
        "front_end_cycles_per_frame": front,
        "feature_bits_per_frame": FEATURE_BITS * counts.features,
        "output_bits_per_frame": OUTPUT_BITS * counts.n_outputs,
    }
    load = reach.design.load.model_copy(update=sizes)
    work = {
        "decoded": Work(front + back, load.output_bits_per_frame),
        "features": Work(front, load.feature_bits_per_frame),
        "samples": Work(0.0, setting.n_channels * (setting.rate_hz / load.frame_rate_hz) * setting.bits),
    }
    return replace(reach.design, load=load, radio=reach.radios[setting.radio], work=work[setting.sent])


def converting(design: Design, bits: float, pick: Pick) -> Pick:
    """The same pick for a converter of other bits, each of which doubles the energy of a conversion (Walden)."""
    front_end = design.implant.front_end
    finer = power_of_two(bits - front_end.bits.typical)

    def picked(quantity: Quantity) -> float:
        found = pick(quantity)
        return found * finer if quantity is front_end.adc_pj_per_sample else found

    return picked
