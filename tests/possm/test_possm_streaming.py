"""A live stream of spikes is decoded as the recording is, after months too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgebci.errors import InputError
from edgebci.possm_spec import PossmSpec
from edgebci.session import Session
from edgebci.training.possm.decoding import decode
from edgebci.training.possm.model import Possm
from edgebci.training.possm.streaming import SpikeStream
from edgebci.training.possm.tokens import TokenCount

MakeModel = Callable[[PossmSpec, list[Session]], Possm]
CHUNKS, LATE = 120, 8_640_000


@pytest.mark.parametrize("form", ["published", "edge"])
@pytest.mark.parametrize("finished", [0, LATE])
def test_a_stream_decodes_what_the_recording_does(
    form: str, finished: int, specs: dict[str, PossmSpec], session: Session, make_model: MakeModel
) -> None:
    model = make_model(specs[form].model_copy(update={"max_tokens": 12, "backbone": "mamba2"}), [session]).double()
    begin = float(session.data.times_s[0] - 1 / session.data.frame_rate_hz)
    # The clock began `finished` chunks earlier: five days.
    stream = SpikeStream(model, "first", begin - finished * 0.05, finished)
    spikes, at, outputs = session.spikes, 0, []
    assert spikes is not None
    for _ in range(CHUNKS):
        while spikes.times_s[at] <= stream.chunk_end_s:
            stream.add(float(spikes.times_s[at]), int(spikes.unit[at]))
            at += 1
        outputs.append(stream.finish_chunk())
    expected = decode(model, session)
    # Frames of 20 ms that end with a chunk of 50 ms: every fifth.
    np.testing.assert_allclose(outputs[1::2], expected.outputs[4 : CHUNKS * 5 // 2 : 5], rtol=2e-6)
    assert np.std(outputs, axis=0).min() > 1e-3
    assert stream.count.dropped > 0
    assert stream.count.spikes == at
    assert stream.count.chunks == CHUNKS


def test_a_stream_refuses_unknown_units_and_spikes_of_the_next_chunk(
    specs: dict[str, PossmSpec], session: Session, make_model: MakeModel
) -> None:
    stream = SpikeStream(make_model(specs["edge"], [session]), "first", 0.0)
    with pytest.raises(InputError, match="unit 12 of 12"):
        stream.add(0.01, 12)
    with pytest.raises(InputError, match="after the chunk's end"):
        stream.add(0.051, 1)
    assert np.isfinite(stream.finish_chunk()).all()  # an empty chunk
    assert stream.count == TokenCount(0, 0, 0, 1)
