"""Noise of electrodes and amplifiers with a stated density, as a stream."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from edgebci.firmware_sim.electronics.channel_state import ChannelState
from edgebci.firmware_sim.electronics.conditions import FrontEndModel
from edgebci.firmware_sim.electronics.flicker import flicker_sections
from edgebci.synthetic.signals import F32, F64, StreamFilter, white_sd_uv


class InputNoise:
    """Thermal noise of each electrode, and the amplifier's, which rises as 1 + corner / f towards low frequencies."""

    def __init__(self, model: FrontEndModel, state: ChannelState, rate_hz: float) -> None:
        thermal = state.thermal_nv_per_rthz() / 1000
        amplifier = np.full(len(thermal), model.amplifier.noise_nv_per_rthz / 1000)
        # A stream for each, or the order of their draws would depend on how the signal is cut.
        self._of_amplifier, self._of_electrode = (
            np.random.Generator(np.random.SFC64(np.random.SeedSequence(model.seed, spawn_key=(2, k)))) for k in (0, 1)
        )
        corner_hz = model.amplifier.flicker_corner_hz
        self._flicker = StreamFilter(flicker_sections(corner_hz, rate_hz), len(thermal)) if corner_hz else None
        # One source is enough where both have the same spectrum.
        self._thermal_uv = _sd_uv(thermal, rate_hz) if self._flicker else np.zeros_like(thermal, dtype=np.float32)
        self._amplifier_uv = _sd_uv(amplifier if self._flicker else np.hypot(amplifier, thermal), rate_hz)

    def next_uv(self, n: int) -> F32 | None:
        """The next n samples, (n, C); None where there is no noise at all."""
        if not self._amplifier_uv.any():
            return _white(self._of_electrode, n, self._thermal_uv) if self._thermal_uv.any() else None
        noise = _white(self._of_amplifier, n, self._amplifier_uv)
        if self._flicker:
            noise = self._flicker.push(noise)
            if self._thermal_uv.any():
                noise += _white(self._of_electrode, n, self._thermal_uv)
        return noise


class NoiseAhead:
    """The same noise, whose next samples are made in a thread of their own while the last ones are used.

    As many are made ahead as were asked for last; whatever is asked for then, the stream stays the same.
    """

    def __init__(self, noise: InputNoise) -> None:
        self._noise, self._thread = noise, ThreadPoolExecutor(1)
        self._ahead: Future[F32 | None] | None = None
        self._left: F32 | None = None

    def next_uv(self, n: int) -> F32 | None:
        """The next n samples, (n, C); None where there is no noise at all."""
        made = self._ahead.result() if self._ahead else self._noise.next_uv(n)
        if made is None:
            return None
        if self._left is not None:
            made = np.concatenate([self._left, made])
        if len(made) < n:
            rest = self._noise.next_uv(n - len(made))
            assert rest is not None  # there was noise before
            made = np.concatenate([made, rest])
        self._left = made[n:] if len(made) > n else None
        self._ahead = self._thread.submit(self._noise.next_uv, n)
        return made[:n]


def white_uv_per_rthz(model: FrontEndModel, state: ChannelState) -> F64:
    """White density of electrode and amplifier together, (C,)."""
    return np.asarray(np.hypot(model.amplifier.noise_nv_per_rthz, state.thermal_nv_per_rthz()) / 1000)


def _sd_uv(density_uv_per_rthz: F64, rate_hz: float) -> F32:
    return np.array([white_sd_uv(d**2, rate_hz) for d in density_uv_per_rthz], dtype=np.float32)


def _white(rng: np.random.Generator, n: int, sd_uv: F32) -> F32:
    white = rng.standard_normal((n, len(sd_uv)), dtype=np.float32)
    white *= sd_uv
    return white
