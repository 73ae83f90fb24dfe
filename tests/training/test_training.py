"""Training: resumable to the bit, blind to what it may not see, and in the target's unit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgebci.checkpoint import Checkpoint, load_checkpoint
from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData
from edgebci.errors import InputError
from edgebci.metrics import r2
from edgebci.training.causal_decoder import from_checkpoint, predict
from edgebci.training.distillation import distill
from edgebci.training.masked_autoencoding import train_teacher
from edgebci.training.recipe import Optimiser, RidgeRecipe, StudentRecipe, TeacherRecipe, TrainingRecipe
from edgebci.training.teacher import load_teacher

FAST = {"batch_windows": 4, "window_frames": 64, "save_every_epochs": 2, "warm_up_epochs": 1}
RECIPE = TrainingRecipe(
    threads=1,
    teacher=TeacherRecipe(
        d_model=16, n_layers=1, headdim=16, d_state=4, optimiser=Optimiser(learning_rate=5e-3, epochs=6, **FAST)
    ),
    student=StudentRecipe(burn_in_s=0.2, optimiser=Optimiser(learning_rate=5e-3, epochs=6, **FAST)),
    ridge=RidgeRecipe(lags=3, gap_s=0.5),
)
SPEC = DecoderSpec(
    n_inputs=6, output_names=("vx", "vy"), output_unit="cm/s", d_model=16, n_layers=1, d_state=4, headdim=16
)


def make_data() -> DecodingData:
    """Two slow latents seen by six noisy features; the targets are those latents."""
    rng = np.random.default_rng(0)
    latents = np.zeros((1600, 2))
    for t in range(1, 1600):
        latents[t] = 0.95 * latents[t - 1] + 0.31 * rng.standard_normal(2)
    frames = latents @ rng.standard_normal((2, 6)) + 0.3 * rng.standard_normal((1600, 6))
    targets = 20 + 5 * latents
    return DecodingData(
        frames=frames.astype(np.float32),
        targets=targets.astype(np.float32),
        valid=np.arange(1600) >= 10,
        times_s=np.arange(1600) / 50.0,
        train=((0, 900), (1400, 1600)),
        validation=((950, 1150),),
        test=((1180, 1380),),
        target_names=("vx", "vy"),
        target_unit="cm/s",
    )


@pytest.fixture(scope="module")
def data() -> DecodingData:
    return make_data()


@pytest.fixture(scope="module")
def teacher(data: DecodingData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    train_teacher(data, RECIPE, path)
    return path


@pytest.fixture(scope="module")
def student(data: DecodingData, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return distill(data, teacher, SPEC, RECIPE, tmp_path_factory.mktemp("student") / "student.safetensors")


class Interrupting:
    """A progress listener that presses Ctrl-C after some epochs."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, fraction: float, note: str) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def with_noise_in_test(data: DecodingData) -> DecodingData:
    frames, targets = data.frames.copy(), data.targets.copy()
    rng = np.random.default_rng(9)
    frames[1180:1380] = rng.standard_normal((200, 6)) * 100
    targets[1180:1380] = rng.standard_normal((200, 2)) * 100
    return replace(data, frames=frames, targets=targets)


@pytest.mark.parametrize("epochs", [1, 3, 5])
def test_an_interrupted_teacher_ends_with_the_same_bytes(
    data: DecodingData, teacher: Path, tmp_path: Path, epochs: int
) -> None:
    out = tmp_path / "teacher.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train_teacher(data, RECIPE, out, Interrupting(after=epochs))
    assert not out.exists()
    assert (tmp_path / "teacher.partial.safetensors").exists()
    notes: list[str] = []
    train_teacher(data, RECIPE, out, lambda _, note: notes.append(note))
    assert len(notes) == 6 - epochs, "finished epochs are not run again"
    assert out.read_bytes() == teacher.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["teacher.safetensors"]


def test_an_interrupted_student_ends_with_the_same_bytes(
    data: DecodingData, teacher: Path, student: Checkpoint, tmp_path: Path
) -> None:
    paths = [tmp_path / "whole.safetensors", tmp_path / "interrupted.safetensors"]
    distill(data, teacher, SPEC, RECIPE, paths[0])
    with pytest.raises(KeyboardInterrupt):
        distill(data, teacher, SPEC, RECIPE, paths[1], Interrupting(after=4))
    distill(data, teacher, SPEC, RECIPE, paths[1])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert all((student.parameters[k] == v).all() for k, v in load_checkpoint(paths[0]).parameters.items())


def test_another_recipe_does_not_continue_an_interrupted_run(data: DecodingData, teacher: Path, tmp_path: Path) -> None:
    out = tmp_path / "student.safetensors"
    with pytest.raises(KeyboardInterrupt):
        distill(data, teacher, SPEC, RECIPE, out, Interrupting(after=4))
    notes: list[str] = []
    distill(data, teacher, SPEC, RECIPE.model_copy(update={"seed": 1}), out, lambda _, note: notes.append(note))
    assert notes[0].startswith("epoch 1/6")


