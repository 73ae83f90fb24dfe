"""A decoder trained on one day of a subject, calibrated on another day of the same subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from edgebci.checkpoint import Checkpoint, load_checkpoint
from edgebci.cli.calibrate import calibrate as calibrate_command
from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import DecodingData
from edgebci.detection import auroc
from edgebci.documents import load_json
from edgebci.errors import InputError
from edgebci.export.quantization import quantize
from edgebci.features.front_end import FrontEnd
from edgebci.metrics import F64, r2
from edgebci.pipeline.evaluation.calibration import Order, calibrate
from edgebci.pipeline.evaluation.calibration_result import Calibration
from edgebci.pipeline.evaluation.configuration import load_evaluation
from edgebci.pipeline.sessions import load_session, obtain_session
from edgebci.progress import silent
from edgebci.recordings import open_recording
from edgebci.synthetic import synthesize
from edgebci.training.causal_decoder import from_checkpoint, predict
from edgebci.training.distillation import distill
from edgebci.training.recalibration import refit_readout
from edgebci.training.recipe import Optimiser, RidgeRecipe, TrainingRecipe

SPEC = DecoderSpec(
    n_inputs=8, output_names=("x", "y"), output_unit="cm/s", d_model=16, n_layers=1, d_state=4, headdim=16
)
RIDGE = RidgeRecipe(folds=3, gap_s=0.5)


@pytest.fixture(scope="module")
def student(
    following: DecodingData, quick_recipe: TrainingRecipe, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    return distill(following, None, SPEC, quick_recipe, tmp_path_factory.mktemp("student") / "student.safetensors")


def rotated(data: DecodingData, degrees: float) -> DecodingData:
    """Another day: what the brain does means another direction, and channels have other gains."""
    turn = np.deg2rad(degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], dtype=np.float32)
    return replace(data, targets=(data.targets - 20) @ rotation + 25)


def accuracy(checkpoint: Checkpoint, data: DecodingData) -> F64:
    rows = data.rows("test")
    decoded = predict(from_checkpoint(checkpoint), data)
    return r2(data.targets[rows].astype(np.float64), decoded[rows].astype(np.float64))


def test_a_readout_that_was_refitted_follows_what_turned(student: Checkpoint, following: DecodingData) -> None:
    other_day = rotated(following, 40.0)
    before, after = (accuracy(c, other_day) for c in (student, refit_readout(student, other_day, RIDGE)))
    assert before.max() < 0.2
    # All that was lost comes back: nothing but the readout changed.
    assert after.mean() > accuracy(student, following).mean() - 0.05


def test_only_the_readout_changes_and_the_record_says_how(student: Checkpoint, following: DecodingData) -> None:
    other_day = rotated(following, 40.0)
    calibrated = refit_readout(student, other_day, RIDGE)
    changed = {n for n, value in student.parameters.items() if not np.array_equal(value, calibrated.parameters[n])}
    assert changed == {"readout.weight", "readout.bias"}
    assert calibrated.spec == student.spec
    record = calibrated.training
    assert record.data_sha256["train"] == student.training.data_sha256["train"]
    assert record.data_sha256["calibration"] == other_day.fingerprint("train", "validation")
    assert "calibration" in record.recipe


def test_an_overwhelming_penalty_leaves_the_old_weights(student: Checkpoint, following: DecodingData) -> None:
    stiff = RIDGE.model_copy(update={"lambdas": (1e9,)})
    calibrated = refit_readout(student, rotated(following, 40.0), stiff)
    old, new = student.parameters["readout.weight"], calibrated.parameters["readout.weight"]
    np.testing.assert_allclose(new, old, atol=1e-5 * float(np.abs(old).max()))


def test_calibration_sees_nothing_of_the_test_part(student: Checkpoint, following: DecodingData) -> None:
    noise = following.targets.copy()
    noise[following.rows("test")] = -3.0
    frames = following.frames.copy()
    frames[following.test[0][0] :] = 5.0
    one = refit_readout(student, following, RIDGE)
    other = refit_readout(student, replace(following, targets=noise, frames=frames), RIDGE)
    np.testing.assert_array_equal(one.parameters["readout.weight"], other.parameters["readout.weight"])


def test_a_detector_is_calibrated_too(detecting: DecodingData, quick_recipe: TrainingRecipe, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"output_names": ("high",), "output_unit": "log odds"})
    detector = distill(detecting, None, spec, quick_recipe, tmp_path / "detector.safetensors")
    # On the other day another direction of the features is what counts.
    frames = detecting.frames[:, ::-1].copy()
    other_day, rows = replace(detecting, frames=frames), detecting.rows("test")
    inside = detecting.targets[rows, 0] > 0
    before, after = (
        auroc(inside, predict(from_checkpoint(c), other_day)[rows, 0].astype(np.float64))
        for c in (detector, refit_readout(detector, other_day, RIDGE))
    )
    assert after > before + 0.05


@pytest.fixture(scope="module")
def days(following_toml: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Day 1 prepared and learned from; days 1 and 2 as recordings. The array drifts as much as arrays may."""
    root = tmp_path_factory.mktemp("days")
    text = following_toml.read_text().replace("rate_hz = 500\npop", LIVELY + "pop", 1)
    (root / "day.toml").write_text(text)
    config = load_evaluation(root / "day.toml")
    source = config.recording.synthetic
    assert source is not None
    for session in (1, 2):
        synthesize(source.model_copy(update={"session": session}), root / f"day{session}.h5")
    data = obtain_session(config.preparation, root, "prepared", None, silent).data
    optimiser = Optimiser(learning_rate=5e-3, epochs=15, window_frames=64, batch_windows=4, warm_up_epochs=1)
    student = config.training.student.model_copy(update={"optimiser": optimiser, "alignment_weight": 0.0})
    recipe = config.training.model_copy(update={"student": student})
    spec = config.student.decoder_spec(data.frames.shape[1], data.target_names, data.target_unit)
    distill(data, None, spec, recipe, root / "decoder.safetensors")
    return {name: root / name for name in ("prepared", "day1.h5", "day2.h5", "decoder.safetensors", "day.toml")}


