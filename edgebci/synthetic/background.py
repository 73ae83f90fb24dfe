"""Volume conduction and reference: slow, large, and nearly the same on all channels."""

from __future__ import annotations

import numpy as np

from edgebci.synthetic import chance
from edgebci.synthetic.sheet import Sheet, between
from edgebci.synthetic.signals import F32, F64, StreamFilter, poles, power_gain, white_sd_uv
from edgebci.synthetic.specification import SyntheticSpec


class Background:
    """A reference signal that all channels share and distant sources that each channel sees a little differently."""

    def __init__(self, spec: SyntheticSpec, sheet: Sheet) -> None:
        self._rng = chance.for_session(spec, "background")
        self._weights = _weights(spec, sheet).astype(np.float32)
        sections = poles(spec.background.corners_hz, spec.rate_hz)
        self._sd_uv = white_sd_uv(
            spec.background.density_10hz_uv2_per_hz / power_gain(sections, 10.0, spec.rate_hz), spec.rate_hz
        )
        self._filter = StreamFilter(sections, len(self._weights))

    def next_uv(self, n: int) -> F32:
        """The next n samples, (n, C)."""
        white = self._rng.standard_normal((n, len(self._weights)), dtype=np.float32)
        return self._filter.push(np.float32(self._sd_uv) * white) @ self._weights


def _weights(spec: SyntheticSpec, sheet: Sheet) -> F64:
    """(1 + n_sources, C): squares sum to 1 on average over channels."""
    background, rng = spec.background, chance.for_subject(spec, "background")
    angle = rng.uniform(0, 2 * np.pi, background.n_sources)
    radius = rng.uniform(*background.source_distance_mm, background.n_sources)
    sources_mm = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    # The potential of a current source falls with the inverse of the distance.
    conducted = rng.choice([-1.0, 1.0], (background.n_sources, 1)) / between(sources_mm, sheet.electrodes_mm)
    conducted *= np.sqrt((1 - background.reference_fraction) / np.mean(np.sum(conducted**2, axis=0)))
    reference = np.full((1, spec.n_channels), np.sqrt(background.reference_fraction))
    return np.concatenate([reference, conducted])
