"""A front end as a stream: potentials in, codes out, in the order in which a signal meets its parts.

    gain of an aged electrode, events, mains, crosstalk -> noise of electrode and amplifier -> the amplifier's range
    -> high-pass -> anti-alias filter -> sampler with jitter -> (offset of a coupled input) -> quantizer

Any way of cutting the signal into chunks gives the same codes, and memory does not grow with the signal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter

from edgebci.errors import InputError
from edgebci.firmware_sim.electronics.channel_state import ChannelState, draw_channels, mains_uv
from edgebci.firmware_sim.electronics.conditions import FrontEndModel
from edgebci.firmware_sim.electronics.converter import (
    Converted,
    Sampler,
    anti_alias_sections,
    bandwidth_above_hz,
    quantize,
)
from edgebci.firmware_sim.electronics.events import render
from edgebci.firmware_sim.electronics.interference import MainsHum, Saturation, crosstalk
from edgebci.firmware_sim.electronics.noise import InputNoise, NoiseAhead, white_uv_per_rthz
from edgebci.synthetic.signals import F32, F64, StreamFilter


class FrontEndStream:
    """One front end over one signal.

    Args:
        model: the front end.
        n_channels: of the signal.
        source_rate_hz: rate of the signal, a whole multiple of the front end's.

    Raises:
        InputError: the signal is slower than the front end samples, or its rate is no multiple.
    """

    def __init__(self, model: FrontEndModel, n_channels: int, source_rate_hz: float) -> None:
        factor = rate_factor(source_rate_hz, model.rate_hz)
        self.model, self.channels = model, draw_channels(model, n_channels)
        self._start, self._n = 0, n_channels
        self._gain = self.channels.gain.astype(np.float32)
        self._changes_gain = bool((self._gain != 1).any())
        self._events = render(model.events, n_channels, source_rate_hz, model.seed)
        hum = mains_uv(model, self.channels)
        self._mains = MainsHum(model.mains, hum, source_rate_hz, model.seed) if model.mains else None
        self._noise = NoiseAhead(InputNoise(model, self.channels, source_rate_hz))
        self._saturation = Saturation(model.amplifier, self.channels.offset_uv, source_rate_hz)
        self._filter = _filters(model, n_channels, source_rate_hz)
        self._sampler = Sampler(factor, model.converter.jitter_us, source_rate_hz, model.seed)
        self._late_uv = _late_noise_uv(model, self.channels, source_rate_hz)
        self._of_late = np.random.Generator(np.random.SFC64(np.random.SeedSequence(model.seed, spawn_key=(4,))))
        # A high-pass has long forgotten the offset; an input that is coupled at 0 Hz passes it on.
        coupled = np.float32(model.amplifier.high_pass_hz == 0)
        self._offset_uv = coupled * self._saturation.rest_uv
        self._last: F32 = np.zeros((1, n_channels), np.float32)

    def push(self, potential_uv: F32) -> Converted:
        """Convert (T, C); rows of nothing but NaN are missing, and the last row before them stands in."""
        if not len(potential_uv):
            return Converted(np.zeros(potential_uv.shape, np.int32), np.zeros(0, bool), np.zeros(self._n, np.int64))
        signal, missing = self._filled(potential_uv)
        if self._changes_gain:
            signal *= self._gain
        self._disturb(signal)
        signal = self._saturation.push(signal)
        signal = self._filter.push(signal) if self._filter else signal
        rows, samples = self._sampler.push(signal)
        samples = samples + self._offset_uv + self._late_noise(samples.shape)
        codes, clipped = quantize(self.model.converter, samples)
        return Converted(codes, missing[rows], clipped)

    def _disturb(self, signal: F32) -> None:
        for event in self._events:
            event.add_to(signal, self._start)
        if self._mains:
            signal += self._mains.at(self._start, len(signal))
        self._start += len(signal)
        if self.model.amplifier.crosstalk_db is not None:
            crosstalk(signal, self.model.amplifier.crosstalk_db)
        noise = self._noise.next_uv(len(signal))
        if noise is not None:
            signal += noise

    def _filled(self, potential_uv: F32) -> tuple[F32, NDArray[np.bool_]]:
        signal = np.array(potential_uv, dtype=np.float32)
        absent = np.isnan(signal)
        if not absent.any():
            self._last = signal[-1:].copy()
            return signal, np.zeros(len(signal), bool)
        rows = np.arange(1, len(signal) + 1)[:, None]
        source = np.maximum.accumulate(np.where(absent, 0, rows), axis=0)
        signal = np.take_along_axis(np.concatenate([self._last, signal]), source, axis=0)
        self._last = signal[-1:].copy()
        return signal, np.asarray(absent.all(axis=1))

    def _late_noise(self, shape: tuple[int, ...]) -> F32:
        if not self._late_uv.any():
            return np.zeros((1, shape[1]), np.float32)
        return np.asarray(self._of_late.standard_normal(shape, dtype=np.float32) * self._late_uv)


def rate_factor(source_rate_hz: float, rate_hz: float) -> int:
    """How many samples of the source there are for one of the front end.

    Raises:
        InputError: the source is slower, or its rate is no whole multiple.
    """
    ratio = source_rate_hz / rate_hz
    if ratio < 1 - 1e-6:
        raise InputError(
            f"the recording has {source_rate_hz:g} samples per second, the implant would take {rate_hz:g}: what was "
            "not recorded cannot be simulated; lower the implant's rate or give a faster recording"
        )
    if abs(ratio - round(ratio)) > 1e-6 * ratio:
        raise InputError(
            f"the recording's {source_rate_hz:g} Hz is no whole multiple of the implant's {rate_hz:g} Hz; choose a "
            f"rate that divides it, for example {source_rate_hz / round(ratio):g} Hz"
        )
    return round(ratio)


def _late_noise_uv(model: FrontEndModel, channels: ChannelState, source_rate_hz: float) -> F32:
    """White noise of the samples, rms (C,): the converter's own, and what comes from above half the source's rate.

    The latter is noise of electrode and amplifier that the filter lets through and the sampler folds back.
    """
    folded_hz = bandwidth_above_hz(model.anti_alias, source_rate_hz / 2)
    folded_uv = white_uv_per_rthz(model, channels) * np.sqrt(folded_hz)
    return np.asarray(np.hypot(folded_uv, model.converter.noise_uv), dtype=np.float32)


def _filters(model: FrontEndModel, n_channels: int, rate_hz: float) -> StreamFilter | None:
    sections: list[F64] = []
    if model.amplifier.high_pass_hz:
        sections.append(np.asarray(butter(1, model.amplifier.high_pass_hz, "highpass", fs=rate_hz, output="sos")))
    low_pass = anti_alias_sections(model.anti_alias, rate_hz)
    if low_pass is not None:
        sections.append(low_pass)
    return StreamFilter(np.concatenate(sections), n_channels) if sections else None
