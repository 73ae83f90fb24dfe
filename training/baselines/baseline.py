"""What every fitted decoder of a comparison offers: it decodes a recording, and says what that costs."""

from __future__ import annotations

from typing import Protocol

from edgebci.decoding_data import DecodingData, Floats
from edgebci.documents import Document

FLOAT32_BYTES = 4


class Costs(Document):
    """What a decoder costs, as trained, in float32.

    A MAC is one multiplication whose product is added; what is done once per element is left out, as in
    `edgebci.workload`.
    """

    parameters: int
    macs_per_output: int | None
    """None: it looks at the whole recording at once."""
    state_bytes: int | None
    """What one stream keeps from frame to frame; None likewise."""


class Baseline(Protocol):
    """A fitted decoder."""

    @property
    def costs(self) -> Costs:
        """Of one stream."""
        ...

    def predict(self, data: DecodingData) -> Floats:
        """Decode a whole recording (K, D), causally, anew wherever the front end began anew."""
        ...
