"""Ridge regression on lagged frames, the Wiener filter, as a baseline."""

from __future__ import annotations

from dataclasses import dataclass

from edgebci.decoding_data import DecodingData, Floats
from edgebci.training.baselines.baseline import FLOAT32_BYTES, Costs
from edgebci.training.ridge import RidgeDecoder


@dataclass(frozen=True, eq=False)
class LinearBaseline:
    """A linear function of the last frames; of detectors, the log odds."""

    decoder: RidgeDecoder

    @property
    def costs(self) -> Costs:
        """State: the sums of the outputs that are still to come, one for each frame up to the oldest lag."""
        weight, bias = self.decoder.weight, self.decoder.bias
        pending = (len(weight) - 1) * self.decoder.lag_frames * len(bias)
        return Costs(
            parameters=weight.size + bias.size, macs_per_output=weight.size, state_bytes=FLOAT32_BYTES * pending
        )

    def predict(self, data: DecodingData) -> Floats:
        """Decode a whole recording (K, D)."""
        return self.decoder.predict(data)
