"""The step of an implant computes what the trained model computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgebci.decoding_data import Part
from edgebci.errors import InputError
from edgebci.export.possm_bundle_writer import export_possm_bundle
from edgebci.metrics import r2
from edgebci.possm_float import FloatPossmStep
from edgebci.possm_spec import Backbone, PossmSpec, load_possm_step, save_possm_step
from edgebci.possm_stream import FloatPossmStream
from edgebci.session import Session
from edgebci.training.possm.decoding import decode
from edgebci.training.possm.export_form import chunk_stream, to_step
from edgebci.training.possm.files import PossmFile, load_possm
from edgebci.training.possm.model import Possm
from edgebci.training.possm.tokens import Tokens, chunk_spikes, finished_chunk

PARTS: tuple[Part, Part] = ("train", "test")
EXPORTED: tuple[Backbone, ...] = ("gru", "mamba2", "s4d")


@pytest.mark.parametrize("backbone", EXPORTED)
@pytest.mark.parametrize("n_layers", [1, 2])
def test_tables_give_what_attention_gives(
    backbone: Backbone,
    n_layers: int,
    specs: dict[str, PossmSpec],
    session: Session,
    make_session: Callable[..., Session],
    make_model: Callable[[PossmSpec, list[Session]], Possm],
    pretrained: Path,
    tmp_path: Path,
) -> None:
    spec = specs["edge"].model_copy(update={"backbone": backbone, "n_layers": n_layers})
    model = make_model(spec, [make_session("before", 7, n_units=5), session])
    save_possm_step(tmp_path / "step", to_step(PossmFile(model, load_possm(pretrained).training), "first"))
    checkpoint = load_possm_step(tmp_path / "step")
    step = FloatPossmStep.of(checkpoint.spec, checkpoint.parameters)
    data, spikes = session.data, session.spikes
    assert spikes is not None
    begin = float(data.times_s[0] - 1 / data.frame_rate_hz)
    chunks = chunk_spikes(spikes, begin, 100, spec, 1)
    states, outputs = step.initial_states(), []
    for c in range(100):
        output, states = step.step(chunks.unit[c], chunks.time_step[c], chunks.mask[c], states)
        outputs.append(output)
    expected = decode(model, session).outputs
    frames = [k for k in range(240) if abs((k + 1) / 2.5 - round((k + 1) / 2.5)) < 1e-9]
    at = finished_chunk(data.times_s[frames] - begin, spec.chunk_s)
    # float32 against float64 after 100 chunks, in cm/s with an sd of 5.
    np.testing.assert_allclose(np.array(outputs)[at], expected[frames], atol=2e-4)
    assert expected[frames].std() > 0.05


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"feed_forward": "geglu"}, "feed_forward is 'geglu'"),
        ({"norm": "layer"}, "norm is 'layer'"),
        ({"rotate_values": True}, "rotate_values is True"),
        ({"time_step_s": None}, "spike times are exact"),
    ],
)
def test_a_form_without_operators_is_refused_with_its_reason(
    change: dict[str, object],
    reason: str,
    specs: dict[str, PossmSpec],
    session: Session,
    make_model: Callable[[PossmSpec, list[Session]], Possm],
    pretrained: Path,
) -> None:
    model = make_model(specs["edge"].model_copy(update=change), [session])
    with pytest.raises(InputError, match=f"cannot be exported: {reason}"):
        to_step(PossmFile(model, load_possm(pretrained).training), "first")


def test_a_file_whose_tensors_do_not_fit_is_refused(pretrained: Path, tmp_path: Path) -> None:
    step = to_step(load_possm(pretrained), "session1")
    wrong = {**step.parameters, "age": step.parameters["age"][:1]}
    save_possm_step(tmp_path / "step", type(step)(step.spec, wrong, step.training))
    with pytest.raises(InputError, match="'age' does not fit"):
        load_possm_step(tmp_path / "step")


def test_tables_and_attention_are_one_function(
    specs: dict[str, PossmSpec],
    session: Session,
    make_model: Callable[[PossmSpec, list[Session]], Possm],
) -> None:
    model = make_model(specs["edge"], [session]).double()
    assert session.spikes is not None
    chunks = chunk_spikes(session.spikes, 3.0, 50, specs["edge"], 1)
    tokens = Tokens(*(torch.from_numpy(array) for array in (chunks.unit, chunks.time_s, chunks.mask)))
    with torch.no_grad():
        one, other = model.core.looked_up(model.units, tokens), model.core.attended(model.units, tokens)
    # Times of tokens are float32; chunks with tokens all differ.
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert one.std(0).min() > 1e-3


def test_a_trained_edge_decoder_becomes_a_verified_bundle(
    pretrained: Path, make_session: Callable[..., Session], tmp_path: Path
) -> None:
    file, session = load_possm(pretrained), make_session("session1", 1)
    save_possm_step(tmp_path / "step", to_step(file, "session1"))
    seen, unseen = (chunk_stream(session, part, file.model.spec) for part in PARTS)
    # Over 400 chunks: the 120 of the test part are too few to tell a share of 0.1 % of elements that may differ.
    bundle = export_possm_bundle(tmp_path / "bundle", tmp_path / "step", seen, seen)
    spec, weights = to_step(file, "session1").spec, to_step(file, "session1").parameters
    outputs = FloatPossmStream.of(spec, weights).stream(unseen.chunks, unseen.reset_before)
    assert unseen.truth is not None
    assert r2(unseen.truth, outputs).mean() > 0.3, "the chunks are those that it was trained on"
    assert bundle.manifest.spec.max_tokens == file.model.spec.max_tokens


def test_chunks_of_a_part_hold_its_spikes_alone(pretrained: Path, make_session: Callable[..., Session]) -> None:
    spec, session = load_possm(pretrained).model.spec, make_session("session1", 1)
    stream, spikes = chunk_stream(session, "test", spec), session.spikes
    assert spikes is not None
    times_s = session.data.times_s
    inside = (spikes.times_s > times_s[1199]) & (spikes.times_s <= times_s[1499])
    tokens = int((stream.chunks[..., 0] > 0).sum())
    assert tokens == inside.sum() - _dropped(session, spec)
    assert stream.reset_before.tolist() == [True, *[False] * 119]
    assert stream.truth is not None
    np.testing.assert_allclose(stream.truth[1], session.data.targets[1204], rtol=1e-6)


def _dropped(session: Session, spec: PossmSpec) -> int:
    assert session.spikes is not None
    return chunk_spikes(session.spikes, float(session.data.times_s[1199]), 120, spec, 1).count.dropped
