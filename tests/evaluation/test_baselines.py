"""Baselines: causal, the same in a stream as in a batch, of the size that was asked for, and blind to the test part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData
from edgebci.detection import auroc
from edgebci.errors import InputError
from edgebci.metrics import r2
from edgebci.training.baselines.baseline import Baseline
from edgebci.training.baselines.kalman import KalmanFilter, fit_kalman
from edgebci.training.baselines.linear import LinearBaseline
from edgebci.training.baselines.logistic import fit_logistic
from edgebci.training.baselines.networks import PARTIAL_NAME, train_network
from edgebci.training.baselines.recipe import GruRecipe, KalmanRecipe, TransformerRecipe
from edgebci.training.baselines.sizes import Shape, gru_shape, transformer_shape
from edgebci.training.causal_decoder import from_checkpoint, predict
from edgebci.training.distillation import distill
from edgebci.training.recipe import TrainingRecipe
from edgebci.training.ridge import fit_ridge

SPEC = DecoderSpec(
    n_inputs=8, output_names=("x", "y"), output_unit="cm/s", d_model=16, n_layers=1, d_state=4, headdim=16
)
BUDGET = 1200
KINDS = ("gru", "transformer")


def shape_of(kind: str, data: DecodingData, parameters: int) -> Shape:
    if kind == "gru":
        return gru_shape(data, GruRecipe(), parameters)
    return transformer_shape(data, TransformerRecipe(context_s=0.2, n_heads=2), parameters)


@pytest.mark.parametrize("network", KINDS)
@pytest.mark.parametrize("parameters", [2500, 20_000, 100_000])
def test_a_network_has_the_parameters_that_were_asked_for(
    network: str, parameters: int, following: DecodingData
) -> None:
    shape = shape_of(network, following, parameters)
    built = sum(p.numel() for p in shape.build(0.0).parameters())
    assert built == shape.costs.parameters
    assert abs(built - parameters) <= 0.02 * parameters


@pytest.mark.parametrize("network", KINDS)
def test_a_network_keeps_as_many_bytes_as_it_says(network: str, following: DecodingData) -> None:
    shape = shape_of(network, following, BUDGET)
    tensors = [t for state in shape.build(0.0).initial_states(1) for t in state if t.dim()]
    assert sum(t.numel() * 4 for t in tensors) == shape.costs.state_bytes


@pytest.mark.parametrize("network", KINDS)
@torch.no_grad()
def test_a_stream_gives_what_a_batch_gives_however_it_is_cut(network: str, following: DecodingData) -> None:
    torch.manual_seed(0)
    model = shape_of(network, following, BUDGET).build(0.0).double().eval()
    frames = torch.from_numpy(following.frames[None, :100]).double()
    whole, _ = model.scan(frames, model.initial_states(1))
    by_step, states = (
        [],
        [type(s)(*(t.double() if t.is_floating_point() else t for t in s)) for s in model.initial_states(1)],
    )
    pieces, cut_states = [], list(states)
    for t in range(100):
        output, states = model.step(frames[:, t], states)
        by_step.append(output)
    for piece in torch.split(frames, [1, 6, 40, 53], dim=1):
        output, cut_states = model.scan(piece, cut_states)
        pieces.append(output)
    # float64: sums of a hundred terms in another order.
    torch.testing.assert_close(torch.stack(by_step, dim=1), whole, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_a_transformer_forgets_what_is_older_than_its_context(following: DecodingData) -> None:
    network = shape_of("transformer", following, BUDGET).build(0.0).eval()
    frames = torch.from_numpy(following.frames[:80].copy())
    changed = frames.clone()
    changed[:10] += 1.0
    reach = 2 * (10 - 1)  # two layers, ten frames each, their own included
    difference = (network.stream(frames) - network.stream(changed)).abs().amax(dim=1)
    assert difference[9 + reach] > 0
    assert difference[10 + reach :].max() == 0


def kalman(data: DecodingData) -> KalmanFilter:
    return fit_kalman(data, KalmanRecipe())


def test_the_kalman_filter_steps_as_it_streams(following: DecodingData) -> None:
    filter_ = kalman(following)
    state = np.zeros(len(filter_.transition))
    decoded = filter_.predict_stream(following.frames[:50])
    for k in range(50):
        output, state = filter_.step(following.frames[k], state)
        np.testing.assert_allclose(decoded[k], output, rtol=1e-5)


def test_the_textbook_kalman_filter_finds_the_gain_that_is_optimal_for_its_own_model() -> None:
    """White noise on an autoregressive latent: no linear filter has a smaller error, Wiener's of many lags included."""
    rng = np.random.default_rng(1)
    x = np.zeros((20_000, 1))
    for t in range(1, len(x)):
        x[t] = 0.95 * x[t - 1] + 0.3 * rng.standard_normal(1)
    y = x @ np.array([[1.0, -0.5, 0.8]]) + rng.standard_normal((len(x), 3))
    data = DecodingData(
        y.astype(np.float32), x.astype(np.float32), np.ones(len(x), dtype=bool), np.arange(len(x)) / 50.0,
        ((0, 8000),), ((8000, 10_000),), ((10_000, 20_000),), ("x",), "cm",
    )  # fmt: skip
    filter_ = fit_kalman(data, KalmanRecipe(orders=(1,), shrinkages=(0.0,), noise_factors=(1.0,)))
    p = 1.0
    for _ in range(1000):
        prior = 0.95**2 * p + 0.09
        p = 1 / (1 / prior + (1.0 + 0.25 + 0.64))
    # Estimated from 8000 frames: a few per cent.
    assert filter_.transition[0, 0] == pytest.approx((1 - p * 1.89) * 0.95, rel=0.05)
    error = np.mean((filter_.predict(data)[10_000:] - x[10_000:]) ** 2)
    assert error == pytest.approx(p, rel=0.05)


