"""Proving that a front end in fixed point stays within its bound of the feature reference, before it is written."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgebci.agreement import FrontEndAgreement
from edgebci.errors import VerificationError
from edgebci.features.fixed_device import FixedFrontEnd
from edgebci.features.front_end import FrontEnd
from edgebci.features.stream import FeatureStream

LOG_BOUND = 0.02
"""Of the logarithm of a band's power, at every valid frame: a third of the step of a decoder's int8 input."""
SECONDS = 10.0
_RMS_UV, _OWN_UV, _SEED = 60.0, 3.0, 17


def verify_front_end(front_end: FrontEnd, seconds: float = SECONDS) -> FrontEndAgreement:
    """Both forms over noise that looks like LFP, with a gap: 1/f, half of it common to all channels.

    Raises:
        InputError: the fixed form cannot compute this front end.
        VerificationError: a feature is further from the reference than the bound.
    """
    fixed, exact = FixedFrontEnd(front_end), FeatureStream(front_end.spec, front_end.good_channels)
    counts, missing = _noise(front_end, seconds)
    found, expected = fixed.push(counts, missing), exact.push(counts, missing)
    error = np.abs(found.features - expected.features)[expected.valid]
    if not len(error):
        raise VerificationError(
            f"{seconds:g} s of signal give no valid frame to hold the fixed-point front end against; "
            "make startup_s shorter"
        )
    agreement = FrontEndAgreement(
        frames=len(error),
        bound=LOG_BOUND,
        largest_error=float(error.max()),
        rms_error=float(np.sqrt((error**2).mean())),
    )
    if not agreement.largest_error <= LOG_BOUND:
        raise VerificationError(
            f"the fixed-point front end is {agreement.largest_error:.3g} from the feature reference (logarithm of a "
            f"band's power), allowed is {LOG_BOUND:g}; use the float32 front end"
        )
    return agreement


def _noise(front_end: FrontEnd, seconds: float) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Counts (T, C) and which rows are missing: a tenth of a frame, in the middle."""
    spec, channels = front_end.spec, front_end.n_channels
    n = spec.startup_frames * spec.samples_per_frame + round(seconds * spec.rate_hz)
    rng, frequency = np.random.default_rng(_SEED), np.fft.rfftfreq(n)[:, None]
    frequency[0] = np.inf
    spectrum = (rng.normal(size=(len(frequency), channels + 1, 2)) @ [1.0, 1.0j]) / frequency
    lfp_uv = np.fft.irfft(spectrum, n, axis=0)
    lfp_uv *= _RMS_UV / lfp_uv.std(axis=0)
    lfp_uv = (lfp_uv[:, :-1] + lfp_uv[:, -1:]) / np.sqrt(2.0) + rng.normal(scale=_OWN_UV, size=(n, channels))
    missing = np.zeros(n, bool)
    missing[n // 2 : n // 2 + max(1, spec.samples_per_frame // 10)] = True
    return spec.adc.counts(lfp_uv).astype(np.int16), missing
