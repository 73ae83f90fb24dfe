"""Training runs end to end, at sizes that show that they run and not how well they decode."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgebci.bundle import open_bundle
from edgebci.cli.main import app
from edgebci.errors import InputError
from edgebci.pipeline.training_run.configuration import TrainingRunConfig, load_training_run
from edgebci.pipeline.training_run.result import TrainingResult
from edgebci.pipeline.training_run.run import PAGE_NAME, PICTURE_NAME, RESULT_NAME, run_training
from edgebci.progress import silent
from edgebci.reporting.sentences import interval_text
from tests.exporting import few_steps

pytestmark = pytest.mark.usefixtures("few_evaluator_steps")
EXAMPLES = Path(__file__).parents[2] / "examples"
SESSION = """
[[sessions]]
name = "{name}"
role = "{role}"
[sessions.synthetic]
seed = 9021
session = {number}
duration_s = 120
n_channels = 8
rate_hz = 500
population = {{ grid_mm = 0.4 }}
[sessions.synthetic.behavior]
work_s = [20, 40]
rest_s = [5, 10]
"""
RUN = """
schema = "edgebci.training_run/1"
name = "tiny"
recipe = "recipe.toml"
target = "velocity"

[features]
rate_hz = 500
frame_rate_hz = 50
lmp = { corner_hz = 4 }
bands = [{ low_hz = 70, high_hz = 150 }]
""" + "".join(
    SESSION.format(name=name, role=role, number=number)
    for number, (name, role) in enumerate((("first", "pretraining"), ("second", "held_out")), start=1)
)


def small(recipe: str) -> str:
    """The example's recipe with 16 inputs, an epoch for each stage, and short windows."""
    changed = {"n_channels": 16, "epochs": 1, "window_frames": 64, "d_model": 16, "headdim": 8, "d_state": 4}
    lines = []
    for line in recipe.splitlines():
        key = line.partition(" = ")[0]
        lines.append(f"{key} = {changed[key]}" if key in changed else line)
    return "\n".join(lines).replace("validation_sessions = 0.1", "validation_sessions = 0.0").replace("0.2\n", "0.0\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run's files."""
    path = tmp_path_factory.mktemp("training_run")
    (path / "run.toml").write_text(RUN)
    (path / "recipe.toml").write_text(small((EXAMPLES / "recipes" / "realm_edge_bands.toml").read_text()))
    return path


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    """What the command prints, with its files in `folder/tiny`."""
    with few_steps():
        run = CliRunner().invoke(app, ["train", str(folder / "run.toml"), "--out", str(folder), "--json"])
    assert run.exit_code == 0, run.output
    return run.stdout


@pytest.fixture(scope="module")
def result(folder: Path, printed: str) -> TrainingResult:
    return TrainingResult.model_validate_json((folder / "tiny" / RESULT_NAME).read_text())


def test_every_held_out_session_is_decoded_in_every_way_beside_ridge(folder: Path, result: TrainingResult) -> None:
    assert [session.session for session in result.sessions] == ["second"]
    ways = result.sessions[0].ways
    assert [way.way for way in ways] == ["ridge", "student, label-free", "student, fine-tuned"]
    assert ways[0].against_ridge is None
    assert all(way.against_ridge is not None for way in ways[1:])
    assert "second: student, fine-tuned - ridge" in (folder / "tiny" / PICTURE_NAME).read_text()


def test_the_page_says_first_how_the_student_stands_against_ridge(folder: Path, result: TrainingResult) -> None:
    page = (folder / "tiny" / PAGE_NAME).read_text()
    found = result.sessions[0].ways[-1].against_ridge
    assert found is not None
    verdict = f"second: student, fine-tuned, R² {interval_text(result.sessions[0].ways[-1].score.r2_mean)}; against"
    assert page.index(verdict) < page.index("<svg") < page.index("What the student costs")
    assert not re.search(r'\b(?:src|href)="(?!#)', page), "one file, which loads nothing"


def test_the_fine_tuned_student_becomes_a_bundle(folder: Path, result: TrainingResult) -> None:
    bundle = result.sessions[0].bundle
    assert bundle is not None, result.sessions[0].not_exported
    opened = open_bundle(folder / "tiny" / bundle)
    assert opened.manifest.spec.n_inputs == 16
    assert (opened.firmware / "decoder.c").is_file()


def test_the_costs_of_the_student_are_counted_apart_from_its_tokenizer(result: TrainingResult) -> None:
    assert "256 MACs per output in the tokenizer" in result.costs


def test_a_finished_run_is_read_and_not_trained_again(folder: Path, result: TrainingResult) -> None:
    trained = {path: path.stat().st_mtime_ns for path in (folder / "tiny").rglob("*.safetensors")}
    again = run_training(load_training_run(folder / "run.toml"), folder / "tiny", None, silent)
    assert again == result
    assert {path: path.stat().st_mtime_ns for path in trained if path.parent.name != "bundles"} == {
        path: time for path, time in trained.items() if path.parent.name != "bundles"
    }


def test_a_teacher_that_exists_is_not_trained_again(folder: Path, result: TrainingResult, tmp_path: Path) -> None:
    teacher = folder / "tiny" / "encoders" / "teacher_1" / "encoder.safetensors"
    found = run_training(load_training_run(folder / "run.toml"), tmp_path / "out", teacher, silent)
    assert not (tmp_path / "out" / "encoders" / "teacher_1").exists()
    assert found.sessions[0].ways[1].r2_by_seed == result.sessions[0].ways[1].r2_by_seed


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('role = "held_out"', 'role = "pretraining"', "no session has the role 'held_out' to decode"),
        ('name = "second"', 'name = "first"', "two sessions are called 'first'"),
        ("duration_s = 120", "duration_sec = 120", "did you mean 'duration_s'"),
        ('target = "velocity"', 'targt = "velocity"', "did you mean 'target'"),
    ],
)
def test_a_wrong_run_is_refused_in_one_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    (tmp_path / "run.toml").write_text(RUN.replace(old, new))
    with pytest.raises(InputError, match=sentence):
        load_training_run(tmp_path / "run.toml")


