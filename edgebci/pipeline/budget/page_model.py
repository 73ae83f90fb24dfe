"""The page's formulas, traced from the package's own: every result as JavaScript, and the figures that it picks.

A result is evaluated three times, like `estimate`: with each figure at its typical value, and at the ends that make
the result smallest and largest. Which end that is does not depend on the sliders.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from edgebci.documents import Document
from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.expressions import Node, javascript, node_of, variable
from edgebci.firmware_sim.heat.slope import slopes
from edgebci.firmware_sim.latency import deadline_ms, step_ms
from edgebci.firmware_sim.limits import Bound, bounds
from edgebci.firmware_sim.power import POWER, duty, total_uw
from edgebci.firmware_sim.radio import payload_bits_per_s, utilization
from edgebci.firmware_sim.thermal import dissipated_uw
from edgebci.firmware_sim.uncertainty import Estimate, Pick, estimate, inputs_of
from edgebci.hardware import HeatSource
from edgebci.pipeline.budget.order import SENT, Sent
from edgebci.pipeline.budget.sliders import Reach, Setting, converting, design_at
from edgebci.quantity import Quantity

Formula = Callable[[Design, Pick], float]
LAYER = "heat, "
"""How the names of rises in layers begin."""
_SLIDERS = {name: variable(name) for name in ("n_channels", "rate_hz", "bits", "size")}


class Range(Document):
    """Where a slider begins and ends, and where it stands first; `log` sliders move in equal ratios."""

    name: str
    label: str
    low: float
    start: float
    high: float
    log: bool


@dataclass(frozen=True)
class Result:
    """A figure of the page: what it is called, its unit, its formula and its limit."""

    name: str
    unit: str
    formula: Formula
    limit: float | None = None


@dataclass(frozen=True)
class Traced:
    """A result for one thing that is sent: its tree, and the figures that make it smaller as they grow."""

    node: Node
    inputs: tuple[str, ...]
    falling: tuple[str, ...]


def results(reach: Reach) -> tuple[Result, ...]:
    """Everything that the page shows, in its order; limits by location of heat, link and frame."""
    powers = [Result(f"{part} power", "uW", formula) for part, formula in POWER.items()]
    others = [
        Result("total power", "uW", total_uw),
        Result("core busy", "1", duty),
        Result("payload", "bit/s", lambda d, _: payload_bits_per_s(d)),
        Result("step", "ms", step_ms, deadline_ms(reach.design)),
        Result("link use", "1", utilization, 1.0),
    ]
    judged = (_heat(bound) for bound in heat_bounds(reach))
    return (*powers, *others, *judged, *_layers(reach.design))


def heat_bounds(reach: Reach) -> list[Bound]:
    """The limits of temperature, whose rise per milliwatt is one figure."""
    return [bound for bound in bounds(reach.design, {}) if bound.name == "temperature_rise_c"]


def _layers(design: Design) -> Iterator[Result]:
    """Each layer of tissue around each heat source, with the limit of that tissue."""
    for name, source in design.implant.heat_sources.items():
        for layer in slopes(source).layers:
            title = f"{LAYER}{name} ({source.location}), {layer.layer}"
            yield Result(title, "C", partial(_rise_of, source, layer.c_per_mw), layer.limit_c)


def _rise_of(source: HeatSource, c_per_mw: Quantity, design: Design, pick: Pick) -> float:
    return dissipated_uw(design, source, pick) * 1e-3 * pick(c_per_mw)


def _heat(bound: Bound) -> Result:
    return Result(f"rise at {bound.where}", "C", bound.formula, bound.limit)


def estimate_at(reach: Reach, shown: Sequence[Result], setting: Setting) -> dict[str, Estimate]:
    """Python's own answer for a setting: what the page must agree with."""
    names = names_of(design_at(reach, setting), shown)
    return {one.name: estimate(_plain(reach, one, setting), one.unit, names) for one in shown}


def names_of(design: Design, shown: Sequence[Result]) -> dict[int, str]:
    """Names of the figures; a rise per milliwatt, which belongs to no profile, by its result."""
    names = design.input_names()
    for one in shown:
        for quantity in inputs_of(partial(one.formula, design)):
            names.setdefault(id(quantity), f"heat.{one.name}")
    return names


