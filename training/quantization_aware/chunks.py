"""Chunks of spikes as what a learner of frames takes: a chunk's tokens stand where a frame's features do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgebci.decoding_data import DecodingData, Part
from edgebci.errors import InputError
from edgebci.possm_spec import PossmStepSpec
from edgebci.possm_stream import ChunkStream


class ChunkData(DecodingData):
    """`frames` are tokens (K, N, 2), int32, and K counts chunks; all else is as for frames."""

    def _check_shapes(self) -> None:
        found = {len(values) for values in (self.frames, self.targets, self.valid, self.times_s)}
        assert len(found) == 1, "made by chunks_as_data"


def chunks_as_data(seen: Mapping[Part, ChunkStream], spec: PossmStepSpec) -> ChunkData:
    """Parts one behind the other; each is one interval, cut where its states begin anew.

    Raises:
        InputError: a part has no behaviour to learn from.
    """
    truths = [stream.truth for stream in seen.values() if stream.truth is not None]
    if len(truths) < len(seen):
        raise InputError("chunks without behaviour cannot be learned from; give those of a session that has it")
    chunks: Any = np.concatenate([stream.chunks for stream in seen.values()])
    ends = np.cumsum([len(stream.chunks) for stream in seen.values()]).tolist()
    intervals = {
        name: ((stop - len(stream.chunks), stop),) for stop, (name, stream) in zip(ends, seen.items(), strict=True)
    }
    return ChunkData(
        frames=chunks,
        targets=np.concatenate(truths).astype(np.float32),
        valid=np.ones(len(chunks), bool),
        times_s=np.arange(1, len(chunks) + 1, dtype=np.float64) * spec.chunk_s,
        train=intervals["train"],
        validation=intervals["validation"],
        test=(),
        target_names=spec.output_names,
        target_unit=spec.output_unit,
        reset_before=np.concatenate([stream.reset_before for stream in seen.values()]),
    )
