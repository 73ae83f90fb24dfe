"""The front end as the device computes it: float32, bit by bit what the generated C does.

All constants come from `coefficients.DeviceCoefficients`. G good channels, kinds = bands then lmp then raw.
Each line is float32 operations in the order in which they are written, each rounded.

Per row of counts:
    step[c]: integers, see `conditioning.py`
    x[c] = (float32) step[c] * uv_per_step
    for each kind, for each good channel: y = x[c] through the sections of the kind's chain, in order (`sections.py`)
    for each band: sum = sum + y * y                     (sum = 0 at the first row of a frame)

Per frame, after its last row, for each kind and good channel:
    states of all sections, s1, s2 and c: s = flush(s)
    band:      p = p + power_rate * (flush(sum) * power_scale[band] - p);  p = flush(p);  f = log(p + floor_uv2)
    lmp, raw:  f = y of the last row
    z = normalisation of f, see `normalization.py`
    output[kind * C + c] = z; 0 for every dead channel

At power-on, and at a frame with reset_before: s = 0, p = 0, and the normaliser is reset.
No channel needs another after `step`, so C may also keep a frame of steps and run it channel by channel.
flush, log and clamp are those of `edgebci.arithmetic`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebci.arithmetic import F32, I32, flush, log
from edgebci.features.coefficients import DeviceCoefficients, device_coefficients
from edgebci.features.conditioning import Conditioner, segments
from edgebci.features.front_end import Bool, FrontEnd
from edgebci.features.normalization import RunningNormalizer
from edgebci.features.sections import Chain, SideBySide
from edgebci.features.specification import Counts


@dataclass(frozen=True)
class DeviceFrames:
    """K frames of the device.

    Fields:
        z: (K, F) float32, the decoder's input.
        features: (K, F) float32 before normalisation; 0 for dead channels.
        valid, artefact: (K,) bool.
        reset_before: (K,) bool: the decoder's state starts anew with this frame.
    """

    z: F32
    features: F32
    valid: Bool
    artefact: Bool
    reset_before: Bool


class DeviceFrontEnd:
    """The device's front end as a stream: counts in any portions, frames out."""

    def __init__(self, front_end: FrontEnd) -> None:
        self._c = device_coefficients(front_end)
        self._conditioner = Conditioner(self._c.integer_path)
        self._filters = FilterBank(self._c)
        self._normalizer = RunningNormalizer(self._c.normalizer, np.float32)
        self._n_features = front_end.n_features
        good = self._c.integer_path.good
        self._columns = (np.arange(len(self._c.chains))[:, None] * front_end.n_channels + good).ravel()

    def push(self, counts: Counts, missing: Bool | None = None) -> DeviceFrames:
        """Take (T, C) counts and (T,) missing (default none) and return the frames they finish."""
        conditioned = self._conditioner.push(counts, missing)
        n_frames = len(conditioned.valid)
        z = np.zeros((n_frames, self._n_features), dtype=np.float32)
        features = np.zeros_like(z)
        for frames in segments(conditioned.reset_before):
            if conditioned.reset_before[frames.start]:
                self._filters.reset()
                self._normalizer.reset()
            values = self._filters.push(conditioned.steps[frames])
            features[frames, self._columns] = values
            z[frames, self._columns] = self._normalizer.push(values, conditioned.valid[frames])
        return DeviceFrames(z, features, conditioned.valid, conditioned.artefact, conditioned.reset_before)


class FilterBank:
    """Sections, band powers and low-passes of the good channels, with their states."""

    def __init__(self, coefficients: DeviceCoefficients) -> None:
        self._c = coefficients
        self._n_good = len(coefficients.integer_path.good)
        n_stages = max(len(chain.sections) for chain in coefficients.chains)
        self._stages = [_Stage(j, coefficients.chains, self._n_good) for j in range(n_stages)]
        self.reset()

    def reset(self) -> None:
        """Set all states to zero."""
        self._power = np.zeros((self._c.n_bands, self._n_good), dtype=np.float32)
        for stage in self._stages:
            stage.reset()

    def push(self, steps: I32) -> F32:
        """Turn (K, D, G) steps into (K, kinds * G) features."""
        x = steps.astype(np.float32) * self._c.uv_per_step
        features = np.array([self._power_and_last(self.filter_frame(frame)) for frame in x], dtype=np.float32)
        n_bands = self._c.n_bands
        features[:, :n_bands] = log(features[:, :n_bands] + self._c.floor_uv2)
        return features.reshape(len(x), -1)

    def filter_frame(self, x: F32) -> F32:
        """Pass one frame of (D, G) microvolt through all chains: (D, kinds, G), before the chains' gains."""
        y = np.repeat(x[:, None], len(self._c.chains), axis=1)
        for stage in self._stages:
            y[:, stage.rows] = stage.push(y[:, stage.rows])
        return y

    def _power_and_last(self, y: F32) -> F32:
        """(kinds, G) of a frame: averaged power of the bands in uV^2, last sample of the low-passes in uV."""
        n_bands = self._c.n_bands
        square = y[:, :n_bands] * y[:, :n_bands]
        # accumulate adds row after row: the order of the definition.
        total = np.add.accumulate(square, axis=0)[-1]
        mean_square = flush(total) * self._c.power_scale[:, None]
        self._power = flush(self._power + self._c.power_rate * (mean_square - self._power))
        return np.concatenate([self._power, y[-1, n_bands:]])


class _Stage:
    """Section j of every chain that has one."""

    def __init__(self, j: int, chains: tuple[Chain, ...], n_good: int) -> None:
        self.rows = [i for i, chain in enumerate(chains) if j < len(chain.sections)]
        self._sections = SideBySide.of([chains[i].sections[j] for i in self.rows], n_good)
        self.reset()

    def reset(self) -> None:
        self._states = self._sections.initial_states()

    def push(self, x: F32) -> F32:
        """(D, chains, G) in, (D, chains, G) out; states are flushed at the end."""
        y, states = self._sections.run(x, self._states)
        self._states = flush(states)
        return y
