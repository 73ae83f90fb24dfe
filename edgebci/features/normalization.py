"""Running normalisation of features: one definition, computed in float64 for training and float32 on the device.

With the bundle's statistics mean and inverse_sd, the state (shift = 0, scale = 1 at power-on, per feature) and
clamp and flush of `edgebci.arithmetic`, one frame of features f is, in this order:

    u = (f - mean) * inverse_sd
    d = u - shift
    z = clamp(d * scale, -z_limit, z_limit)                                       the output
    if running and the frame is valid:
        shift = flush(clamp(shift + rate * clamp(d, -z_limit, z_limit), -mean_limit, mean_limit))
        scale = clamp(scale + scale * (half_rate * (1 - z * z)), lowest_scale, highest_scale)

`scale` follows 1 / sd without a division or a root: it rests where the mean of z^2 is 1, and to first order in the
rate it is the inverse root of the exponentially averaged variance. A frame that is not valid (start-up, artefact)
teaches nothing.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import TINY
from edgebci.features.coefficients import NormalizerConstants
from edgebci.features.front_end import Bool

Float = TypeVar("Float", bound=np.floating[Any])


class RunningNormalizer:
    """State of the normalisation of good channels' features (N,), in float32 or float64."""

    def __init__(self, constants: NormalizerConstants, dtype: type[np.float32] | type[np.float64]) -> None:
        self._c = constants
        self._dtype = dtype
        self.reset()

    def reset(self) -> None:
        """Start from the bundle's statistics."""
        self.shift = np.zeros(len(self._c.mean), dtype=self._dtype)
        self.scale = np.ones(len(self._c.mean), dtype=self._dtype)

    def push(self, features: NDArray[Any], valid: Bool) -> NDArray[Any]:
        """Normalise (K, N) features, frame by frame, to z (K, N)."""
        c = self._c
        u = (features - c.mean) * c.inverse_sd
        if not c.running:
            return _limited((u - self.shift) * self.scale, c.z_limit)
        z = np.empty_like(u)
        for k in range(len(u)):
            d = u[k] - self.shift
            z[k] = _limited(d * self.scale, c.z_limit)
            if valid[k]:
                self._learn(d, z[k])
        return z

    def _learn(self, d: NDArray[Any], z: NDArray[Any]) -> None:
        c = self._c
        shift = _limited(self.shift + c.rate * _limited(d, c.z_limit), c.mean_limit)
        self.shift = np.where(np.abs(shift) < TINY, self._dtype(0.0), shift)
        scale = self.scale + self.scale * (c.half_rate * (self._dtype(1.0) - z * z))
        self.scale = np.minimum(np.maximum(scale, c.lowest_scale), c.highest_scale)


def _limited(values: NDArray[Any], limit: np.float32) -> NDArray[Any]:
    """clamp(values, -limit, limit): faster than `arithmetic.clamp` and the same for numbers; features are never NaN."""
    return np.asarray(np.minimum(np.maximum(values, -limit), limit))
