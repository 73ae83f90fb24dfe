"""The networks: sizes, padding, time, and what the Poisson loss looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgebci.errors import InputError
from edgebci.session import Session
from edgebci.training.crossmodal.alignment import linear_cka
from edgebci.training.crossmodal.corpus import Corpus, Windows, counts_of, device_of
from edgebci.training.crossmodal.files import load_student
from edgebci.training.crossmodal.recipe import CrossModalRecipe, TransformerBody
from edgebci.training.crossmodal.spec import EncoderSpec, SessionPatches, TokenSpec, TransformerSpec
from edgebci.training.crossmodal.spike_model import SpikeAutoencoder, hide, poisson_loss
from edgebci.training.crossmodal.spike_teacher import mean_rates, pretrain
from edgebci.training.crossmodal.student import distill, lfp_of
from edgebci.training.crossmodal.student_model import Student
from edgebci.training.crossmodal.teaching import (
    principal_views,
    spikes_of,
    standardised_views,
    teacher_views,
)
from edgebci.training.crossmodal.transformer import PatchEncoder

STARTS = np.array([100, 1700])


def batch(sessions: list[Session], patch: int = 8) -> Windows:
    corpus = Corpus(sessions, spike_patch=patch)
    index = torch.from_numpy(STARTS)[:, None] + torch.arange(20)
    return spikes_of(corpus).windows(index, corpus.session_of(STARTS))


def small(kind: str, patch: int, sessions: tuple[SessionPatches, ...]) -> PatchEncoder:
    torch.manual_seed(0)
    shape = TransformerSpec(d_model=16, n_layers=2, n_heads=2, dropout=0.0)
    tokens = TokenSpec.model_validate({"kind": kind, "patch": patch})
    return PatchEncoder(EncoderSpec(tokens=tokens, transformer=shape), sessions).eval()


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_papers_student_has_the_parameters_that_were_counted() -> None:
    student = Student(TransformerBody(), "frames", (SessionPatches(name="one", n_patches=3),), 96, 96, 256)
    d = 256
    attention, mlp, norms = 4 * d * d + 4 * d, 3 * d * 4 * d, 2 * d
    convolution, places = 5 * 32 * d + d, 3 * d
    last_norm, head = d, d * 96 + 96
    assert count(student) == 10 * (attention + mlp + norms) + convolution + places + last_norm + head
    # The reference rounds to 10.57 million.
    assert round(count(student) / 1e6, 2) == 10.57


def test_padded_patches_change_nothing(sessions: list[Session]) -> None:
    encoder = small("spikes", 8, Corpus(sessions, spike_patch=8).spikes.patches)  # type: ignore[union-attr]
    both, alone = batch(sessions), batch(sessions[1:] + sessions[:1])
    assert both.patches.tolist() == [[True, True], [True, False]]
    cut = Windows(both.values[1:, :, :1], both.present[1:, :1], both.sessions[1:])
    # Sums over other numbers of keys round differently.
    torch.testing.assert_close(encoder(both)[1:], encoder(cut), atol=1e-5, rtol=1e-4)
    assert alone.sessions == ("second.b", "first")


def test_absent_units_and_counts_above_five_change_nothing(sessions: list[Session]) -> None:
    encoder, windows = small("spikes", 8, Corpus(sessions, spike_patch=8).spikes.patches), batch(sessions)  # type: ignore[union-attr]
    many = torch.where(windows.present[:, None], windows.values, 3.0)
    assert torch.equal(encoder(Windows(many, windows.present, windows.sessions)), encoder(windows))
    assert torch.equal(
        encoder(Windows(windows.values * 0 + 9, windows.present, windows.sessions)),
        encoder(Windows(windows.values * 0 + 5, windows.present, windows.sessions)),
    )


def test_lfp_tokens_use_no_later_frame_though_the_transformer_does(sessions: list[Session]) -> None:
    corpus = Corpus(sessions, lfp_patch=4)
    encoder = small("lfp", 4, lfp_of(corpus).patches)
    windows = lfp_of(corpus).windows(torch.arange(30)[None], torch.tensor([0]))
    later = windows.values.clone()
    later[:, 20:] += 1.0
    changed = Windows(later, windows.present, windows.sessions)
    assert torch.equal(encoder.tokens(changed)[:, :20], encoder.tokens(windows)[:, :20])
    assert not torch.allclose(encoder(changed)[:, :20], encoder(windows)[:, :20])


def test_attention_knows_the_time_between_frames_but_not_the_time_of_day(sessions: list[Session]) -> None:
    encoder, windows = small("spikes", 8, Corpus(sessions, spike_patch=8).spikes.patches), batch(sessions)  # type: ignore[union-attr]
    tokens = encoder.tokens(windows).flatten(1, 2)
    seen, frame = torch.ones(2, 40, dtype=torch.bool), torch.arange(20).repeat_interleave(2).expand(2, -1)
    here = encoder.transformer(tokens, seen, frame)
    # Angles near frame 1000 are rounded to 6e-5.
    torch.testing.assert_close(encoder.transformer(tokens, seen, frame + 1000), here, atol=2e-3, rtol=1e-3)
    assert not torch.allclose(encoder.transformer(tokens, seen, 3 * frame), here, atol=2e-3)


def test_hidden_tokens_never_reach_the_encoder(sessions: list[Session], recipe: CrossModalRecipe) -> None:
    windows = batch(sessions)
    torch.manual_seed(0)
    model = SpikeAutoencoder(recipe.teacher, Corpus(sessions, spike_patch=8).spikes.patches).eval()  # type: ignore[union-attr]
    hidden = hide(windows, 0.6, np.random.default_rng(0))
    assert hidden.sum(dim=(1, 2)).tolist() == [24, 12]
    assert not hidden[1, :, 1].any()
    other = torch.where(hidden[..., None], 5.0, windows.values)
    assert torch.equal(model(Windows(other, windows.present, windows.sessions), hidden), model(windows, hidden))


@pytest.mark.parametrize("unlooked_at", ["token that is seen", "absent unit", "frame that is not valid"])
def test_the_poisson_loss_looks_only_at_hidden_tokens_of_present_units(
    sessions: list[Session], unlooked_at: str
) -> None:
    windows, valid = batch(sessions), torch.ones(2, 20, dtype=torch.bool)
    valid[:, :5] = False
    hidden = hide(windows, 0.6, np.random.default_rng(0))
    rates = torch.randn(windows.values.shape, generator=torch.Generator().manual_seed(0))
    places: dict[str, Callable[[], torch.Tensor]] = {
        "token that is seen": lambda: ~hidden[..., None],
        "absent unit": lambda: ~windows.present[:, None],
        "frame that is not valid": lambda: ~valid[..., None, None],
    }
    changed = torch.where(places[unlooked_at](), 7.0, rates)
    assert torch.equal(poisson_loss(changed, windows, hidden, valid), poisson_loss(rates, windows, hidden, valid))
    assert not torch.equal(poisson_loss(rates + 1, windows, hidden, valid), poisson_loss(rates, windows, hidden, valid))


def test_a_new_session_is_seen_through_the_mean_of_those_known(sessions: list[Session]) -> None:
    encoder, windows = small("spikes", 8, Corpus(sessions, spike_patch=8).spikes.patches), batch(sessions)  # type: ignore[union-attr]
    space = encoder.tokens.space
    new = space(("new",), 2)[0]
    torch.testing.assert_close(new[0], (space.vectors[0][0] + space.vectors[1][0]) / 2)
    space.add([SessionPatches(name="new", n_patches=2)])
    assert torch.equal(space(("new",), 2)[0], new)
    with pytest.raises(InputError, match="3 patches"):
        space(("larger",), 3)
    assert windows.values.shape == (2, 20, 2, 8)


def test_shifted_spikes_keep_their_counts_in_each_interval(sessions: list[Session]) -> None:
    session = sessions[0]
    plain, shifted = counts_of(session), counts_of(session, shift_seed=3)
    for start, stop in (*session.data.train, *session.data.validation, *session.data.test):
        assert np.array_equal(plain[start:stop].sum(axis=0), shifted[start:stop].sum(axis=0))
        assert not np.array_equal(plain[start:stop], shifted[start:stop])


def test_units_that_do_not_fill_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="choose a divisor"):
        EncoderSpec(tokens=TokenSpec(kind="spikes", patch=7))


def test_sessions_of_one_name_are_refused(sessions: list[Session]) -> None:
    with pytest.raises(InputError, match="each with its own name"):
        Corpus([sessions[0], replace(sessions[1], name="first")], lfp_patch=4)


def test_an_encoder_computes_where_its_parameters_are(sessions: list[Session]) -> None:
    corpus = Corpus(sessions, lfp_patch=4, spike_patch=8)
    index, session = torch.from_numpy(STARTS)[:, None] + torch.arange(20), corpus.session_of(STARTS)
    spikes, lfp = spikes_of(corpus), lfp_of(corpus)
    # "meta" holds no values, but refuses to be mixed with tensors of the CPU.
    for modality, kind, patch in ((spikes, "spikes", 8), (lfp, "lfp", 4)):
        encoder = small(kind, patch, modality.patches).to("meta")
        windows = modality.windows(index, session).to(device_of(encoder))
        assert encoder(windows).device.type == "meta"
        with pytest.raises(RuntimeError, match="meta"):
            encoder(modality.windows(index, session))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_teacher_and_student_train_on_a_gpu_and_come_back_to_the_cpu(
    sessions: list[Session], recipe: CrossModalRecipe, tmp_path: Path
) -> None:
    pretrain(sessions, recipe, tmp_path / "teacher.safetensors")
    distill(sessions, tmp_path / "teacher.safetensors", recipe, tmp_path / "student.safetensors")
    assert device_of(load_student(tmp_path / "student.safetensors")).type == "cpu"


def test_rates_begin_at_their_means(sessions: list[Session], recipe: CrossModalRecipe) -> None:
    corpus = Corpus(sessions, spike_patch=8)
    model = SpikeAutoencoder(recipe.teacher, spikes_of(corpus).patches)
    for name, rates in mean_rates(corpus).items():
        model.start_at(name, rates)
    with torch.no_grad():
        base = model.base_rate(("first",), 2)[0].flatten()[:10].exp()
    np.testing.assert_allclose(base.numpy(), counts_of(sessions[0])[10:1000].mean(axis=0), rtol=1e-5)


def test_frames_differ_to_a_teacher_that_has_not_learned_yet(sessions: list[Session]) -> None:
    encoder, windows = small("spikes", 8, Corpus(sessions, spike_patch=8).spikes.patches), batch(sessions)  # type: ignore[union-attr]
    tokens = encoder.tokens(windows)[0, :, 0]
    constant = tokens.mean(dim=0)
    # With random embeddings of counts, what all frames have in common is above 0.9 of a token's power.
    assert (constant @ constant) / tokens.square().sum(dim=1).mean() < 0.6


def test_views_are_standardised_over_training_frames_of_each_session(
    sessions: list[Session], recipe: CrossModalRecipe
) -> None:
    corpus = Corpus(sessions, spike_patch=8)
    torch.manual_seed(0)
    teacher = SpikeAutoencoder(recipe.teacher, spikes_of(corpus).patches).eval()
    views = teacher_views(teacher, corpus)
    scaled = standardised_views(views, corpus)
    for first, session in zip(corpus.first, sessions, strict=False):
        rows = session.data.rows("train") + int(first)
        np.testing.assert_allclose(scaled[rows].mean(dim=0), 0, atol=1e-4)
        np.testing.assert_allclose(scaled[rows].std(dim=0), 1, atol=1e-4)
    assert not views[1300:1600].any(), "test frames are not looked at"
    assert views[1010:1250].any(dim=1).all()


def test_attention_with_a_locality_looks_at_what_is_near(sessions: list[Session]) -> None:
    shape = TransformerSpec(d_model=16, n_layers=1, n_heads=2, dropout=0.0, locality_frames=(1.0, 2.0))
    torch.manual_seed(0)
    encoder = PatchEncoder(
        EncoderSpec(tokens=TokenSpec(kind="spikes", patch=8), transformer=shape),
        spikes_of(Corpus(sessions, spike_patch=8)).patches,
    ).eval()
    windows = batch(sessions)
    before = encoder(windows)
    values = windows.values.clone()
    values[:, 19] += 3.0
    changes = (encoder(Windows(values, windows.present, windows.sessions)) - before).detach().norm(dim=-1).mean(dim=0)
    # Attention falls by e in 2 frames at most, so over 14 frames by far more than 20, whatever the weights say.
    assert changes[18] > 20 * changes[4]
    with pytest.raises(ValueError, match="one for each"):
        TransformerSpec(d_model=16, n_heads=2, locality_frames=(1.0,))


def test_principal_components_keep_what_neurons_share(sessions: list[Session]) -> None:
    corpus = Corpus(sessions, spike_patch=8)
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((len(corpus.valid), 2)) @ rng.standard_normal((2, 12))
    views = torch.from_numpy(shared + 0.1 * rng.standard_normal(shared.shape)).float()
    kept = principal_views(views, corpus, 2).numpy()
    explained = linear_cka(kept.astype(np.float64), shared)
    assert kept.shape == (len(views), 2)
    assert explained > 0.95
    with pytest.raises(InputError, match="at most as many"):
        principal_views(views, corpus, 13)
