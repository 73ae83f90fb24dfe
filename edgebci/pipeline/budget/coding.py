"""Measuring on a recording what the lossless coder makes of it, at the converter of the implant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.features.specification import Adc
from edgebci.firmware_sim.lossless import coded_bits_per_sample
from edgebci.hardware import Implant, Signal, load_profile
from edgebci.pipeline.budget.counts import Counts

SECONDS, _SAME_RATE = 10.0, 0.01
_DEFAULT_UV_PER_COUNT = 0.195


class CodedData(Document):
    """What was measured: bits of a sample before and after, and on what."""

    signal: str
    recording: str
    rate_hz: float
    n_samples: int
    bits: int
    uv_per_count: float
    coded_bits: float
    clipped_share: float

    @property
    def ratio(self) -> float:
        """How many times fewer bits."""
        return self.bits / self.coded_bits


def measure_coding(recordings: Sequence[Path], implant: Implant, counts: Counts) -> tuple[CodedData, ...]:
    """Code the first seconds of each recording, for each stream of its rate.

    Raises:
        InputError: a recording cannot be read, or has the rate of no stream, for example one slower than them.
    """
    rates = {
        "broadband": load_profile(Signal, "broadband").rate_hz.typical,
        "lfp": load_profile(Signal, "lfp").rate_hz.typical,
        "lfp-input-rate": counts.rate_hz,
    }
    return tuple(one for path in recordings for one in _of_recording(path, implant, rates))


def coded_bits(found: Sequence[CodedData]) -> Mapping[str, float]:
    """Bits of a coded sample by stream; of several recordings, the mean."""
    streams = sorted({one.signal for one in found})
    return {name: float(np.mean([one.coded_bits for one in found if one.signal == name])) for name in streams}


def _of_recording(path: Path, implant: Implant, rates: Mapping[str, float]) -> list[CodedData]:
    from edgebci.recordings import open_recording

    with open_recording(path) as recording:
        rate_hz = recording.info.lfp_rate_hz
        streams = [name for name, wanted in rates.items() if abs(rate_hz / wanted - 1) <= _SAME_RATE]
        if not streams:
            wanted = ", ".join(f"{value:g}" for value in sorted(set(rates.values())))
            slow = "slower than the implant's streams" if rate_hz < min(rates.values()) else "of no stream's rate"
            raise InputError(f"{path} has {rate_hz:g} samples a second, {slow}; give a recording of {wanted} Hz")
        lfp_uv = recording.lfp_uv(0, round(SECONDS * rate_hz))
    adc = converter_of(implant)
    sampled = adc.counts(np.nan_to_num(lfp_uv))
    clipped = float(np.mean((sampled <= adc.lowest_count) | (sampled >= adc.highest_count)))
    return [
        CodedData(
            signal=name,
            recording=path.name,
            rate_hz=rate_hz,
            n_samples=int(sampled.size),
            bits=adc.bits,
            uv_per_count=adc.uv_per_count,
            coded_bits=coded_bits_per_sample(sampled),
            clipped_share=clipped,
        )
        for name in streams
    ]


def converter_of(implant: Implant) -> Adc:
    """The implant's converter; 0.195 uV a count where its profile says no full scale."""
    front_end = implant.front_end
    bits = min(16, round(front_end.bits.typical))
    scale = front_end.full_scale_uv
    return Adc(bits=bits, uv_per_count=scale.typical / 2**bits if scale else _DEFAULT_UV_PER_COUNT)
