"""A filter whose power gain is 1 + corner / f: white noise through it is an amplifier's."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.optimize import least_squares
from scipy.signal import zpk2sos

from edgebci.synthetic.signals import F64

LOWEST_HZ = 0.3
"""Below it the density stays where it is."""
SPACING = 5.0
"""A pole and a zero in every factor of this in frequency."""
_FITTED_AT = 120


@lru_cache(maxsize=16)
def flicker_sections(corner_hz: float, rate_hz: float) -> F64:
    """Second-order sections, (n, 6): real poles and zeros in turn, fitted in dB from LOWEST_HZ to 0.45 of the rate.

    `edgebci.synthetic.signals.flicker` places them by rule and is off by up to 1 dB; here a density is a promise.
    """
    frequency_hz = np.geomspace(LOWEST_HZ, 0.45 * rate_hz, _FITTED_AT)
    wanted_db = 10 * np.log10(1 + corner_hz / frequency_hz)
    highest_hz = min(0.7 * corner_hz, 0.2 * rate_hz)
    n = max(2, 1 + round(np.log(highest_hz / LOWEST_HZ) / np.log(SPACING))) if highest_hz > LOWEST_HZ else 2
    zeros_hz = np.geomspace(max(highest_hz, 2 * LOWEST_HZ), 2 * LOWEST_HZ, n)
    start = np.concatenate([np.log(zeros_hz), np.log(zeros_hz / 2), [0.0]])
    z = np.exp(-2j * np.pi * frequency_hz / rate_hz)

    def error_db(parameters: F64) -> F64:
        zeros, poles = _in_z(parameters[:n], rate_hz), _in_z(parameters[n:-1], rate_hz)
        response = np.prod((1 - np.outer(zeros, z)) / (1 - np.outer(poles, z)), axis=0)
        return np.asarray(20 * np.log10(np.abs(response)) + parameters[-1] - wanted_db)

    found = least_squares(error_db, start, max_nfev=200).x
    gain = 10 ** (found[-1] / 20)
    return np.asarray(zpk2sos(_in_z(found[:n], rate_hz), _in_z(found[n:-1], rate_hz), gain), dtype=np.float64)


def _in_z(log_hz: F64, rate_hz: float) -> F64:
    return np.asarray(np.exp(-2 * np.pi * np.exp(log_hz) / rate_hz))
