"""The study of losses: streams, rows, goals, the command."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from filelock import FileLock
from typer.testing import CliRunner

from edgebci.checkpoint import save_checkpoint
from edgebci.cli.quantization import quantization_report, reproduce_quantization
from edgebci.comparison import Comparison, Interval, Verdict
from edgebci.documents import load_json
from edgebci.errors import InputError
from edgebci.frame_stream import FrameStream
from edgebci.pipeline import quantization_study
from edgebci.pipeline.quantization_aware import quantize_after_training, quantize_in_training
from edgebci.pipeline.quantization_stream import Disturbance, disturbed
from edgebci.pipeline.quantization_study import (
    DISTURBED,
    HELD_OUT,
    MARGINS,
    TABLE_NAME,
    Case,
    LossRow,
    LossTable,
    measure_losses,
    rows_stage,
)
from edgebci.progress import silent
from edgebci.quantization_error import goal, loss_bound
from edgebci.training.quantization_aware.costs import stream_with_exact
from edgebci.training.quantization_aware.learning import integers_path
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.quantization_aware.twin import QuantizedTwin
from tests.quantization_aware.conftest import Example, example


def compared(low: float, value: float, high: float, margin: float, n_blocks: int = 100) -> Comparison:
    interval = Interval(value=value, low=low, high=high)
    return Comparison(
        difference=interval,
        per_axis=(interval,),
        margin=margin,
        verdict=Verdict.CANNOT_TELL,
        standard_error=0.001,
        power_at_margin=0.5,
        block_s=5.0,
        n_blocks=n_blocks,
        n_seeds=1,
        reason="",
    )


def test_a_goal_is_reached_where_the_whole_interval_lies_within_it() -> None:
    assert goal(compared(-0.0019, -0.001, 0.0, 0.002)) == "reached"
    assert goal(compared(-0.0021, -0.001, 0.0, 0.002)) == "cannot tell"
    assert goal(compared(-0.004, -0.003, -0.0019, 0.002)) == "cannot tell"
    assert goal(compared(-0.004, -0.003, -0.0021, 0.002)) == "not reached"
    assert goal(compared(-0.0019, -0.001, 0.0, 0.002, n_blocks=29)) == "cannot tell"
    assert loss_bound(compared(-0.0019, -0.001, 0.0, 0.002)) == 0.0019


def flat_stream(n_frames: int) -> FrameStream:
    frames = np.random.default_rng(9010).standard_normal((n_frames, 3)).astype(np.float32)
    return FrameStream(frames, np.zeros(n_frames, bool), np.zeros((n_frames, 1)), np.ones(n_frames, bool))


def test_drift_is_slow_and_of_the_stated_size() -> None:
    calm = Disturbance(
        artefacts_per_minute=0.0, drift_time_constant_s=20.0, gain_log_sd=0.0, offset_sd=0.5, limit_sd=99
    )
    stream = flat_stream(200_000)
    offset = disturbed(stream, 50.0, calm, seed=1).frames - stream.frames
    # 4000 s are some 100 independent stretches of 2 time constants: the standard deviation is known to 10 %.
    assert offset.std() == pytest.approx(0.5, rel=0.2)
    assert np.abs(np.diff(offset, axis=0)).max() < 0.05


def test_artefacts_come_as_often_as_stated_and_are_not_scored_themselves() -> None:
    rough = Disturbance(artefacts_per_minute=6.0, gain_log_sd=0.0, offset_sd=0.0)
    stream = flat_stream(60_000)  # 20 minutes
    hit = disturbed(stream, 50.0, rough, seed=1)
    struck = (np.abs(hit.frames) == rough.limit_sd).all(axis=1)
    np.testing.assert_array_equal(hit.scored, ~struck)
    np.testing.assert_array_equal(hit.frames[~struck], stream.frames[~struck])
    began = int((np.diff(struck.astype(int)) == 1).sum())
    # 120 are expected, and their Poisson spread is 11; a few touch each other.
    assert 80 <= began <= 160


def test_the_same_seed_disturbs_the_same_way() -> None:
    stream = flat_stream(2000)
    once, again, other = (disturbed(stream, 50.0, Disturbance(), seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(once.frames, again.frames)
    assert not np.array_equal(once.frames, other.frames)


def recipe() -> QuantizationAwareRecipe:
    optimiser = {"learning_rate": 1e-3, "epochs": 1, "batch_windows": 8, "window_frames": 32, "weight_decay": 0.0}
    return QuantizationAwareRecipe.model_validate({"optimiser": optimiser, "burn_in_frames": 4})


def case_of(one: Example, folder: Path) -> Case:
    path = folder / "student.safetensors"
    save_checkpoint(path, one.checkpoint)
    return Case(one.spec.cell, path, one.data)


def test_a_case_gets_a_row_for_each_way_and_stream(tmp_path: Path) -> None:
    table = measure_losses([case_of(example("s4d"), tmp_path)], tmp_path, recipe(), "test", silent)
    assert [(row.stream, row.way) for row in table.rows] == [(s, w) for s in (HELD_OUT, DISTURBED) for w in MARGINS]
    for row in table.rows:
        assert row.comparison.difference.value == pytest.approx(row.r2_integers - row.r2_float, abs=1e-9)
        assert row.comparison.margin == MARGINS[row.way]
        assert row.goal == "cannot tell"  # five seconds of test frames
        assert row.r2_float > 0.5
    assert load_json(tmp_path / TABLE_NAME, LossTable) == table
    assert not table.reached("int8 in training")


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    case = case_of(example("s4d"), tmp_path)
    first = measure_losses([case], tmp_path, recipe(), "test", silent)
    notes: list[str] = []
    again = measure_losses([case], tmp_path, recipe(), "test", lambda _, note: notes.append(note))
    assert again == first
    assert not [note for note in notes if "epoch" in note]


def test_what_was_measured_of_a_decoder_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(example("s4d"), tmp_path)
    first = measure_losses([case], tmp_path, recipe(), "test", silent)
    monkeypatch.setattr(quantization_study, "held_out_streams", lambda *_: {})
    assert measure_losses([case], tmp_path, recipe(), "test", silent).rows == first.rows
    other = measure_losses([case], tmp_path, recipe(), "test", silent, Disturbance(offset_sd=0.4))
    assert other.rows == ()  # another disturbance is measured anew, here on no stream


def test_a_decoder_that_another_process_is_at_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [dataclasses.replace(case_of(example("s4d"), tmp_path), name=name) for name in ("first", "second")]
    begun: list[str] = []
    busy = FileLock(tmp_path / f".{rows_stage('first')}.lock", thread_local=False)
    busy.acquire()

    def measured(case: Case, *_: object) -> list[LossRow]:
        begun.append(case.name)
        busy.release()
        return []

    monkeypatch.setattr(quantization_study, "_losses", measured)
    measure_losses(cases, tmp_path, recipe(), "test", silent)
    assert begun == ["second", "first"]


def test_smoothing_before_training_keeps_weights_and_integers_together(tmp_path: Path) -> None:
    from edgebci.export.quantization import QuantizationRecipe

    one = example("mamba2")
    integers = quantize_after_training(one.data, one.checkpoint, QuantizationRecipe(smoothing=0.5))
    twin = QuantizedTwin.of(integers.checkpoint.parameters, integers.decoder)
    decoded = stream_with_exact(twin, one.frames[:200], None, frozenset())
    wanted = integers.decoder.stream(one.frames[:200])
    assert np.sqrt(np.mean((decoded - wanted) ** 2)) <= 2e-3 * wanted.std()
    trained = quantize_in_training(
        one.data, one.checkpoint, tmp_path / "s.safetensors", recipe(), QuantizationRecipe(smoothing=0.5)
    )
    assert trained.decoder.spec == one.spec


def test_bad_input_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no decoder"):
        measure_losses([], tmp_path, recipe(), "test", silent)
    one = example("s4d")
    untested = dataclasses.replace(one.data, test=())
    case = dataclasses.replace(case_of(one, tmp_path), data=untested)
    with pytest.raises(InputError, match="no test part"):
        measure_losses([case], tmp_path, recipe(), "test", silent)
    events = dataclasses.replace(one.data, targets=(one.data.targets > 0).astype(np.float32), task="detection")
    with pytest.raises(InputError, match="detects events"):
        measure_losses([dataclasses.replace(case, data=events)], tmp_path, recipe(), "test", silent)


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    commands = typer.Typer()
    commands.command("quantization")(reproduce_quantization)
    commands.command("quantization-report")(quantization_report)
    return commands


def test_checkpoints_without_their_sessions_are_refused(app: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["quantization", "--checkpoint", str(tmp_path / "a.safetensors")])
    assert isinstance(result.exception, InputError)
    assert "1 checkpoints but 0 prepared sessions" in str(result.exception)


def test_the_commands_take_a_checkpoint_and_its_prepared_session(
    app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session is made from frames here; that real ones are read is a test of the pipeline's preparation."""
    one = example("s4d")
    case = case_of(one, tmp_path)
    monkeypatch.setattr("edgebci.pipeline.preparation.load_prepared", lambda _: _Prepared(one))
    monkeypatch.setattr(
        "edgebci.pipeline.quantization_sessions.QuantizationSize.quantized_training", lambda _: recipe()
    )
    pair = ["--checkpoint", str(case.checkpoint), "--prepared", str(tmp_path)]
    result = CliRunner().invoke(app, ["quantization", *pair, "--runs", str(tmp_path), "--json"], catch_exceptions=False)
    table = LossTable.model_validate(json.loads(result.stdout))
    assert {row.case for row in table.rows} == {"1_student"}
    trained = tmp_path / "quantization" / "checkpoints" / "1_student_quantized" / "trained.safetensors"
    asked = [str(trained), "--prepared", str(tmp_path), "--quantized", str(integers_path(trained))]
    shown = CliRunner().invoke(app, ["quantization-report", *asked, "--out", str(tmp_path / "page")])
    assert shown.exit_code == 0, shown.output
    assert "costs" in shown.stdout
    assert (tmp_path / "page" / "quantization.html").read_text().count("<svg") == 4


class _Prepared:
    def __init__(self, one: Example) -> None:
        self.data = one.data