def test_no_validation_no_choice(following: DecodingData) -> None:
    with pytest.raises(InputError, match="chosen on validation"):
        kalman(replace(following, validation=()))


def logistic(data: DecodingData, recipe: TrainingRecipe) -> LinearBaseline:
    return LinearBaseline(fit_logistic(data, recipe.ridge))


def test_logistic_regression_gives_the_odds_of_an_event(detecting: DecodingData, quick_recipe: TrainingRecipe) -> None:
    decoded = logistic(detecting, quick_recipe).predict(detecting)
    rows = detecting.rows("test")
    probability, inside = 1 / (1 + np.exp(-decoded[rows, 0])), detecting.targets[rows, 0] > 0
    assert auroc(inside, decoded[rows, 0].astype(np.float64)) > 0.85
    likely = probability > 0.5
    # Calibrated: what is called likely happens about as often as it says.
    assert inside[likely].mean() == pytest.approx(probability[likely].mean(), abs=0.15)


def test_a_logistic_fit_has_no_slope_left(detecting: DecodingData, quick_recipe: TrainingRecipe) -> None:
    """At the minimum the mean of probability - event is zero: the bias is not punished."""
    decoded = logistic(detecting, quick_recipe).predict(detecting)
    rows = detecting.rows("train")
    rows = rows[(rows >= 490) | ((rows >= 20) & (rows < 480))]  # whose lags are there
    probability = 1 / (1 + np.exp(-decoded[rows].astype(np.float64)))
    assert probability.mean() == pytest.approx(detecting.targets[rows].mean(), abs=5e-3)


def test_each_baseline_is_for_its_own_task(
    following: DecodingData, detecting: DecodingData, quick_recipe: TrainingRecipe
) -> None:
    with pytest.raises(InputError, match="detects nothing"):
        kalman(detecting)
    with pytest.raises(InputError, match="follows no quantity"):
        logistic(following, quick_recipe)


