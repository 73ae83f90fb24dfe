"""What an implant could send of one array, each by a front end of its own: LFP, spiking-band power or spikes.

A listener takes broadband microvolt and gives frames of features at 50 Hz.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.signal import butter

from edgebci.features.specification import Adc, Band, FeatureSpec, LowPass
from edgebci.features.stream import FeatureStream
from edgebci.firmware_sim.electronics.conditions import Amplifier, Converter, Filter, FrontEndModel
from edgebci.firmware_sim.electronics.converter import as_counts
from edgebci.firmware_sim.electronics.front_end import FrontEndStream
from edgebci.synthetic.signals import F32, StreamFilter

FRAME_HZ = 50.0
ADC = Adc(bits=16, uv_per_count=0.195)
LFP_BANDS_HZ = ((4.0, 15.0), (15.0, 30.0), (30.0, 70.0), (70.0, 150.0), (150.0, 400.0))
LMP = LowPass(corner_hz=4.0)
SBP_BAND_HZ = (300.0, 900.0)
"""Nason 2020 takes 300-1000 Hz at 2 kS/s; features end at 0.45 of the rate."""
SPIKE_BAND_HZ = (300.0, 5000.0)
THRESHOLD_SD = 4.5
DEAD_TIME_MS = 1.0
SD_FROM_S = 10.0
"""Of the signal's beginning, from which the threshold is set: the median of |x| over 0.6745 (Quiroga 2004)."""
HIGHEST_CORNER = 0.44
ANTI_ALIAS_SHARE = 0.4
ANTI_ALIAS_ORDER = 4


class Listener(Protocol):
    """Takes a broadband signal and gives frames."""

    def push(self, broadband_uv: F32) -> None:
        """Take (T, C) microvolt."""
        ...

    def frames(self) -> F32:
        """All frames so far, (K, F)."""
        ...


def front_end(rate_hz: float, noise_nv_per_rthz: float, filtered: bool = True, seed: int = 1) -> FrontEndModel:
    """An otherwise ideal front end with white noise, and a filter of order 4 at 0.4 of its rate or none."""
    converter = Converter(bits=ADC.bits, full_scale_uv=ADC.uv_per_count * (1 << ADC.bits))
    low_pass = Filter(corner_hz=ANTI_ALIAS_SHARE * rate_hz, order=ANTI_ALIAS_ORDER) if filtered else None
    amplifier = Amplifier(noise_nv_per_rthz=noise_nv_per_rthz)
    return FrontEndModel(rate_hz=rate_hz, converter=converter, amplifier=amplifier, anti_alias=low_pass, seed=seed)


class PowerListener:
    """Band powers, and the local motor potential of an LFP, by the feature reference of the decoders."""

    def __init__(self, model: FrontEndModel, spec: FeatureSpec, n_channels: int, source_hz: float) -> None:
        self._converter, self._stream = model.converter, FrontEndStream(model, n_channels, source_hz)
        self._features = FeatureStream(spec, np.ones(n_channels, bool))
        self._frames: list[F32] = []

    def push(self, broadband_uv: F32) -> None:
        """See `Listener`."""
        counts = as_counts(self._stream.push(broadband_uv).codes, self._converter, ADC)
        self._frames.append(self._features.push(counts).features.astype(np.float32))

    def frames(self) -> F32:
        """See `Listener`."""
        return np.concatenate(self._frames)


class SpikeListener:
    """Threshold crossings of each channel, counted by frame; nothing is sorted."""

    def __init__(self, model: FrontEndModel, n_channels: int, source_hz: float) -> None:
        self._step_uv, self._stream = np.float32(model.converter.step_uv), FrontEndStream(model, n_channels, source_hz)
        sections = np.asarray(butter(2, SPIKE_BAND_HZ, "bandpass", fs=model.rate_hz, output="sos"))
        self._band = StreamFilter(sections, n_channels)
        self._per_frame, self._dead = round(model.rate_hz / FRAME_HZ), round(DEAD_TIME_MS * model.rate_hz / 1000)
        self._first_rows = round(SD_FROM_S * model.rate_hz)
        self._waiting: list[F32] = []
        self._threshold: F32 | None = None
        self._before: F32 = np.zeros((1, n_channels), np.float32)
        self._rest: F32 = np.zeros((0, n_channels), np.float32)
        self._quiet_until = np.zeros(n_channels, np.int64)
        self._row = 0
        self._frames: list[F32] = []

    def push(self, broadband_uv: F32) -> None:
        """See `Listener`."""
        signal = self._band.push(self._stream.push(broadband_uv).codes * self._step_uv)
        if self._threshold is not None:
            self._count(signal)
            return
        self._waiting.append(signal)
        if sum(map(len, self._waiting)) >= self._first_rows:
            self._set_threshold()

    def frames(self) -> F32:
        """See `Listener`."""
        if self._threshold is None:
            self._set_threshold()
        return np.concatenate(self._frames)

    def _set_threshold(self) -> None:
        """Only now is anything counted: a device would lose these seconds instead of keeping them."""
        waiting = np.concatenate(self._waiting)
        self._threshold = (-THRESHOLD_SD / 0.6745 * np.median(np.abs(waiting), axis=0)).astype(np.float32)
        self._waiting = []
        self._count(waiting)

    def _count(self, signal: F32) -> None:
        crossed = self._crossings(signal)
        joined = np.concatenate([self._rest, crossed])
        whole = len(joined) // self._per_frame * self._per_frame
        self._rest = joined[whole:]
        self._frames.append(joined[:whole].reshape(-1, self._per_frame, joined.shape[1]).sum(axis=1))

    def _crossings(self, signal: F32) -> F32:
        below = np.concatenate([self._before, signal]) < self._threshold
        self._before = signal[-1:].copy()
        crossed = np.zeros(signal.shape, np.float32)
        # In order of time, so that the dead time of each channel is kept.
        for row, channel in zip(*np.nonzero(below[1:] & ~below[:-1]), strict=True):
            if self._row + row >= self._quiet_until[channel]:
                crossed[row, channel] = 1
                self._quiet_until[channel] = self._row + row + self._dead
        self._row += len(signal)
        return crossed


def lfp_features(rate_hz: float) -> FeatureSpec:
    """The bands that a rate can carry, each cut where it ends, with the local motor potential."""
    highest_hz = HIGHEST_CORNER * rate_hz
    kept = [(low, min(high, highest_hz)) for low, high in LFP_BANDS_HZ if min(high, highest_hz) >= 1.2 * low]
    bands = tuple(Band(low_hz=low, high_hz=high) for low, high in kept)
    return FeatureSpec(rate_hz=rate_hz, frame_rate_hz=FRAME_HZ, adc=ADC, bands=bands, lmp=LMP, startup_s=0.0)


def sbp_features(rate_hz: float = 2000.0) -> FeatureSpec:
    """Power of the spiking band alone."""
    bands = (Band(low_hz=SBP_BAND_HZ[0], high_hz=SBP_BAND_HZ[1]),)
    return FeatureSpec(rate_hz=rate_hz, frame_rate_hz=FRAME_HZ, adc=ADC, bands=bands, startup_s=0.0)