def trace(reach: Reach, one: Result, sent: Sent, names: dict[int, str]) -> Traced:
    """The tree of a result: sliders and figures are its variables."""
    radio = reach.design.radio.name
    setting = Setting(radio=radio, sent=sent, **_SLIDERS)
    design = design_at(reach, setting)
    seen: dict[str, None] = {}

    def pick(quantity: Quantity) -> float:
        name = names[id(quantity)]
        seen[name] = None
        return variable(name)

    node = node_of(one.formula(design, converting(design, setting.bits, pick)))
    return Traced(node, tuple(seen), _falling(reach, one, sent, names))


def _falling(reach: Reach, one: Result, sent: Sent, names: dict[int, str]) -> tuple[str, ...]:
    own = reach.counts
    start = Setting(own.n_channels, own.rate_hz, _own_bits(reach), 1.0, reach.design.radio.name, sent)
    found = estimate(_plain(reach, one, start), one.unit, names)
    return tuple(sorted(influence.input for influence in found.inputs if influence.at_high < influence.at_low))


def _plain(reach: Reach, one: Result, setting: Setting) -> Callable[[Pick], float]:
    design = design_at(reach, setting)
    return lambda pick: one.formula(design, converting(design, setting.bits, pick))


def _own_bits(reach: Reach) -> float:
    return reach.design.implant.front_end.bits.typical


def ranges(reach: Reach) -> tuple[Range, ...]:
    """The sliders."""
    own, frame_rate_hz = reach.counts, reach.counts.frame_rate_hz
    return (
        Range(name="n_channels", label="channels", low=1, start=own.n_channels, high=10_000, log=True),
        Range(
            name="rate_hz",
            label="rate (Hz)",
            low=2 * frame_rate_hz,
            start=own.rate_hz,
            high=30_000,
            log=True,
        ),
        Range(name="bits", label="bits", low=6, start=_own_bits(reach), high=16, log=False),
        Range(name="size", label="decoder size (times)", low=0.1, start=1.0, high=10.0, log=True),
    )


def figures(shown: Sequence[Result], reach: Reach) -> dict[str, dict[str, list[float]]]:
    """low, typical and high of every figure by name, for each radio; only its own differ."""
    found: dict[str, dict[str, list[float]]] = {}
    for radio in reach.radios:
        design = design_at(reach, Setting(1, 1, 1, 1, radio, "decoded"))
        names = names_of(design, shown)
        picked = (quantity for one in shown for quantity in inputs_of(partial(one.formula, design)))
        found[radio] = {names[id(one)]: [one.low, one.typical, one.high] for one in picked}
    return found


def script(reach: Reach) -> str:
    """The page's program: `model`, and `evaluate(setting)` -> {name: [low, typical, high]}; no document is touched."""
    shown = results(reach)
    names = names_of(reach.design, shown)
    formulas = ",\n".join(
        f"  {json.dumps(sent)}: {{\n{_formulas([(one, trace(reach, one, sent, names)) for one in shown])}\n  }}"
        for sent in SENT
    )
    model = {
        "figures": figures(shown, reach),
        "sliders": [one.model_dump() for one in ranges(reach)],
        "limits": {one.name: one.limit for one in shown if one.limit is not None},
        "units": {one.name: one.unit for one in shown},
        "layer": LAYER,
        "start": {"radio": reach.design.radio.name, "sent": "decoded"},
    }
    return f"const model = {json.dumps(model)};\nconst formulas = {{\n{formulas}\n}};\n{_EVALUATE}"


def _formulas(traced: Sequence[tuple[Result, Traced]]) -> str:
    return ",\n".join(
        f"    {json.dumps(one.name)}: {{ inputs: {json.dumps(found.inputs)}, falling: {json.dumps(found.falling)}, "
        f"f: v => {javascript(found.node)} }}"
        for one, found in traced
    )


_EVALUATE = """
function evaluate(setting) {
  const figures = model.figures[setting.radio], results = {};
  for (const [name, one] of Object.entries(formulas[setting.sent])) {
    results[name] = [0, 1, 2].map(end => {
      const v = { n_channels: setting.n_channels, rate_hz: setting.rate_hz, bits: setting.bits, size: setting.size };
      for (const input of one.inputs) v[input] = figures[input][one.falling.includes(input) ? 2 - end : end];
      return one.f(v);
    });
  }
  return results;
}
"""
