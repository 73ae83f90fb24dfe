"""A decoder in integers, in either arithmetic: int8 activations with float32 between quantizers, or fixed point."""

from __future__ import annotations

from pathlib import Path

from edgebci.checkpoint import read_tensors
from edgebci.documents import Document
from edgebci.fixed_decoder import FIXED_SCHEMA, FixedDecoder
from edgebci.quantized_decoder import QuantizedDecoder

IntegerDecoder = QuantizedDecoder | FixedDecoder
"""Both have spec, readout, initial_states, step, stream, run, tensors and save."""


class _AnyHeader(Document, extra="ignore"):
    """What the headers of both have in common."""

    schema_version: str


def load_integers(path: Path) -> IntegerDecoder:
    """Read what either's `save` wrote; raises InputError where the file is missing, damaged or of another kind."""
    _, header = read_tensors(path, _AnyHeader)
    return FixedDecoder.load(path) if header.schema_version == FIXED_SCHEMA else QuantizedDecoder.load(path)
