"""`edgebci evaluate`: every decoder on the same frames, kept when it is fitted, judged against one reference."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from edgebci.checkpoint import TrainingRecord, load_checkpoint
from edgebci.cli.evaluate import evaluate as evaluate_command
from edgebci.cli.main import main
from edgebci.decoding_data import DecodingData
from edgebci.documents import load_json
from edgebci.errors import InputError
from edgebci.metrics import r2
from edgebci.pipeline.configuration import load_pipeline
from edgebci.pipeline.evaluation.configuration import DECODERS, chosen, load_evaluation
from edgebci.pipeline.evaluation.result import Evaluation
from edgebci.pipeline.evaluation.run import evaluate
from edgebci.pipeline.sessions import load_session
from edgebci.progress import silent
from edgebci.training.baselines.saved import load_saved
from edgebci.training.causal_decoder import from_checkpoint, predict
from edgebci.training.realm.files import DecoderFile, save_decoder
from edgebci.training.realm.model import RealmDecoder, make_encoder
from edgebci.training.realm.spec import EncoderSpec

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluated")


@pytest.fixture(scope="module")
def result(following_toml: Path, root: Path) -> Evaluation:
    return evaluate(load_evaluation(following_toml), root, (), silent)


@pytest.fixture(scope="module")
def detection(detecting_toml: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return evaluate(load_evaluation(detecting_toml), tmp_path_factory.mktemp("detected"), (), silent)


def test_every_decoder_of_the_task_is_scored_on_the_same_frames(result: Evaluation, root: Path) -> None:
    assert [one.decoder for one in result.decoders] == [name for name in DECODERS if name != "logistic"]
    for one in result.decoders:
        assert one.regression is not None
        assert one.detection is None
        assert len(one.regression.r2) == len(one.regression.pearson_r) == 2
        assert len(one.by_seed) == len(one.seeds) or not one.seeds
    assert {one.decoder for one in result.decoders if not one.seeds} == {"ridge", "kalman"}
    assert load_json(root / "evaluation.json", Evaluation) == result
    texts = {element.text for element in ET.parse(root / "evaluation.svg").iter() if element.text}
    assert {one.decoder for one in result.decoders} <= texts


def test_the_reference_alone_has_nobody_to_be_compared_with(result: Evaluation) -> None:
    assert [one.decoder for one in result.decoders if one.against_reference is None] == ["ridge"]
    student, ridge = result.decoder("student"), result.decoder("ridge")
    assert student.against_reference is not None
    wanted = student.accuracy.value - ridge.accuracy.value
    assert student.against_reference.difference.value == pytest.approx(wanted)
    assert student.against_reference.n_seeds == 2


def test_networks_have_the_size_of_the_student(result: Evaluation) -> None:
    budget = result.decoder("student").costs.parameters
    assert result.decoder("untaught").costs == result.decoder("student").costs
    for name in ("gru", "transformer"):
        assert result.decoder(name).costs.parameters == pytest.approx(budget, rel=0.02)


def test_only_the_teacher_looks_ahead_and_costs_nothing_per_output(result: Evaluation) -> None:
    for one in result.decoders:
        assert one.is_causal is (one.decoder != "teacher")
        assert (one.costs.macs_per_output is None) is (one.decoder == "teacher")
        assert one.training_s is not None


def test_the_figures_are_those_of_the_kept_decoder(result: Evaluation, root: Path) -> None:
    data = load_session(root / "sessions" / "recording").data
    checkpoint = load_checkpoint(root / "decoders" / "untaught" / "seed_2" / "student.safetensors")
    rows = data.rows("test")
    decoded = predict(from_checkpoint(checkpoint), data)[rows].astype(np.float64)
    assert result.decoder("untaught").by_seed[1] == pytest.approx(
        r2(data.targets[rows].astype(np.float64), decoded).mean(), abs=1e-6
    )


def test_a_finished_decoder_is_kept_and_another_may_join(result: Evaluation, following_toml: Path, root: Path) -> None:
    config = chosen(load_evaluation(following_toml), "ridge,gru", 3, "gru")
    fitted: list[str] = []
    again = evaluate(config, root, (), lambda _, note: fitted.append(note))
    assert again.decoder("gru").by_seed[:2] == result.decoder("gru").by_seed
    assert len(again.decoder("gru").by_seed) == 3
    trained = {note.partition(":")[0] for note in fitted if ":" in note}
    assert trained == {"gru, seed 3"}
    assert again.decoder("ridge").against_reference is not None


def test_a_checkpoint_competes_under_its_file_name(result: Evaluation, following_toml: Path, root: Path) -> None:
    saved = root / "mine.safetensors"
    saved.write_bytes((root / "decoders" / "student" / "seed_1" / "student.safetensors").read_bytes())
    config = chosen(load_evaluation(following_toml), "ridge,student", 1, None)
    again = evaluate(config, root, [saved], silent)
    assert again.decoder("mine").by_seed == again.decoder("student").by_seed
    assert again.decoder("mine").training_s is None
    assert again.decoder("mine").note is None


def test_a_checkpoint_of_other_frames_is_told_and_one_of_another_size_refused(
    result: Evaluation, following_toml: Path, root: Path, tmp_path: Path
) -> None:
    saved = root / "decoders" / "student" / "seed_1" / "student.safetensors"
    (root / "mine.safetensors").write_bytes(saved.read_bytes())
    other = tmp_path / "other.toml"
    shorter = following_toml.read_text().replace("duration_s = 120", "duration_s = 80")
    other.write_text(shorter)
    config = chosen(load_evaluation(other), "ridge", 1, None)
    found = evaluate(config, tmp_path / "other", [root / "mine.safetensors"], silent)
    assert "other frames" in str(found.decoder("mine").note)
    narrow = tmp_path / "narrow.toml"
    narrow.write_text(shorter.replace("n_channels = 8", "n_channels = 9"))
    config = chosen(load_evaluation(narrow), "ridge", 1, None)
    with pytest.raises(InputError, match="give the configuration that it was trained with"):
        evaluate(config, tmp_path / "narrow", [root / "mine.safetensors"], silent)


def test_bursts_are_detected_from_end_to_end(detection: Evaluation) -> None:
    assert [one.decoder for one in detection.decoders] == [name for name in DECODERS if name != "kalman"]
    assert (detection.metric, detection.task, detection.unit) == ("AUROC", "detection", "log odds")
    ridge = detection.decoder("ridge")
    assert ridge.detection is not None
    assert ridge.detection.auroc.value > 0.6
    assert ridge.detection.n_events > 5
    for one in detection.decoders:
        assert one.regression is None
        assert one.detection is not None
        assert len(one.detection.thresholds) == len(one.by_seed)


@pytest.fixture
def run() -> Callable[..., tuple[int, str]]:
    app = typer.Typer()
    app.command()(evaluate_command)

    def call(*arguments: object) -> tuple[int, str]:
        found = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return found.exit_code, found.stdout

    return call


def test_the_command_prints_a_table_or_json(
    run: Callable[..., tuple[int, str]], detecting_toml: Path, tmp_path: Path
) -> None:
    arguments = (detecting_toml, "--decoders", "ridge,logistic", "--seeds", 1, "--out", tmp_path)
    code, table = run(*arguments)
    assert code == 0
    assert "false alarms/h" in table
    code, text = run(*arguments, "--json")
    assert Evaluation.model_validate_json(text) == load_json(tmp_path / "small" / "evaluation.json", Evaluation)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--decoders", "ridge,rigde"), "no decoder 'rigde' for regression; did you mean 'ridge'"),
        (("--decoders", "ridge,logistic"), "no decoder 'logistic' for regression"),
        (("--decoders", "ridge,ridge"), "named twice"),
        (("--seeds", "0"), "give at least 1"),
        (("--decoders", "gru", "--seeds", "1"), "the reference 'ridge' is not among the decoders gru"),
        (("--decoders", "ridge", "--checkpoint", "no.safetensors"), "no checkpoint no.safetensors"),
        (("--decoders", "ridge", "--checkpoint", "TMP/ridge.safetensors"), "two decoders are called 'ridge'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_any_work(
    run: Callable[..., tuple[int, str]],
    following_toml: Path,
    options: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "ridge.safetensors").touch()
    options = tuple(option.replace("TMP", str(tmp_path)) for option in options)
    with pytest.raises(InputError, match=sentence):
        run(following_toml, *options, "--out", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_toml_of_another_kind_is_refused(run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('schema = "edgebci.realm/1"\n')
    with pytest.raises(InputError, match="cannot be evaluated"):
        run(file)


def test_a_pipeline_can_be_evaluated_as_it_is() -> None:
    config = load_evaluation(ROOT / "examples" / "quickstart.toml")
    assert config.recording.target == "velocity"
    assert "kalman" in config.competing
    assert "logistic" not in config.competing


def test_the_example_detects_bursts_with_every_decoder_of_its_task() -> None:
    config = load_evaluation(ROOT / "examples" / "burst_detection.toml")
    assert config.recording.task == "detection"
    assert chosen(config, None, None, None).competing == config.decoders
    assert set(config.decoders) == set(DECODERS) - {"kalman"}


def test_a_pipeline_that_detects_is_evaluated_with_its_own_rule_of_alarms(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "burst_detector.toml").read_text()
    file = tmp_path / "events.toml"
    file.write_text(text.replace("refractory_s = 1.0", "refractory_s = 2.5"))
    assert load_pipeline(file).alarms.refractory_s == load_evaluation(file).alarms.refractory_s == 2.5


def test_events_that_are_not_there_are_refused(detecting_toml: Path, tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    file.write_text(detecting_toml.read_text().replace("beta_bursts", "beta_burst"))
    with pytest.raises(InputError, match="did you mean 'beta_bursts'"):
        evaluate(load_evaluation(file), tmp_path, (), silent)


def test_a_realm_decoder_competes_too(tmp_path: Path) -> None:
    spec = EncoderSpec(
        n_channels=6, channel_features=2, attention_taps=3, d_model=16, n_layers=2, expand=1, headdim=8, d_state=4
    )
    record = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=50.0, epochs_run=0, best_epoch=0, versions={})
    file = DecoderFile(RealmDecoder(make_encoder(spec), 2, raw_skip=True), ("x", "y"), "cm/s", record)
    save_decoder(tmp_path / "realm.safetensors", file)
    saved = load_saved(tmp_path / "realm.safetensors")
    assert (saved.n_inputs, saved.output_names, saved.is_causal) == (6, ("x", "y"), True)
    parameters = sum(p.numel() for p in file.decoder.parameters())
    assert saved.decoder.costs.parameters == parameters
    frames = np.random.default_rng(0).standard_normal((60, 6)).astype(np.float32)
    data = DecodingData(
        frames, np.zeros((60, 2), np.float32), np.ones(60, bool), np.arange(60) / 50, ((0, 60),), (), (), ("x", "y"), ""
    )
    assert saved.decoder.predict(data).shape == (60, 2)


def test_a_file_that_decodes_nothing_is_refused(root: Path, result: Evaluation) -> None:
    with pytest.raises(InputError, match="which decodes nothing by itself"):
        load_saved(root / "teachers" / "seed_1" / "teacher.safetensors")


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "nothing.toml"),
        ("evaluate", "examples/quickstart.toml", "--decoders", "riddge"),
        ("calibrate", "nothing.safetensors", "--recording", "a.h5", "--target", "velocity"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["edgebci", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr()
    assert stop.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("edgebci: ")
    assert "Traceback" not in printed.err
