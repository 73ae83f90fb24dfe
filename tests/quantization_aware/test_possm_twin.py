"""The twin of POSSM's step computes what the bit-exact reference computes, and learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.checkpoint import TrainingRecord
from edgebci.decoding_data import Part
from edgebci.errors import InputError
from edgebci.example_decoder import draw_parameters
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.possm_step import quantize_possm
from edgebci.operators.token_attention import Tokens
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import Backbone, PossmCheckpoint, load_possm_step
from edgebci.possm_stream import ChunkStream, FloatPossmStream
from edgebci.training.quantization_aware.learning import integers_path, train_possm_quantization_aware
from edgebci.training.quantization_aware.possm_twin import PossmTwin
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.recipe import Optimiser
from tests.small_specs import small_spike_decoder

BACKBONES: tuple[Backbone, ...] = ("gru", "mamba2", "s4d")
N_CHUNKS = 240


@pytest.fixture(scope="module")
def chunks() -> Tokens:
    """(240, 8, 2), from one spike to eight."""
    rng = np.random.default_rng(5)
    made = np.stack([rng.integers(1, 7, (N_CHUNKS, 8)), rng.integers(0, 2, (N_CHUNKS, 8))], axis=-1).astype(np.int32)
    made[np.arange(8) >= rng.integers(1, 9, N_CHUNKS)[:, None]] = (-1, 0)
    return made


def made(backbone: Backbone, chunks: Tokens) -> tuple[dict[str, F32], QuantizedPossmStep]:
    spec = small_spike_decoder(backbone, n_units=6, n_time_steps=2, max_tokens=8)
    parameters = draw_parameters(spec.parameter_shapes(), 1)
    return parameters, quantize_possm(spec, parameters, chunks)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_count_is_that_of_the_reference_but_at_ties(backbone: Backbone, chunks: Tokens) -> None:
    parameters, step = made(backbone, chunks)
    twin = PossmTwin.of(parameters, step)
    seen: dict[str, list[NDArray[Any]]] = {}
    outputs = step.stream(chunks, tap=lambda name, values: seen.setdefault(name, []).append(values.copy()))
    wanted = {name: np.concatenate(parts) for name, parts in seen.items()}
    before = {
        name: torch.from_numpy(np.concatenate([np.zeros_like(wanted[f"{name}.next"][:1]), wanted[f"{name}.next"][:-1]]))
        for name in step.spec.state_shapes()
    }
    found: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        states = {name: values.float() for name, values in before.items()}
        decoded, _ = twin.run(torch.from_numpy(chunks)[:, None], states, tap=found.__setitem__)
    shown = {name for name in wanted if name != "memory.next"}
    assert found.keys() == shown
    clean = np.ones(N_CHUNKS, bool)
    for name in found:  # in the order of computation
        different = np.abs(found[name][:, 0].numpy().astype(np.int64) - wanted[name].astype(np.int64))
        different = different.reshape(N_CHUNKS, -1)
        # exp, silu and sums of floats are torch's: a value so near a tie goes to the other side, seldom.
        assert different[clean].max() <= 1, name
        assert (different[clean] > 0).mean() <= 1e-3, name
        clean &= ~different.any(axis=1)
    assert clean.mean() >= 0.9
    said = decoded[:, 0].numpy()
    np.testing.assert_allclose(said[clean], outputs[clean], rtol=0, atol=1e-5 * np.abs(outputs).max())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_before_an_update_it_gives_back_the_step_that_it_began_as(backbone: Backbone, chunks: Tokens) -> None:
    parameters, step = made(backbone, chunks)
    twin = PossmTwin.of(parameters, step)
    again, wanted = twin.quantized().tensors(), step.tensors()
    assert again.keys() == wanted.keys()
    for name, values in wanted.items():
        assert again[name].dtype == values.dtype, name
        # What S4D's kernel is made of is computed in torch here, in NumPy there: the last place may differ.
        np.testing.assert_allclose(again[name], values, rtol=2.5e-7 if values.dtype == np.float32 else 0, err_msg=name)
    for name, weights in twin.parameters_by_name().items():
        np.testing.assert_array_equal(weights, parameters[name], err_msg=name)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_windows_that_follow_each_other_are_the_stream(backbone: Backbone, chunks: Tokens) -> None:
    parameters, step = made(backbone, chunks)
    twin, spikes = PossmTwin.of(parameters, step), torch.from_numpy(chunks)[None, :90]
    with torch.no_grad():
        whole, after = twin.run(spikes, twin.initial_states(1))
        first, states = twin.run(spikes[:, :37], twin.initial_states(1))
        second, last = twin.run(spikes[:, 37:], states)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=0, atol=0)
    assert all(torch.equal(last[name], after[name]) for name in after)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_weight_and_step_of_the_twin_feels_the_loss(backbone: Backbone, chunks: Tokens) -> None:
    parameters, step = made(backbone, chunks)
    twin = PossmTwin.of(parameters, step)
    said, _ = twin.run(torch.from_numpy(chunks)[None, :60], twin.initial_states(1))
    said.square().sum().backward()  # type: ignore[no-untyped-call]
    untouched = [name for name, value in twin.named_parameters() if value.grad is None or not value.grad.any()]
    assert not untouched


def test_training_in_the_integers_brings_a_coarse_step_nearer_to_its_float_form(chunks: Tokens, tmp_path: Path) -> None:
    spec = small_spike_decoder("gru", n_units=6, n_time_steps=2, max_tokens=8)
    parameters = draw_parameters(spec.parameter_shapes(), 1)
    record = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=20.0, epochs_run=1, best_epoch=1, versions={})
    floating = FloatPossmStream.of(spec, parameters)
    cut: dict[Part, Tokens] = {"train": chunks[:160], "validation": chunks[160:]}
    parts = {name: ChunkStream(of, np.arange(len(of)) == 0, floating.stream(of)) for name, of in cut.items()}
    # Four bits lose much, so that a few updates must show.
    names = ("encoder.up", "encoder.down", "context", "decoder.up", "decoder.down", "readout")
    coarse = quantize_possm(spec, parameters, chunks[:160], QuantizationRecipe(widths=dict.fromkeys(names, 4)))
    recipe = QuantizationAwareRecipe(
        burn_in_frames=2,
        patience_epochs=4,
        optimiser=Optimiser(
            learning_rate=2e-3, weight_decay=0.0, warm_up_epochs=1, epochs=4, batch_windows=2, window_frames=16
        ),
    )
    out = tmp_path / "step.safetensors"
    found = train_possm_quantization_aware(parts, PossmCheckpoint(spec, parameters, record), coarse, recipe, out)
    said = floating.stream(chunks[160:])

    def missed(step: QuantizedPossmStep) -> float:
        return float(np.square(step.stream(chunks[160:]) - said).mean())

    assert missed(found.step) < 0.9 * missed(coarse)
    again = QuantizedPossmStep.load(integers_path(out))
    np.testing.assert_array_equal(again.stream(chunks), found.step.stream(chunks))
    assert load_possm_step(out).training.best_epoch == found.checkpoint.training.best_epoch > 0
    other = PossmCheckpoint(spec.model_copy(update={"n_units": 7}), parameters, record)
    with pytest.raises(InputError, match="has other sizes than the checkpoint"):
        train_possm_quantization_aware(parts, other, coarse, recipe, tmp_path / "no.safetensors")
    silent_parts = {name: replace(stream, truth=None) for name, stream in parts.items()}
    with pytest.raises(InputError, match="chunks without behaviour"):
        train_possm_quantization_aware(silent_parts, found.checkpoint, coarse, recipe, tmp_path / "no.safetensors")
