"""Ways to divide the work between implant and receiver, each with its own amplifier, converter, core and radio load.

At equal noise density an amplifier's current does not depend on its bandwidth: the noise efficiency factor (Steyaert
and Sansen 1987), NEF = v_rms sqrt(2 I / (pi U_T 4 k T BW)), with v_rms = e_n sqrt(BW pi / 2), gives
I = NEF^2 U_T 4 k T / e_n^2. So every signal pays the implant's own amplifier, and one whose noise may be `noise_ratio`
times as dense pays 1 / noise_ratio^2 of it. A conversion costs twice as much for each bit more (Walden).

Where one core is too slow, as many run as the cycles need; their number is reported. Samples that are only streamed
take no cycles: DMA is left out, in favour of streaming.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from edgebci.firmware_sim.design import Design, Work
from edgebci.firmware_sim.radio import radio_uw, utilization
from edgebci.firmware_sim.supply import of_loads_uw
from edgebci.firmware_sim.uncertainty import Pick
from edgebci.hardware import Signal

Sends = Literal["samples", "coded", "features", "decoded"]


@dataclass(frozen=True)
class SignalPath:
    """One way, for so many channels.

    Fields:
        rate_hz: of the samples of one channel. coded_bits_per_sample: as measured, where they are coded.
        front_end_cycles: of a frame, counted from the decoder's own front end; None: the signal's cycles per sample.
        decoder_cycles, coder_cycles_per_sample: modelled, of a frame and of a sample.
        output_bits: of a frame that was decoded. noise_ratio: how much denser its noise may be, at least 1.
    """

    name: str
    signal: Signal
    sends: Sends
    n_channels: int
    rate_hz: float
    output_bits: float
    front_end_cycles: float | None = None
    decoder_cycles: float = 0.0
    coder_cycles_per_sample: float = 0.0
    coded_bits_per_sample: float | None = None
    noise_ratio: float = 1.0


def amplifier_uw(design: Design, path: SignalPath, pick: Pick) -> float:
    """All channels, at the noise density that the path allows."""
    own_uw = pick(design.implant.front_end.amplifier_uw_per_channel)
    return path.n_channels * own_uw / (path.noise_ratio * path.noise_ratio)


def converter_uw(design: Design, path: SignalPath, pick: Pick) -> float:
    """The implant's energy of a conversion, at the signal's bits."""
    front_end = design.implant.front_end
    finer = math.exp2(path.signal.bits.typical - front_end.bits.typical)
    return path.n_channels * path.rate_hz * pick(front_end.adc_pj_per_sample) * finer * 1e-6


def cycles_per_s(design: Design, path: SignalPath, pick: Pick) -> float:
    """Real cycles of all cores together."""
    samples_per_s, frame_rate_hz = path.n_channels * path.rate_hz, design.load.frame_rate_hz
    if path.sends == "samples":
        modelled = 0.0
    elif path.sends == "coded":
        modelled = samples_per_s * path.coder_cycles_per_sample
    else:
        modelled = samples_per_s * pick(path.signal.front_end_cycles_per_sample)
        if path.front_end_cycles is not None:
            modelled = path.front_end_cycles * frame_rate_hz
        modelled += path.decoder_cycles * frame_rate_hz if path.sends == "decoded" else 0.0
    return design.real_cycles(modelled, pick)


def cores(design: Design, path: SignalPath, pick: Pick) -> float:
    """Cores that run all the time; above 1 one is too slow."""
    return cycles_per_s(design, path, pick) / (pick(design.compute.clock_mhz) * 1e6)


def core_uw(design: Design, path: SignalPath, pick: Pick) -> float:
    """Cycles at their energy, and one core asleep."""
    active_uw = cycles_per_s(design, path, pick) * pick(design.compute.active_pj_per_cycle) * 1e-6
    return active_uw + pick(design.compute.sleep_uw)


def payload_bits(design: Design, path: SignalPath) -> float:
    """Of one frame."""
    samples = path.n_channels * path.rate_hz / design.load.frame_rate_hz
    if path.sends == "samples":
        return samples * path.signal.bits.typical
    if path.sends == "coded":
        return samples * (path.coded_bits_per_sample or path.signal.bits.typical)
    if path.sends == "features":
        return path.n_channels * path.signal.bits_per_frame_and_channel.typical
    return path.output_bits


def sending(design: Design, path: SignalPath) -> Design:
    """The design whose radio sends what the path sends."""
    return design.doing(Work(0.0, payload_bits(design, path)))


def path_radio_uw(design: Design, path: SignalPath, pick: Pick) -> float:
    """The radio, its rest included."""
    return radio_uw(sending(design, path), pick)


def path_utilization(design: Design, path: SignalPath, pick: Pick) -> float:
    """Payload over what the link carries."""
    return utilization(sending(design, path), pick)


def path_loads_uw(design: Design, path: SignalPath, pick: Pick) -> float:
    """All loads at their supply pins."""
    front_uw = amplifier_uw(design, path, pick) + converter_uw(design, path, pick)
    back_uw = core_uw(design, path, pick) + path_radio_uw(design, path, pick)
    return front_uw + back_uw + pick(design.implant.standing_uw)


def path_total_uw(design: Design, path: SignalPath, pick: Pick) -> float:
    """What battery or coil give."""
    return of_loads_uw(design, path_loads_uw(design, path, pick), pick)