def test_noise_in_the_test_intervals_changes_no_byte(data: DecodingData, teacher: Path, tmp_path: Path) -> None:
    noisy = with_noise_in_test(data)
    train_teacher(noisy, RECIPE, tmp_path / "teacher.safetensors")
    assert (tmp_path / "teacher.safetensors").read_bytes() == teacher.read_bytes()
    outs = [tmp_path / "clean.safetensors", tmp_path / "noisy.safetensors"]
    for out, seen in zip(outs, (data, noisy), strict=True):
        distill(seen, teacher, SPEC, RECIPE, out)
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_the_teacher_learns_from_training_intervals_only(data: DecodingData, teacher: Path, tmp_path: Path) -> None:
    frames = data.frames.copy()
    frames[900:1400] *= -3
    train_teacher(replace(data, frames=frames), RECIPE, tmp_path / "teacher.safetensors")
    ours, other = load_teacher(teacher).state_dict(), load_teacher(tmp_path / "teacher.safetensors").state_dict()
    assert all(torch.equal(ours[name], other[name]) for name in ours)


def test_the_student_decodes_in_the_target_unit(data: DecodingData, student: Checkpoint) -> None:
    rows = data.rows("test")
    decoded = predict(from_checkpoint(student), data)[rows].astype(np.float64)
    score = r2(data.targets[rows].astype(np.float64), decoded)
    assert score.min() > 0.5, "the targets have mean 20 to 25: without unit or mean, R2 would be far below 0"
    assert student.training.validation_r2 is not None


def test_the_recorded_validation_r2_is_that_of_the_saved_decoder(data: DecodingData, student: Checkpoint) -> None:
    start, stop = data.validation[0]
    decoded = from_checkpoint(student).stream(torch.from_numpy(data.frames[start:stop]))[10:].numpy()
    score = r2(data.targets[start + 10 : stop].astype(np.float64), decoded.astype(np.float64)).mean()
    assert score == pytest.approx(student.training.validation_r2, abs=1e-5)  # the scale is folded in, in float32


def test_torch_and_numpy_decode_alike(data: DecodingData, student: Checkpoint) -> None:
    reference = FloatDecoder.of(student.spec, student.parameters).stream(data.frames)
    # Float32 against float64 through one layer, outputs of about 20.
    np.testing.assert_allclose(predict(from_checkpoint(student), data), reference, rtol=1e-4, atol=1e-3)


def test_a_reset_starts_the_stream_anew(data: DecodingData, student: Checkpoint) -> None:
    decoder = from_checkpoint(student)
    reset = predict(decoder, replace(data, reset_before=np.arange(1600) == 700))
    np.testing.assert_array_equal(reset[700:], decoder.stream(torch.from_numpy(data.frames[700:])).numpy())
    np.testing.assert_array_equal(reset[:700], predict(decoder, data)[:700])


def test_a_student_without_teacher_and_one_that_rebuilds_frames_train_too(data: DecodingData, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(
        update={"student": RECIPE.student.model_copy(update={"reconstruction_weight": 0.1, "ridge_weight": 0.0})}
    )
    notes: list[str] = []
    checkpoint = distill(data, None, SPEC, recipe, tmp_path / "s.safetensors", lambda _, note: notes.append(note))
    assert checkpoint.training.teacher_sha256 is None
    assert "reconstruction" in notes[0]
    assert "alignment" not in notes[0]
    assert "ridge" not in notes[0]


def test_the_record_names_everything_that_the_result_depends_on(data: DecodingData, student: Checkpoint) -> None:
    record = student.training
    assert TrainingRecipe.model_validate(record.recipe) == RECIPE
    assert record.data_sha256 == {part: data.fingerprint(part) for part in ("train", "validation")}
    assert record.teacher_sha256
    assert record.frame_rate_hz == pytest.approx(50.0)


def test_torch_is_left_as_it_was(data: DecodingData, tmp_path: Path) -> None:
    before = torch.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    train_teacher(data, RECIPE, tmp_path / "teacher.safetensors")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before[1:]


def test_too_few_training_frames_and_a_constant_target_are_refused(data: DecodingData, tmp_path: Path) -> None:
    out = tmp_path / "student.safetensors"
    with pytest.raises(InputError, match="hold 3 windows of 64 mostly valid frames where at least 4"):
        distill(replace(data, train=((0, 200),)), None, SPEC, RECIPE, out)
    targets = data.targets.copy()
    targets[:, 1] = 3
    with pytest.raises(InputError, match="'vy' is constant"):
        distill(replace(data, targets=targets), None, SPEC, RECIPE, out)
    with pytest.raises(InputError, match="validation intervals hold 20 frames"):
        distill(replace(data, validation=((950, 980),)), None, SPEC, RECIPE, out)


def test_a_decoder_of_other_sizes_than_the_data_is_refused(data: DecodingData, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"n_inputs": 7})
    with pytest.raises(InputError, match="6 features and 2 target axes, the decoder"):
        distill(data, None, spec, RECIPE, tmp_path / "student.safetensors")


def test_bf16_trains_float32_weights_that_end_close_to_those_of_float32(
    data: DecodingData, teacher: Path, student: Checkpoint, tmp_path: Path
) -> None:
    low = RECIPE.student.optimiser.model_copy(update={"precision": "bf16"})
    recipe = RECIPE.model_copy(update={"student": RECIPE.student.model_copy(update={"optimiser": low})})
    found = distill(data, teacher, SPEC, recipe, tmp_path / "student.safetensors")
    assert all(value.dtype == np.float32 for value in found.parameters.values())
    assert any((value != found.parameters[name]).any() for name, value in student.parameters.items())
    assert TrainingRecipe.model_validate(found.training.recipe).student.optimiser.precision == "bf16"
    # Products are rounded to 8 bits, which a loss of 150 noisy windows hardly notices.
    assert found.training.validation_r2 == pytest.approx(student.training.validation_r2, abs=0.02)
