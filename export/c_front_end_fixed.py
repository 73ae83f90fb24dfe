"""The fixed-point front end's numbers as C: the macros of edgebci_configuration.h and the tables of its bands."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebci.errors import InputError
from edgebci.export.c_front_end import Macro, float_macros, integer_macros, statistics_context
from edgebci.export.c_literals import literal, wrapped
from edgebci.features.coefficients import device_coefficients
from edgebci.features.fixed_device import LOG_BITS, REFERENCE_BITS, log_table, reference_factor
from edgebci.features.front_end import FrontEnd
from edgebci.features.multirate import ENDS, BandFilter, PolePair, band_filters

_BY_KIND = "EDGEBCI_KINDS * EDGEBCI_GOOD"
FRONT_END_FIELDS = tuple(
    (f"front_end.{name}", f"front_end.{name}", c_type, count)
    for name, c_type, count in (
        ("state", "int32", "EDGEBCI_PAIRS * (EDGEBCI_GOOD + 1) * 2"),
        ("end", "float32", _BY_KIND),
        ("power", "float32", _BY_KIND),
        ("shift", "float32", _BY_KIND),
        ("scale", "float32", _BY_KIND),
        ("reference", "int32", "1"),
        ("held", "int16", "EDGEBCI_GOOD"),
        ("followed", "int16", "EDGEBCI_GOOD"),
        ("offset", "int16", "EDGEBCI_GOOD"),
        ("known", "uint8", "EDGEBCI_GOOD"),
        ("missing_run", "uint32", "1"),
        ("frames", "uint32", "1"),
        ("flagged", "uint32", "1"),
        ("reset_due", "uint8", "1"),
    )
)
"""Name, member, type and number of elements of what the front end remembers (edgebci_front_end_fixed.h)."""


def configuration_context(front_end: FrontEnd) -> dict[str, Any]:
    """What edgebci_configuration.h.j2 shows; raises InputError for what this form cannot compute."""
    c, spec = device_coefficients(front_end), front_end.spec
    if front_end.n_channels > 65535:
        raise InputError(f"{front_end.n_channels} channels: the C front end indexes at most 65535; use fewer")
    return {
        "macros": [*_sizes(front_end), *integer_macros(c.integer_path, spec.adc.bits), *float_macros(c)],
        "uv_per_count": f"{spec.adc.uv_per_count:g}",
        "adc_bits": spec.adc.bits,
        "count_type": "int16_t",
        "is_band": "1",
    }


def data_context(front_end: FrontEnd) -> dict[str, Any]:
    """What front_end_tables_fixed.h.j2 shows."""
    c, kinds = device_coefficients(front_end), front_end.spec.kinds
    bands, first_pair, first_tap = [], 0, 0
    for kind, band in zip(kinds, band_filters(front_end.spec), strict=True):
        pairs = []
        for pair in band.pairs:
            pairs.append({"taps": _taps(pair), "numbers": _pair(pair, first_tap)})
            first_tap += _tap_words(pair)
        bands.append(
            {"kind": kind, "pairs": pairs, "numbers": _band(band, first_pair), "fraction_bits": band.fraction_bits}
        )
        first_pair += len(pairs)
    return {
        "good": c.integer_path.good,
        "n_channels": front_end.n_channels,
        "good_values": wrapped(c.integer_path.good),
        "bands": bands,
        "log_table": [f"{{{literal(inverse)}, {literal(start)}}}" for inverse, start in log_table()],
        **statistics_context(kinds, c),
    }


def _sizes(front_end: FrontEnd) -> list[Macro]:
    c, bands = device_coefficients(front_end), band_filters(front_end.spec)
    path, pairs = c.integer_path, [pair for band in bands for pair in band.pairs]
    return [
        ("CHANNELS", f"{path.n_channels}u", "width of a row of counts"),
        ("GOOD", f"{len(path.good)}u", "channels that are not dead"),
        ("SAMPLES_PER_FRAME", f"{path.samples_per_frame}u", f"{front_end.spec.frame_rate_hz:g} frames a second"),
        ("FRAME_WORDS", f"{-(-path.samples_per_frame // 2)}u", "two samples of a channel in each"),
        ("KINDS", f"{len(bands)}u", ", ".join(front_end.spec.kinds)),
        ("PAIRS", f"{len(pairs)}u", "pole pairs of all bands"),
        ("TAPS", f"{sum(_tap_words(pair) for pair in pairs)}u", "words of two weights"),
        ("MOST_TAPS", f"{max(_tap_words(pair) for pair in pairs)}u", "of one pole pair"),
        ("MOST_PAIRS", f"{max(len(band.pairs) for band in bands)}u", "of one band"),
        ("ENDS", f"{ENDS}u", "squares that correct the sum of a frame"),
        ("LOG_BITS", str(LOG_BITS), "of a number that choose its place in the table of logarithms"),
        ("REFERENCE_BITS", str(REFERENCE_BITS), "of the reference below a count"),
        ("REFERENCE_FACTOR", str(reference_factor(path)), "2^30 over the reference's multiple of a count"),
    ]


def _tap_words(pair: PolePair) -> int:
    return pair.taps.size // 2


def _taps(pair: PolePair) -> str:
    """Words of two: for M = 1 both weights of the one sample."""
    words = pair.taps.reshape(-1, 2)
    return " ".join(f"{{{{{first}, {second}}}}}," for first, second in words)


def _pair(pair: PolePair, first_tap: int) -> str:
    a, b, c = pair.recursion
    direct, turned = ((0, 0), (a, b, c)) if pair.turned else ((a, b), (0, 0, 0))
    numbers = [*turned, f"{int(pair.turned)}u", f"{first_tap}u"]
    return f"{{{{{direct[0]}, {direct[1]}}}}}, " + ", ".join(str(value) for value in numbers)


def _band(band: BandFilter, first_pair: int) -> str:
    ends = band.end_scales if len(band.end_scales) else np.zeros(ENDS, np.float32)
    numbers = f"{band.every}u, {first_pair}u, {len(band.pairs)}u, {literal(band.sum_scale)}"
    return f"{numbers}, {{{', '.join(literal(end) for end in ends)}}}"
