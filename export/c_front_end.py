"""The front end's numbers as C: the macros of edgebci_configuration.h and the tables of front_end_tables.h."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebci.errors import InputError
from edgebci.export.c_literals import literal, wrapped
from edgebci.features.coefficients import DeviceCoefficients, IntegerPath, device_coefficients
from edgebci.features.front_end import FrontEnd
from edgebci.features.sections import Section

Macro = tuple[str, str, str]
"""Name without EDGEBCI_, value, comment."""

_BY_SECTION, _BY_KIND = "EDGEBCI_SECTIONS * EDGEBCI_COLUMNS", "EDGEBCI_KINDS * EDGEBCI_COLUMNS"
FRONT_END_FIELDS = tuple(
    (f"front_end.{name}", f"front_end.{name}", c_type, count)
    for name, c_type, count in (
        ("held", "int32", "EDGEBCI_GOOD"),
        ("offset", "int32", "EDGEBCI_GOOD"),
        ("known", "uint8", "EDGEBCI_GOOD"),
        ("s1", "float32", _BY_SECTION),
        ("s2", "float32", _BY_SECTION),
        ("carry", "float32", "EDGEBCI_CARRY_ROWS * EDGEBCI_COLUMNS"),
        ("power", "float32", _BY_KIND),
        ("shift", "float32", _BY_KIND),
        ("scale", "float32", _BY_KIND),
        ("missing_run", "uint32", "1"),
        ("frames", "uint32", "1"),
        ("flagged", "uint32", "1"),
        ("reset_due", "uint8", "1"),
    )
)
"""Name, member, type and number of elements of what the front end remembers (edgebci_front_end.h)."""

LONGEST_BLOCK = 16
"""Rows that wait for the filters: more rows load coefficients less often and take more memory."""


def configuration_context(front_end: FrontEnd) -> dict[str, Any]:
    """What edgebci_configuration.h.j2 shows; raises InputError if the C types cannot hold a size."""
    c, spec = device_coefficients(front_end), front_end.spec
    if front_end.n_channels > 65535:
        raise InputError(f"{front_end.n_channels} channels: the C front end indexes at most 65535; use fewer")
    return {
        "macros": [*_sizes(front_end, c), *integer_macros(c.integer_path, spec.adc.bits), *float_macros(c)],
        "uv_per_count": f"{spec.adc.uv_per_count:g}",
        "adc_bits": spec.adc.bits,
        "count_type": "int16_t" if spec.adc.bits <= 16 else "int32_t",
        # A comparison with 0 bands would always be false, which compilers report.
        "is_band": f"((kind) < {c.n_bands}u)" if c.n_bands else "0",
    }


def data_context(front_end: FrontEnd) -> dict[str, Any]:
    """What front_end_tables.h.j2 shows."""
    c, kinds = device_coefficients(front_end), front_end.spec.kinds
    scales = np.zeros(len(kinds), np.float32)
    scales[: c.n_bands] = c.power_scale
    return {
        "good": c.integer_path.good,
        "n_channels": front_end.n_channels,
        "good_values": wrapped(c.integer_path.good),
        "chains": _chains(kinds, c),
        "longest_chain": max(len(chain.sections) for chain in c.chains),
        "power_scale": ", ".join(literal(scale) for scale in scales),
        **statistics_context(kinds, c),
    }


def statistics_context(kinds: tuple[str, ...], c: DeviceCoefficients) -> dict[str, Any]:
    """What front_end_statistics.h.j2 shows: the normaliser's statistics, kind by kind."""
    by_kind = (len(kinds), -1)
    statistics = {"mean": c.normalizer.mean, "inverse_sd": c.normalizer.inverse_sd}
    return {
        name: [(kind, wrapped(row, "       ")) for kind, row in zip(kinds, values.reshape(by_kind), strict=True)]
        for name, values in statistics.items()
    }


