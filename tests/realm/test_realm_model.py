"""REALM's encoders: published sizes, one function as scan and step, no look into the future."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgebci.errors import InputError
from edgebci.training.realm.model import CausalEncoder, EncoderState, RealmDecoder, make_encoder
from edgebci.training.realm.regularisation import DropPath
from edgebci.training.realm.spec import EDGE, REALM, REALM_BI, REALM_L, REALM_S, EncoderSpec
from edgebci.training.rotary import TURN

SMALL = EncoderSpec(
    n_channels=6, channel_features=2, attention_taps=3, d_model=16, n_layers=2, expand=1, headdim=8, d_state=4
)
SMALL_EDGE = SMALL.model_copy(update={"block": "mamba2", "norm": "rms", "activation": "silu", "attention_s": 0.2})
UNUSED_SESSION_TABLE = 200 * 256
SMALL_LINEAR = SMALL_EDGE.model_copy(update={"tokenizer": "linear"})
CAUSAL = [SMALL, SMALL_EDGE, SMALL.as_published(), SMALL_LINEAR]


def causal(spec: EncoderSpec) -> CausalEncoder:
    torch.manual_seed(0)
    encoder = make_encoder(spec).double().eval()
    assert isinstance(encoder, CausalEncoder)
    return encoder


def frames_of(spec: EncoderSpec, length: int) -> Tensor:
    return torch.randn(2, length, spec.n_channels, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize(
    ("spec", "published"), [(REALM_S, 2_107_465), (REALM, 4_909_273), (REALM_L, 10_500_601), (REALM_BI, 5_015_721)]
)
def test_the_published_models_are_ours_and_an_unused_session_table(spec: EncoderSpec, published: int) -> None:
    with torch.device("meta"):
        decoder = RealmDecoder(make_encoder(spec), n_outputs=2, raw_skip=True)
    assert sum(p.numel() for p in decoder.parameters()) + UNUSED_SESSION_TABLE == published


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(1, 99), unique=True, max_size=6), which=st.integers(0, 3))
def test_any_chunking_of_a_stream_gives_the_same(cuts: list[int], which: int) -> None:
    encoder = causal(CAUSAL[which])
    frames = frames_of(encoder.spec, 100)
    whole, state, parts = encoder(frames), encoder.initial_state(2), []
    for piece in torch.tensor_split(frames, sorted(cuts), dim=1):
        x, state = encoder.scan(piece, state)
        parts.append(x)
    # Float64: sums in another order.
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spec", CAUSAL, ids=["realm", "edge", "paper", "linear"])
def test_steps_are_the_scan(spec: EncoderSpec) -> None:
    torch.manual_seed(0)
    decoder = RealmDecoder(causal(spec), n_outputs=2, raw_skip=True).double().eval()
    frames = frames_of(spec, 70)
    whole, state = decoder(frames), decoder.initial_state(2)
    for t in range(70):
        output, state = decoder.step(frames[:, t], state)
        # Float64: sums in another order.
        torch.testing.assert_close(output, whole[:, t], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spec", CAUSAL, ids=["realm", "edge", "paper", "linear"])
def test_the_future_changes_nothing_in_a_student_and_something_in_a_teacher(spec: EncoderSpec) -> None:
    frames = frames_of(spec, 60)
    changed = frames.clone()
    changed[:, 40:] = 100 * torch.randn_like(changed[:, 40:])
    student, teacher = causal(spec), make_encoder(spec.model_copy(update={"both_ways": True})).double().eval()
    # Products of other lengths may round differently, hence not bit for bit.
    torch.testing.assert_close(student(changed)[:, :40], student(frames)[:, :40], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(student(changed)[:, 40:], student(frames)[:, 40:])
    assert not torch.allclose(teacher(changed)[:, :40], teacher(frames)[:, :40])


def test_channel_attention_follows_a_change_of_scale_unless_it_averages_since_the_start() -> None:
    gates = {}
    for spec in (SMALL.model_copy(update={"attention_s": 0.5}), SMALL.as_published()):
        tokenizer = causal(spec).tokenizer
        frames = frames_of(spec, 2000)
        frames[:, 1000:] *= 20
        state = tokenizer.scan(frames, tokenizer.initial_state(2))[1]
        late = tokenizer.scan(frames[:, 1500:], tokenizer.initial_state(2))[1]
        gates[spec.attention_mean] = (state.mean, late.mean)
    forgetful, cumulative = gates["exponential"], gates["cumulative"]
    # Ten time constants after the change, e^-10 of the old mean is left.
    torch.testing.assert_close(forgetful[0].mean, forgetful[1].mean, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(cumulative[0].mean, cumulative[1].mean, rtol=0.1)


@pytest.mark.parametrize("spec", [SMALL, SMALL_EDGE], ids=["realm", "edge"])
def test_after_a_day_a_float32_stream_still_is_the_float64_batch(spec: EncoderSpec) -> None:
    started, frames = 8_640_000, frames_of(spec, 200)
    torch.manual_seed(0)
    encoder = causal(spec)
    state = aged(encoder, encoder.initial_state(2), started)
    whole, _ = encoder.scan(frames, state)
    single = copy.deepcopy(encoder).float()
    state = aged(single, single.initial_state(2), started)
    for t in range(200):
        x, state = single.step(frames[:, t].float(), state)
        # Float32 through two layers; a float32 phase would be off by 0.1 rad.
        torch.testing.assert_close(x.double(), whole[:, t], rtol=1e-4, atol=1e-4)


def aged(encoder: CausalEncoder, state: EncoderState, frames: int) -> EncoderState:
    """The clocks of a state as they stand after so many frames: phases, and the weight of the mean."""
    spec, mean = encoder.spec, state.tokenizer.mean
    assert spec.attention_frames is not None
    weight = torch.full_like(mean.weight, 1 / (1 - math.exp(-1 / spec.attention_frames)))
    layers = tuple(
        block._replace(phase=(block.phase + frames * layer.mixer.turn) % TURN)
        for block, layer in zip(state.layers, encoder.blocks, strict=True)
    )
    return EncoderState(state.tokenizer._replace(mean=mean._replace(weight=weight)), layers)


def test_what_may_not_be_exported_says_why() -> None:
    assert SMALL.exportable
    assert EDGE.why_not_exportable is None
    assert "looks ahead" in str(REALM_BI.why_not_exportable)
    assert "zero phase" in str(REALM.as_published().why_not_exportable)
    cumulative = REALM.model_copy(update={"attention_mean": "cumulative"})
    assert not cumulative.exportable
    assert "since the stream's start" in str(cumulative.why_not_exportable)


def test_a_teacher_does_not_run_as_a_stream() -> None:
    decoder = RealmDecoder(make_encoder(SMALL.model_copy(update={"both_ways": True})), n_outputs=2)
    with pytest.raises(InputError, match="looks ahead in time; distil it"):
        decoder.initial_state(1)


def test_an_even_number_of_taps_is_refused() -> None:
    with pytest.raises(ValueError, match="attention_taps is 4; choose an odd number"):
        EncoderSpec(n_layers=1, attention_taps=4)


def test_drop_path_drops_whole_streams_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    path, x = DropPath(0.25), torch.ones(4000, 3, 2)
    dropped = path(x)
    assert set(dropped.flatten().tolist()) == {0.0, float(torch.tensor(1.0) / 0.75)}
    assert (dropped == dropped[:, :1, :1]).all()
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.04)  # five standard errors of 4,000 draws
    assert torch.equal(path.eval()(x), x)