def test_a_session_needs_one_source(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN + '[[sessions]]\nname = "third"\nrole = "both"\n')
    with pytest.raises(InputError, match="session 'third' needs either path or synthetic"):
        load_training_run(tmp_path / "run.toml")


def test_a_recipe_of_no_known_system_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN)
    (tmp_path / "recipe.toml").write_text('schema = "edgebci.relam/1"\n')
    config = load_training_run(tmp_path / "run.toml")
    with pytest.raises(InputError, match=r"did you mean 'edgebci\.realm/1'"):
        run_training(config, folder / "tiny", None, silent)


def test_a_wrong_recipe_or_folder_is_told_before_any_session_is_prepared(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN)
    config = load_training_run(tmp_path / "run.toml")
    with pytest.raises(InputError, match=r"no file .*recipe\.toml"):
        run_training(config, tmp_path / "out", None, silent)
    (tmp_path / "recipe.toml").write_text((folder / "recipe.toml").read_text().replace("d_model", "d_modell", 1))
    with pytest.raises(InputError, match="did you mean 'd_model'"):
        run_training(config, tmp_path / "out", None, silent)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").write_text("I am a file")
    with pytest.raises(InputError, match="cannot make the folder"):
        run_training(load_training_run(folder / "run.toml"), tmp_path / "out", None, silent)


def test_frames_are_causal_whatever_the_recipe_was_made_for(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(RUN)
    recipe = (folder / "recipe.toml").read_text().replace('preprocessing = "causal"', 'preprocessing = "paper"')
    (tmp_path / "recipe.toml").write_text(recipe)
    with pytest.raises(InputError, match="zero-phase"):
        run_training(load_training_run(tmp_path / "run.toml"), folder / "tiny", None, silent)


def test_the_example_names_every_session_and_its_recipe_exists() -> None:
    config: TrainingRunConfig = load_training_run(EXAMPLES / "realm.toml")
    assert [len(config.with_role(role)) for role in ("pretraining", "held_out")] == [2, 1]
    assert config.recipe.is_file()


def test_the_command_prints_what_the_file_says(printed: str, result: TrainingResult) -> None:
    assert result.name == "tiny"
    assert TrainingResult.model_validate_json(printed) == result


def test_a_teacher_that_is_not_there_is_one_sentence(folder: Path) -> None:
    run = CliRunner().invoke(app, ["distill", str(folder / "run.toml"), "--teacher", "nowhere.safetensors"])
    assert isinstance(run.exception, InputError)
    assert "no teacher nowhere.safetensors" in str(run.exception)