def block_rows(samples_per_frame: int) -> int:
    """The largest divisor of a frame up to LONGEST_BLOCK, or LONGEST_BLOCK where divisors are small."""
    divisors = [n for n in range(1, LONGEST_BLOCK + 1) if samples_per_frame % n == 0]
    return divisors[-1] if divisors[-1] >= LONGEST_BLOCK // 2 else min(LONGEST_BLOCK, samples_per_frame)


def _sizes(front_end: FrontEnd, c: DeviceCoefficients) -> list[Macro]:
    path, sections = c.integer_path, [section for chain in c.chains for section in chain.sections]
    return [
        ("CHANNELS", f"{path.n_channels}u", "width of a row of counts"),
        ("GOOD", f"{len(path.good)}u", "channels that are not dead"),
        ("COLUMNS", f"{-(-len(path.good) // 4) * 4}u", "the same, filled up to a multiple of 4"),
        ("SAMPLES_PER_FRAME", f"{path.samples_per_frame}u", f"{front_end.spec.frame_rate_hz:g} frames a second"),
        ("BLOCK", f"{block_rows(path.samples_per_frame)}u", "rows that are filtered together"),
        ("KINDS", f"{len(c.chains)}u", ", ".join(front_end.spec.kinds)),
        ("CARRY_ROWS", f"{max(1, sum(section.carries for section in sections))}u", "sections that carry, at least 1"),
        ("SECTIONS", f"{len(sections)}u", "second-order sections of all kinds"),
    ]


def integer_macros(path: IntegerPath, bits: int) -> list[Macro]:
    """Macros of the integer path of `bits`."""
    return [
        ("LOWEST_COUNT", f"({path.lowest_count})", "a count at a rail is saturated"),
        ("HIGHEST_COUNT", str(path.highest_count), ""),
        ("COUNT_SPAN", str(1 << bits), "no two counts are further apart"),
        ("REFERENCE_AVERAGE", str(int(path.reference == "average")), ""),
        ("REFERENCE_MEDIAN", str(int(path.reference == "median")), ""),
        ("MULTIPLIER", str(path.multiplier), "steps per count, so that the reference is an integer"),
        ("HOLD", str(int(path.hold)), "missing samples: 1 hold, 0 zero"),
        ("FLAGGED_LIMIT", f"{path.flagged_limit}u", "more saturated or missing samples make a frame an artefact"),
        ("STARTUP_FRAMES", f"{path.startup_frames}u", "not valid after power-on or reset"),
        ("RESET_AFTER_SAMPLES", f"{path.reset_after_samples}u", "missing rows in a row"),
    ]


def float_macros(c: DeviceCoefficients) -> list[Macro]:
    """Macros of powers and normalisation."""
    n = c.normalizer
    values = {
        "UV_PER_STEP": c.uv_per_step,
        "POWER_RATE": c.power_rate,
        "FLOOR_UV2": c.floor_uv2,
        "RATE": n.rate,
        "HALF_RATE": n.half_rate,
        "Z_LIMIT": n.z_limit,
        "MEAN_LIMIT": n.mean_limit,
        "LOWEST_SCALE": n.lowest_scale,
        "HIGHEST_SCALE": n.highest_scale,
    }
    floats = [(name, literal(value), f"{value:.6g}") for name, value in values.items()]
    return [("RUNNING", f"{int(n.running)}u", "the normalisation learns"), *floats]


@dataclass(frozen=True)
class _Chain:
    """The sections of one kind of feature: initializers of edgebci_section_t, of which `first` is the first's index."""

    kind: str
    first: int
    sections: list[str]


def _chains(kinds: tuple[str, ...], c: DeviceCoefficients) -> list[_Chain]:
    """Chain after chain; sections that carry get rows 1, 2, ... in their order."""
    carrying, chains, first = itertools.count(1), [], 0
    for kind, chain in zip(kinds, c.chains, strict=True):
        sections = [_section(section, next(carrying) if section.carries else 0) for section in chain.sections]
        chains.append(_Chain(kind, first, sections))
        first += len(sections)
    return chains


def _section(section: Section, carry: int) -> str:
    coefficients = (literal(value) for value in (section.g, section.r, section.a))
    return ", ".join([*coefficients, f"{int(section.kind)}u", f"{carry}u"])
