"""What POSSM computes: batch and stream agree, and a strict output knows no later spike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgebci.possm_spec import Backbone as BackboneKind
from edgebci.possm_spec import PossmSpec
from edgebci.session import Session, SpikeEvents
from edgebci.training.possm import decoding
from edgebci.training.possm.backbone import Backbone, spread_over
from edgebci.training.possm.decoding import decode_stretch
from edgebci.training.possm.model import Possm
from edgebci.training.possm.published import BACKBONES, SIZES, explain
from edgebci.training.possm.tokens import Tokens, chunk_spikes, finished_chunk
from edgebci.training.s4d import S4D

MakeModel = Callable[[PossmSpec, list[Session]], Possm]
FORMS = ("published", "edge")


def whole(model: Possm, session: Session) -> torch.Tensor:
    return decode_stretch(model, session, 0, len(session.data.frames))[0]


def begin_s(session: Session) -> float:
    return float(session.data.times_s[0] - 1 / session.data.frame_rate_hz)


def streamed(model: Possm, session: Session, n_chunks: int) -> torch.Tensor:
    """Outputs at the end of each chunk, by steps."""
    assert session.spikes is not None
    chunks = chunk_spikes(session.spikes, begin_s(session), n_chunks, model.spec, 1)
    state, outputs = model.initial_state(1), []
    with torch.no_grad():
        for c in range(n_chunks):
            arrays = (chunks.unit[c], chunks.time_s[c], chunks.mask[c])
            output, state = model.step(Tokens(*(torch.from_numpy(a)[None] for a in arrays)), 0, state)
            outputs.append(output[0])
    return torch.stack(outputs)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("within_chunk", ["published", "strict"])
def test_steps_give_what_the_batch_gives_at_the_end_of_each_chunk(
    backbone: BackboneKind,
    form: str,
    within_chunk: str,
    specs: dict[str, PossmSpec],
    session: Session,
    make_model: MakeModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoding, "PIECE_CHUNKS", 37)  # the batch is itself cut into pieces
    spec = specs[form].model_copy(update={"backbone": backbone, "n_layers": 2, "within_chunk": within_chunk})
    model = make_model(spec, [session]).double()
    steps = streamed(model, session, 150)
    since = session.data.times_s - begin_s(session)
    at_end = np.flatnonzero(np.abs(since / spec.chunk_s - np.round(since / spec.chunk_s)) < 1e-6)
    chunk = finished_chunk(since[at_end], spec.chunk_s)
    inside = chunk < 150
    batch = whole(model, session)[torch.from_numpy(at_end[inside])]
    # Times of queries are float32, hence not 1e-12.
    torch.testing.assert_close(steps[torch.from_numpy(chunk[inside])], batch, rtol=0, atol=1e-6)
    assert len(batch) > 70
    assert batch.std() > 1e-3


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_strict_output_does_not_change_with_any_later_spike(
    backbone: BackboneKind, specs: dict[str, PossmSpec], session: Session, make_model: MakeModel
) -> None:
    model = make_model(specs["published"].model_copy(update={"backbone": backbone}), [session])
    frame, times_s = 403, session.data.times_s
    later = with_spike(session, float(times_s[frame]) + 0.0005)
    before, after = whole(model, session), whole(model, later)
    assert torch.equal(before[: frame + 1], after[: frame + 1])
    assert not torch.equal(before[frame + 1 : frame + 5], after[frame + 1 : frame + 5])


def test_the_published_form_looks_ahead_up_to_the_end_of_its_chunk(
    specs: dict[str, PossmSpec], session: Session, make_model: MakeModel
) -> None:
    spec = specs["published"].model_copy(update={"within_chunk": "published"})
    model = make_model(spec, [session])
    # Frame 401 ends at 402 * 20 ms, 40 ms into a chunk that ends 10 ms later.
    later = with_spike(session, float(session.data.times_s[401]) + 0.005)
    changed = (whole(model, session) != whole(model, later)).any(-1).numpy()
    assert changed[400]
    assert changed[401]
    assert not changed[:400].any()


def with_spike(session: Session, time_s: float) -> Session:
    assert session.spikes is not None
    at = int(np.searchsorted(session.spikes.times_s, time_s))
    times_s, unit = np.insert(session.spikes.times_s, at, time_s), np.insert(session.spikes.unit, at, 2)
    return replace(session, spikes=SpikeEvents(times_s, unit, session.spikes.n_units))


def test_an_output_depends_on_when_in_its_chunk_a_spike_was(
    specs: dict[str, PossmSpec], session: Session, make_model: MakeModel
) -> None:
    model = make_model(specs["published"], [session]).double()
    early, late = (with_spike(session, float(session.data.times_s[404]) - x) for x in (0.045, 0.002))
    difference = (whole(model, early) - whole(model, late)).abs().amax(-1)
    assert difference[404] > 1e-9
    assert difference[:404].max() == 0


@pytest.mark.parametrize("size", SIZES)
def test_one_number_of_embeddings_explains_the_published_counts_of_all_three_backbones(size: str) -> None:
    found = [explain(size, backbone) for backbone in BACKBONES]
    fewest, most = max(d.fewest_embeddings for d in found), min(d.most_embeddings for d in found)
    assert 0 < fewest <= most
    # Nothing but embeddings differs for a GRU and for S4D; a Mamba's count is that of the first Mamba.
    assert [d.first_mamba for d in found] == [0, 0, {"single session": 5992, "o-POSSM": 165184}[size]]


def test_parameter_counts_without_embeddings_are_exactly_these() -> None:
    counts = {size: tuple(explain(size, backbone).core for backbone in BACKBONES) for size in SIZES}
    assert counts == {"single session": (340418, 405698, 607066), "o-POSSM": (4249858, 7657218, 8494018)}


def test_layers_of_s4d_begin_with_the_memory_that_the_recipe_asks_for(specs: dict[str, PossmSpec]) -> None:
    layers = Backbone(specs["edge"].model_copy(update={"backbone": "s4d", "d_state": 16}), 0.0)
    spread_over(layers, (0.1, 4.0), 0.05)
    s4d = next(layer for layer in layers.modules() if isinstance(layer, S4D))
    remembered_s = 0.05 / (s4d.A_log.exp()[:, 0] * s4d.dt_log.exp())
    torch.testing.assert_close(remembered_s[[0, -1]], torch.tensor([0.1, 4.0]))
