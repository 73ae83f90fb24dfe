"""Random streams: one for each purpose, so that changing one part of the model leaves the draws of the others alone."""

from __future__ import annotations

import zlib

import numpy as np

from edgebci.synthetic.specification import SyntheticSpec


def for_subject(spec: SyntheticSpec, purpose: str, number: int = 0) -> np.random.Generator:
    """A stream that all sessions of a subject share."""
    return _stream(spec.seed, spec.subject, 0, purpose, number)


def for_session(spec: SyntheticSpec, purpose: str, number: int = 0) -> np.random.Generator:
    """A stream of this session alone."""
    return _stream(spec.seed, spec.subject, spec.session, purpose, number)


def _stream(seed: int, subject: int, session: int, purpose: str, number: int) -> np.random.Generator:
    key = (subject, session, zlib.crc32(purpose.encode()), number)
    # SFC64 draws the normal numbers of the large noise fields faster than the default.
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))
