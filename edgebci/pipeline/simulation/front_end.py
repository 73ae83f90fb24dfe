"""The front end that an implant's profile and a file of conditions describe together."""

from __future__ import annotations

from dataclasses import dataclass

from edgebci.errors import InputError
from edgebci.features.specification import Adc
from edgebci.firmware_sim.electronics.conditions import (
    Amplifier,
    Conditions,
    Converter,
    Electrode,
    Filter,
    FrontEndModel,
)
from edgebci.hardware import FrontEnd, Implant
from edgebci.quantity import Quantity

OFFSET_MV = 50.0
"""Half-cell potentials differ by up to this; ISO 14708-3 and amplifier papers design for it. Assumed."""
DECIMATION = 0.4
"""Corner of the digital filter over the rate, where an implant samples faster than the decoder and decimates."""
DECIMATION_ORDER = 8


@dataclass(frozen=True)
class DescribedFrontEnd:
    """The model, and what a reader must know about how it came about."""

    model: FrontEndModel
    notes: tuple[str, ...]


def described(implant: Implant, conditions: Conditions, rate_hz: float, adc: Adc) -> DescribedFrontEnd:
    """Typical figures of the profile, with those of the conditions in their place.

    Raises:
        InputError: the implant samples more slowly than the decoder asks for.
    """
    front_end, notes = implant.front_end, list[str]()
    fastest_hz = front_end.max_rate_hz.high
    if rate_hz > fastest_hz:
        raise InputError(
            f"the decoder takes {rate_hz:g} samples per second, {implant.name} samples at up to {fastest_hz:g} Hz; "
            "choose another implant, or train at a lower rate"
        )
    model = FrontEndModel(
        rate_hz=rate_hz,
        converter=_converter(front_end, conditions, adc, notes),
        amplifier=_amplifier(front_end, conditions, notes),
        anti_alias=conditions.anti_alias or _low_pass(front_end, rate_hz, notes),
        electrode=conditions.electrode or _electrode(front_end),
        mains=conditions.mains,
        aging=conditions.aging,
        events=conditions.events,
        seed=conditions.seed,
    )
    return DescribedFrontEnd(model, tuple(notes))


def _converter(front_end: FrontEnd, conditions: Conditions, adc: Adc, notes: list[str]) -> Converter:
    bits = int(conditions.converter.get("bits", front_end.bits.typical))
    full_scale_uv = conditions.converter.get("full_scale_uv", _typical(front_end.full_scale_uv))
    if full_scale_uv is None:
        full_scale_uv = adc.uv_per_count * (1 << bits)
        notes.append(
            f"the profile states no full scale: {full_scale_uv:.4g} uV are taken, {bits} bits with the step of the "
            "decoder's own converter"
        )
    enob = conditions.converter.get("enob_bits", _typical(front_end.enob_bits))
    return Converter(
        bits=bits,
        full_scale_uv=full_scale_uv,
        jitter_us=conditions.converter.get("jitter_us", _typical(front_end.sampling_jitter_us) or 0.0),
        enob_bits=None if enob is None else min(enob, bits),
    )


def _amplifier(front_end: FrontEnd, conditions: Conditions, notes: list[str]) -> Amplifier:
    crosstalk_db = _typical(front_end.crosstalk_db)
    known = {
        "noise_nv_per_rthz": _noise_density(front_end, notes),
        "flicker_corner_hz": _typical(front_end.flicker_corner_hz),
        "high_pass_hz": front_end.band_low_hz.typical,
        "input_range_mv": _typical(front_end.offset_range_mv),
        "recovery_ms": _typical(front_end.settling_ms),
        "cmrr_db": _typical(front_end.cmrr_db),
        "input_impedance_mohm": _typical(front_end.input_impedance_mohm),
        "crosstalk_db": -crosstalk_db if crosstalk_db else None,
    }
    stated = {name: value for name, value in known.items() if value is not None}
    return Amplifier.model_validate(stated | conditions.amplifier)


def _noise_density(front_end: FrontEnd, notes: list[str]) -> float | None:
    if front_end.noise_nv_per_rthz is not None:
        return front_end.noise_nv_per_rthz.typical
    if front_end.noise_uvrms is None:
        notes.append("the profile states no noise of the amplifier: none is added")
        return None
    band_hz = front_end.band_high_hz.typical - front_end.band_low_hz.typical
    density = 1000 * front_end.noise_uvrms.typical / float(band_hz**0.5)
    notes.append(f"noise density of {density:.3g} nV/sqrt(Hz) from the profile's uVrms over its band")
    return density


def _low_pass(front_end: FrontEnd, rate_hz: float, notes: list[str]) -> Filter:
    corner_hz = _typical(front_end.anti_alias_corner_hz) or front_end.band_high_hz.typical
    if corner_hz > rate_hz / 2:
        notes.append(
            f"the analogue filter ends at {corner_hz:.4g} Hz: the implant samples faster than the decoder's "
            f"{rate_hz:g} Hz and decimates behind a digital filter at {DECIMATION * rate_hz:g} Hz"
        )
        return Filter(corner_hz=DECIMATION * rate_hz, order=DECIMATION_ORDER)
    order = min(max(round(_typical(front_end.anti_alias_order) or 2), 1), 8)
    return Filter(corner_hz=corner_hz, order=order)


def _electrode(front_end: FrontEnd) -> Electrode:
    offset_mv = OFFSET_MV if front_end.offset_range_mv is not None else 0.0
    mismatch = _typical(front_end.impedance_mismatch)
    electrode = Electrode(impedance_kohm=_typical(front_end.electrode_impedance_kohm), offset_mv=offset_mv)
    return electrode if mismatch is None else electrode.model_copy(update={"impedance_cv": mismatch})


def _typical(quantity: Quantity | None) -> float | None:
    return None if quantity is None else quantity.typical
