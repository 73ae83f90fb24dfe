"""Sessions for training from frames: held-out ones with their segments, the others whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgebci.decoding_data import Booleans, DecodingData, Floats, Interval
from edgebci.errors import InputError
from edgebci.features.front_end import FrontEnd
from edgebci.features.stream import Frames, Normalizer
from edgebci.pipeline.reproduction.frames import SessionFrames
from edgebci.pipeline.reproduction.segments import SEGMENT_FRAMES, Permutation, draw, segment_starts
from edgebci.session import Session

LAST_SHARE = 0.2
"""Of a session that is alone in its corpus, and must say itself when to stop."""


def held_out_session(frames: SessionFrames, seed: int, permutation: Permutation) -> Session:
    """A session cut by the published rule; every segment is a stream of its own, from zero state.

    Raises:
        InputError: fewer segments than parts.
    """
    is_flint = frames.header.corpus == "flint"
    starts = segment_starts(frames.velocity, leave_out_artefacts=is_flint)
    split = draw(frames.header.session, len(starts), seed, permutation, in_pairs=is_flint)
    if not all(split.counts):
        raise InputError(
            f"{frames.header.session} has {len(starts)} segments of 5 s, too few for training, validation and test; "
            "take a whole session"
        )
    train, validation, test = (_intervals(starts[list(part)]) for part in (split.train, split.validation, split.test))
    reset_before = frames.reset_before.copy()
    reset_before[np.concatenate([starts, starts + SEGMENT_FRAMES])[:-1]] = True
    return _session(frames, reset_before, train, validation, test)


def pretraining_session(frames: SessionFrames, is_alone: bool) -> Session:
    """A session to learn from without labels, all of it; one that is alone keeps its end to decide when to stop."""
    count = len(frames.features)
    cut = round((1 - LAST_SHARE) * count) if is_alone else count
    return _session(frames, frames.reset_before, ((0, cut),), ((cut, count),) if is_alone else (), ())


def n_segments(frames: SessionFrames) -> int:
    """Of 5 s, Flint's without artefacts."""
    return len(segment_starts(frames.velocity, leave_out_artefacts=frames.header.corpus == "flint"))


def _intervals(starts: NDArray[np.int64]) -> tuple[Interval, ...]:
    return tuple((start, start + SEGMENT_FRAMES) for start in sorted(starts.tolist()))


def _session(
    frames: SessionFrames,
    reset_before: Booleans,
    train: tuple[Interval, ...],
    validation: tuple[Interval, ...],
    test: tuple[Interval, ...],
) -> Session:
    rows = np.concatenate([np.arange(start, stop) for start, stop in train])
    data = DecodingData(
        frames=_normalised(frames, rows[frames.valid[rows]]),
        targets=frames.velocity,
        valid=frames.valid,
        times_s=frames.times_s,
        train=train,
        validation=validation,
        test=test,
        target_names=frames.header.target_names,
        target_unit=frames.header.target_unit,
        reset_before=reset_before,
    )
    return Session(frames.header.session, frames.header.subject, data)


def _normalised(frames: SessionFrames, rows: NDArray[np.int64]) -> Floats:
    """Causal frames, as the device normalises them from these training rows on; the papers' are standardised already.

    Raises:
        InputError: no valid training frame.
    """
    spec = frames.header.features
    if spec is None:
        return frames.features
    if not len(rows):
        raise InputError(f"{frames.header.session} has no valid training frame; take a longer or cleaner session")
    features = frames.features.astype(np.float64)
    mean, sd = features[rows].mean(axis=0), features[rows].std(axis=0)
    good = frames.good_channels
    front_end = FrontEnd(
        spec,
        good,
        np.where(good, mean, 0.0).astype(np.float32),
        np.where(good & (sd > 0), sd, 1.0).astype(np.float32),
    )
    stream = Frames(features, frames.valid, ~frames.valid, frames.reset_before)
    return Normalizer(front_end).push(stream).astype(np.float32)
