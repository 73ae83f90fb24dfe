"""What a designer must know about a link at one choice of its inputs, one sentence for each thing that is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from edgebci.firmware_sim.design import Design
from edgebci.firmware_sim.radio import payload_bits_per_s
from edgebci.firmware_sim.radio_link import LinkFigures, link_carries_bits_per_s, link_figures, on_air_share
from edgebci.firmware_sim.uncertainty import Pick, typical
from edgebci.hardware_radios import Air

WORTH_SAYING = 0.01
"""Share of packets lost in good times above which a link is called unreliable."""


def link_findings(design: Design, pick: Pick = typical, interval_ms: float | None = None) -> tuple[str, ...]:
    """Sentences about speed, margin and law; () if nothing is wrong.

    Raises:
        InputError: the standard does not allow the connection interval.
    """
    found = list(_too_slow(design, pick, interval_ms))
    air = design.radio.air
    if air is not None:
        figures = link_figures(design, air, pick)
        found += [*_too_weak(design, figures, air, pick), *_forbidden(design, figures, air, pick)]
    return tuple(found)


def _too_slow(design: Design, pick: Pick, interval_ms: float | None) -> Iterator[str]:
    wanted, carried = payload_bits_per_s(design), link_carries_bits_per_s(design, pick, interval_ms)
    if wanted > carried:
        yield (
            f"{design.radio.name} carries {carried:,.0f} bit/s by its packets and turns, the work gives "
            f"{wanted:,.0f} bit/s; send less or choose a faster radio"
        )


def _too_weak(design: Design, figures: LinkFigures, air: Air, pick: Pick) -> Iterator[str]:
    if figures.loss > WORTH_SAYING:
        yield (
            f"{design.radio.name} loses {figures.loss:.0%} of packets: the signal arrives {figures.margin_db:+.1f} dB "
            f"from what its receiver needs, after {figures.tissue_db:.1f} dB in tissue and {figures.space_db:.1f} dB "
            f"over {pick(air.distance_m):g} m; bring the receiver nearer or the antenna closer to the skin"
        )


def _forbidden(design: Design, figures: LinkFigures, air: Air, pick: Pick) -> Iterator[str]:
    limit_dbm = pick(air.eirp_limit_dbm)
    if figures.radiated_dbm > limit_dbm:
        yield (
            f"{design.radio.name} radiates {figures.radiated_dbm:.1f} dBm out of the body, its rule allows "
            f"{limit_dbm:.1f} dBm; send with less power"
        )
    share = on_air_share(design, pick)
    if air.duty_limit is not None and share > pick(air.duty_limit):
        yield (
            f"{design.radio.name} is on the air for {share:.1%} of the time, its rule allows "
            f"{pick(air.duty_limit):.1%}; send less or less often"
        )