def fit(kind: str, data: DecodingData, recipe: TrainingRecipe, folder: Path) -> Baseline:
    if kind == "ridge":
        return LinearBaseline(fit_ridge(data, recipe.ridge))
    if kind == "kalman":
        return kalman(data)
    return train_network(data, shape_of(kind, data, BUDGET), SPEC, recipe, folder)


@pytest.fixture(scope="module", params=["ridge", "kalman", *KINDS])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted(
    kind: str, following: DecodingData, quick_recipe: TrainingRecipe, tmp_path_factory: pytest.TempPathFactory
) -> Baseline:
    return fit(kind, following, quick_recipe, tmp_path_factory.mktemp(kind))


def test_a_baseline_decodes(fitted: Baseline, following: DecodingData) -> None:
    rows = following.rows("test")
    decoded = fitted.predict(following)[rows].astype(np.float64)
    assert r2(following.targets[rows].astype(np.float64), decoded).mean() > 0.5


def test_a_baseline_knows_nothing_of_test_and_future_and_resumes_to_the_same_bits(
    kind: str, fitted: Baseline, following: DecodingData, quick_recipe: TrainingRecipe, tmp_path: Path
) -> None:
    """Fitted again where the test part is noise, and, if it is trained at all, with an interruption."""

    def stop(fraction: float, _note: str) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt

    test = slice(following.test[0][0], None)
    frames, targets = following.frames.copy(), following.targets.copy()
    frames[test], targets[test] = 7.0, -1.0
    blind = replace(following, frames=frames, targets=targets)
    if kind in KINDS:
        with pytest.raises(KeyboardInterrupt):
            train_network(blind, shape_of(kind, blind, BUDGET), SPEC, quick_recipe, tmp_path, stop)
        assert (tmp_path / PARTIAL_NAME).exists()
    again = fit(kind, blind, quick_recipe, tmp_path).predict(blind)
    before = slice(0, test.start)
    np.testing.assert_array_equal(again[before], fitted.predict(following)[before])


def test_a_baseline_begins_anew_where_the_front_end_did(fitted: Baseline, following: DecodingData) -> None:
    assert following.reset_before is not None
    reset = int(np.flatnonzero(following.reset_before)[0])
    frames = following.frames.copy()
    frames[:reset] = 0.0
    decoded, other = (fitted.predict(data) for data in (following, replace(following, frames=frames)))
    np.testing.assert_array_equal(decoded[reset:], other[reset:])
    assert np.abs(decoded[:reset] - other[:reset]).max() > 0


@pytest.mark.parametrize("network", KINDS)
def test_networks_detect(network: str, detecting: DecodingData, quick_recipe: TrainingRecipe, tmp_path: Path) -> None:
    trained = train_network(detecting, shape_of(network, detecting, BUDGET), SPEC, quick_recipe, tmp_path)
    rows = detecting.rows("test")
    given = trained.predict(detecting)[rows, 0].astype(np.float64)
    assert auroc(detecting.targets[rows, 0] > 0, given) > 0.8


def test_a_student_detects(detecting: DecodingData, quick_recipe: TrainingRecipe, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"output_names": ("high",), "output_unit": "log odds"})
    checkpoint = distill(detecting, None, spec, quick_recipe, tmp_path / "student.safetensors")
    rows = detecting.rows("test")
    given = predict(from_checkpoint(checkpoint), detecting)[rows, 0].astype(np.float64)
    assert auroc(detecting.targets[rows, 0] > 0, given) > 0.8
    # Trained by cross-entropy, so outputs are log odds and no longer near 0 and 1.
    assert given.min() < -1
    best = checkpoint.training.validation_r2
    assert best is not None
    assert 0.8 < best <= 1


def test_an_impossible_budget_is_refused(following: DecodingData) -> None:
    with pytest.raises(InputError, match="take a larger student"):
        shape_of("transformer", following, 40)
