"""Quantization-aware training: what it sees, what it gives, and that it goes on where it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from edgebci.checkpoint import load_checkpoint
from edgebci.errors import InputError
from edgebci.metrics import r2
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.training.quantization_aware.learner import CarriedStates
from edgebci.training.quantization_aware.learning import integers_path, train_quantization_aware
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.quantization_aware.twin import QuantizedTwin
from edgebci.training.recipe import Optimiser
from tests.quantization_aware.conftest import N_TRAIN, N_VALIDATION, Example, example


def recipe_of(epochs: int, **changes: float) -> QuantizationAwareRecipe:
    optimiser = Optimiser(
        learning_rate=1e-3, weight_decay=0.0, warm_up_epochs=0, epochs=epochs, batch_windows=4, window_frames=32
    )
    return QuantizationAwareRecipe.model_validate(
        {"optimiser": optimiser.model_copy(update={"save_every_epochs": 1}), "patience_epochs": 50, **changes}
    )


def agreement(decoder: QuantizedDecoder, one: Example, rows: slice) -> float:
    """R2 of the integers to the float student on frames from `rows`, from zero states."""
    said = decoder.stream(one.frames[rows]).astype(np.float64)
    return float(r2(one.floating.stream(one.frames[rows]), said).mean())


def test_training_in_int4_recovers_a_part_of_what_rounding_to_int4_lost(any_cell: Example, tmp_path: Path) -> None:
    one = example(any_cell.spec.cell, weight_bits=4, tokenizer=any_cell.spec.tokenizer)
    trained = train_quantization_aware(one.data, one.checkpoint, one.decoder, recipe_of(16), tmp_path / "s.safetensors")
    test = slice(N_TRAIN + N_VALIDATION, None)
    lost_before = 1 - agreement(one.decoder, one, test)
    lost_after = 1 - agreement(trained.decoder, one, test)
    # Measured: 0.18 to 0.56 of the loss is left on frames that neither training nor the choice of epoch saw. On some
    # processors, which sum in another order, 8 epochs had found nothing better than the start.
    assert lost_after < 0.8 * lost_before


def test_what_is_written_is_what_is_returned(any_cell: Example, tmp_path: Path) -> None:
    out = tmp_path / "student.safetensors"
    trained = train_quantization_aware(any_cell.data, any_cell.checkpoint, any_cell.decoder, recipe_of(1), out)
    read = QuantizedDecoder.load(integers_path(out))
    assert read.initial_states().keys() == any_cell.decoder.initial_states().keys()
    for name, values in trained.decoder.tensors().items():
        np.testing.assert_array_equal(read.tensors()[name], values)
    for name, values in trained.checkpoint.parameters.items():
        np.testing.assert_array_equal(load_checkpoint(out).parameters[name], values)
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_an_interrupted_training_ends_with_the_same_bits(tmp_path: Path) -> None:
    one, recipe = example("mamba2", weight_bits=4), recipe_of(3)
    whole = train_quantization_aware(one.data, one.checkpoint, one.decoder, recipe, tmp_path / "whole.safetensors")

    def stop(_: float, note: str) -> None:
        if note.startswith("epoch 2/"):
            raise KeyboardInterrupt

    out = tmp_path / "parts.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train_quantization_aware(one.data, one.checkpoint, one.decoder, recipe, out, stop)
    assert not out.exists()
    rest = train_quantization_aware(one.data, one.checkpoint, one.decoder, recipe, out)
    for name, values in whole.decoder.tensors().items():
        np.testing.assert_array_equal(rest.decoder.tensors()[name], values)


def test_frames_and_targets_of_the_test_part_change_nothing(tmp_path: Path) -> None:
    one = example("s4d", weight_bits=4)
    noise = np.random.default_rng(9003)
    frames, targets, hidden = one.frames.copy(), one.data.targets.copy(), slice(N_TRAIN + N_VALIDATION, None)
    frames[hidden] = noise.standard_normal(frames[hidden].shape)
    targets[hidden] = noise.standard_normal(targets[hidden].shape)
    other = dataclasses.replace(one.data, frames=frames, targets=targets)
    ours, theirs = (
        train_quantization_aware(data, one.checkpoint, one.decoder, recipe_of(2), tmp_path / f"{i}.safetensors")
        for i, data in enumerate((one.data, other))
    )
    for name, values in ours.decoder.tensors().items():
        np.testing.assert_array_equal(theirs.decoder.tensors()[name], values)


def test_where_no_epoch_is_better_on_validation_the_start_comes_out(tmp_path: Path) -> None:
    one = example("mamba2")
    wild = recipe_of(1)
    wild = wild.model_copy(update={"optimiser": wild.optimiser.model_copy(update={"learning_rate": 0.3})})
    trained = train_quantization_aware(one.data, one.checkpoint, one.decoder, wild, tmp_path / "s.safetensors")
    assert trained.checkpoint.training.best_epoch == 0
    for name, values in one.decoder.tensors().items():
        np.testing.assert_array_equal(trained.decoder.tensors()[name], values)


def test_states_are_carried_into_a_window_as_the_stream_leaves_them(any_cell: Example) -> None:
    carried = CarriedStates(any_cell.floating, any_cell.data)
    starts = np.array([400, 3, 0, 256])
    carried.begin(starts)
    found = carried.at(starts)
    for row, start in enumerate(starts):
        states = any_cell.floating.initial_states()
        if start:
            _, states = any_cell.floating.run(any_cell.frames[:start], states)
        for name, values in states.items():
            # Sums over other stretches of time have another order: float64.
            np.testing.assert_allclose(found[name][row], values, rtol=1e-9, atol=1e-12)


def test_a_task_weight_makes_the_target_the_score(tmp_path: Path) -> None:
    one, notes = example("gru"), []
    recipe = recipe_of(1, task_weight=1.0)
    train_quantization_aware(
        one.data, one.checkpoint, one.decoder, recipe, tmp_path / "s.safetensors", lambda _, note: notes.append(note)
    )
    assert any("task" in note and "validation R2 of the integers" in note for note in notes)


def test_bad_input_is_refused_in_a_sentence(tmp_path: Path) -> None:
    one, other = example("mamba2"), example("s4d")
    out, recipe = tmp_path / "s.safetensors", recipe_of(1)
    with pytest.raises(InputError, match="other sizes"):
        train_quantization_aware(one.data, one.checkpoint, other.decoder, recipe, out)
    narrow = dataclasses.replace(one.data, frames=one.frames[:, :4])
    with pytest.raises(InputError, match="4 features"):
        train_quantization_aware(narrow, one.checkpoint, one.decoder, recipe, out)
    short = dataclasses.replace(one.data, validation=((N_TRAIN, N_TRAIN + 10),))
    with pytest.raises(InputError, match="10 frames to score"):
        train_quantization_aware(short, one.checkpoint, one.decoder, recipe, out)
    with pytest.raises(ValueError, match="both 0"):
        QuantizationAwareRecipe(distillation_weight=0.0)
    with pytest.raises(ValueError, match="burn-in of 64"):
        QuantizationAwareRecipe(burn_in_frames=64)
    assert list(tmp_path.iterdir()) == []


def test_after_the_burn_in_a_window_decodes_as_if_its_stream_had_begun_at_power_on(any_cell: Example) -> None:
    carried, length = CarriedStates(any_cell.floating, any_cell.data), 64
    starts = np.array([100, 250, 400])
    carried.begin(starts)
    twin = QuantizedTwin.of(any_cell.checkpoint.parameters, any_cell.decoder)
    rows = starts[:, None] + np.arange(length)
    with torch.no_grad():
        states = twin.quantized_states(carried.at(starts))
        decoded = twin.run(torch.from_numpy(any_cell.frames[rows]), states)[0].numpy()
    after = slice(QuantizationAwareRecipe().burn_in_frames, None)
    wanted = any_cell.decoder.stream(any_cell.frames)[rows][:, after]
    exact = any_cell.floating.stream(any_cell.frames)[rows][:, after]
    carrying = np.sqrt(np.mean((decoded[:, after] - wanted) ** 2))
    rounding = np.sqrt(np.mean((exact - wanted) ** 2))
    # What is carried in float and rounded once differs from counts that ran from power-on by less than rounding does.
    # Measured: 0.17 (gru) to 0.69 (s4d) of it.
    assert carrying < 0.9 * rounding
