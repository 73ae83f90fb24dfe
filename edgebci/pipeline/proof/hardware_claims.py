"""The claim about the models of power: published devices and boards, with the bounds that they miss."""

from __future__ import annotations

from edgebci.firmware_sim.validation.report import Bound, ValidationReport, validate
from edgebci.hardware import check_shipped_profiles
from edgebci.pipeline.proof.claim import Claim, Place
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.sources import Sources
from edgebci.progress import Progress
from edgebci.quantity import quantities

_CASES = ("firmware_sim/validation/*.toml",)
_PROFILES = ("hardware_profiles/*/*.toml",)


def hardware_claims(aside: tuple[str, ...]) -> tuple[Claim, ...]:
    """The two claims; `aside` are files that no figure depends on."""
    module = "edgebci.pipeline.proof.hardware_claims"
    return (
        Claim(
            name="power_validation",
            title="Models of power against published devices and boards",
            command="edgebci profiles validate",
            sources=Sources((module,), _CASES, aside),
            minutes=0.2,
            measure=measure_power_validation,
            quoted=("bookkeeping", "forward_inside", "energy"),
        ),
        Claim(
            name="hardware_profiles",
            title="Hardware profiles",
            command="edgebci profiles list",
            sources=Sources((module,), _PROFILES, aside),
            minutes=0.1,
            measure=measure_profiles,
        ),
    )


def measure_power_validation(_place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Every bound with what was reached, met or missed."""
    progress(0.0, "validating")
    report = validate()
    return (
        *(_bound_figure(bound) for bound in report.bounds),
        Figure(
            name="devices",
            label="published devices whose total was predicted from other papers",
            value=len(report.forward),
            evidence="counted",
            note=f"{len(report.left_out)} devices and boards left out, each with its reason",
        ),
        *_ratio_figures(report),
    )


def _bound_figure(bound: Bound) -> Figure:
    limit = f"{bound.limit:g} at {'least' if bound.name == 'forward_inside' else 'most'}"
    verdict = "met" if bound.met else f"MISSED by {', '.join(bound.missed_by)}"
    return Figure(
        name=bound.name, label=bound.says, value=bound.reached, evidence="modelled", note=f"{limit}: {verdict}"
    )


def _ratio_figures(report: ValidationReport) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            name=f"ratio_{device.case.replace('-', '_')}",
            label=f"predicted over published power: {device.title}",
            value=device.ratio,
            low=device.low_uw / device.published_uw,
            high=device.high_uw / device.published_uw,
            evidence="modelled",
            headline=False,
        )
        for device in report.forward
    )


def measure_profiles(_place: Place, progress: Progress) -> tuple[Figure, ...]:
    """How many profiles and numbers are shipped, and what share of the numbers is assumed."""
    progress(0.0, "reading")
    profiles = check_shipped_profiles()
    numbers = [quantity for profile in profiles for quantity in quantities(profile).values()]
    assumed = sum(quantity.evidence_class == "assumed" for quantity in numbers)
    return (
        Figure(
            name="profiles",
            label="profiles of implants, radios, parts, boards, tissues and bands",
            value=len(profiles),
            evidence="counted",
        ),
        Figure(
            name="numbers",
            label="numbers in them, each with unit, source and class",
            value=len(numbers),
            evidence="counted",
            note=f"{assumed} of them assumed, and called so",
        ),
    )