LIVELY = """rate_hz = 500
electrodes = { gain_cv = [0.6, 0.8] }
behavior = { work_s = [200.0, 300.0], rest_s = [30.0, 31.0] }
"""


def order(days: dict[str, Path], **changes: object) -> Order:
    known = {
        "checkpoint": days["decoder.safetensors"],
        "front_end": days["prepared"],
        "target": "velocity",
        "calibration_s": 60.0,
        "ridge": RIDGE,
    }
    return Order.model_validate(known | changes)


@pytest.fixture(scope="module")
def found(days: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Calibration, Path]:
    out = tmp_path_factory.mktemp("calibrated")
    return calibrate(order(days), [days["day1.h5"], days["day2.h5"]], out, silent), out


def test_another_session_of_the_same_subject_is_decoded_better_after_calibration(
    found: tuple[Calibration, Path],
) -> None:
    first, second = found[0].sessions
    assert second.form("after").accuracy.value > second.form("before").accuracy.value + 0.02
    assert second.gain.difference.value == pytest.approx(
        second.form("after").accuracy.value - second.form("before").accuracy.value
    )
    # On the day of its training there is little to win.
    assert first.gain.difference.value < second.gain.difference.value
    assert first.subject == second.subject


def test_what_calibration_found_is_written_as_json_and_picture(found: tuple[Calibration, Path]) -> None:
    result, out = found
    assert load_json(out / "calibration.json", Calibration) == result
    texts = {element.text for element in ET.parse(out / "calibration.svg").iter() if element.text}
    assert {"day1", "day2", "renormalised"} <= texts


def test_a_calibrated_decoder_is_exported_as_any_other(found: tuple[Calibration, Path], days: dict[str, Path]) -> None:
    folder = found[1] / "day2"
    checkpoint, front_end = load_checkpoint(folder / "decoder.safetensors"), FrontEnd.load(folder)
    assert not np.array_equal(front_end.mean, FrontEnd.load(days["prepared"]).mean)
    frames = load_session(days["prepared"]).data.frames
    decoder = quantize(checkpoint.spec, checkpoint.parameters, frames[:500])
    assert decoder.spec == checkpoint.spec


def test_a_calibrated_decoder_can_be_calibrated_again(
    found: tuple[Calibration, Path], days: dict[str, Path], tmp_path: Path
) -> None:
    folder = found[1] / "day2"
    again = calibrate(
        order(days, checkpoint=folder / "decoder.safetensors", front_end=folder), [days["day2.h5"]], tmp_path, silent
    )
    session = again.sessions[0]
    # The same minutes again, so normalisation is the same and the readout stays about where it is.
    assert session.form("before").accuracy.value == pytest.approx(
        found[0].sessions[1].form("after").accuracy.value, abs=1e-6
    )
    assert session.form("after").accuracy.value == pytest.approx(session.form("before").accuracy.value, abs=0.05)


@pytest.fixture
def run() -> Callable[..., str]:
    app = typer.Typer()
    app.command()(calibrate_command)

    def call(*arguments: object) -> str:
        ran = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        assert ran.exit_code == 0
        return ran.stdout

    return call


def test_the_command_prints_accuracy_by_session(run: Callable[..., str], days: dict[str, Path], tmp_path: Path) -> None:
    printed = run(
        days["decoder.safetensors"], "--front-end", days["prepared"], "--recording", days["day2.h5"],
        "--target", "velocity", "--minutes", 1, "--out", tmp_path,
    )  # fmt: skip
    assert "after - before" in printed
    assert "day2" in printed
    assert (tmp_path / "day2" / "decoder.safetensors").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"target": "speed"}, "give the target that the decoder was trained for"),
        ({"target": "velocty"}, "no behaviour 'velocty'"),
        ({"calibration_s": 117.0}, "change --minutes"),
        ({"calibration_s": 3.0}, "change --minutes"),
        ({"front_end": "elsewhere"}, "no file elsewhere"),
        ({"checkpoint": "none.safetensors"}, "no checkpoint none.safetensors"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    days: dict[str, Path], changes: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=sentence):
        calibrate(order(days, **changes), [days["day2.h5"]], tmp_path, silent)


def test_recordings_of_one_name_or_of_another_array_are_refused(days: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rename one"):
        calibrate(order(days), [days["day2.h5"], days["day2.h5"]], tmp_path, silent)
    with open_recording(days["day2.h5"]) as recording:
        assert recording.info.n_channels == 8
    config = load_evaluation(days["day.toml"]).recording.synthetic
    assert config is not None
    synthesize(config.model_copy(update={"n_channels": 9, "duration_s": 30}), tmp_path / "wide.h5")
    with pytest.raises(InputError, match="has 9 channels, the front end 8"):
        calibrate(order(days), [tmp_path / "wide.h5"], tmp_path, silent)
