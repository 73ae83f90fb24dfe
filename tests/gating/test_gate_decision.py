"""What the gate says of decoders whose loss is known, and what it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from typer.testing import CliRunner

from edgebci.cli.gate import gate_app
from edgebci.errors import InputError
from edgebci.files import sha256
from edgebci.gating_baseline import (
    ImplantFigures,
    Measured,
    Predictions,
    open_baseline,
    read_predictions,
    write_predictions,
)
from edgebci.gating_limits import Counters, GateConfig, ModelLimits, Outcome, TimeLimits
from edgebci.gating_result import GateResult, decide
from edgebci.metrics import F64
from edgebci.pipeline.configuration import ComparisonConfig
from edgebci.pipeline.gating.acceptance import accept
from edgebci.pipeline.gating.accuracy import SEEDS
from edgebci.pipeline.gating.candidate import Candidate
from edgebci.pipeline.gating.decision import NO_OLD_BUNDLE, gate, judged
from edgebci.pipeline.gating.outputs import tell_github, write_outputs
from edgebci.pipeline.gating.step_times import FormTimes, time_figures
from edgebci.reporting.gate_markdown import MARKER

FORM = "device (host twin)"
LIMITS = GateConfig(artefacts=(FORM,))
COUNTERS = Counters(
    instructions_per_step=1000.0,
    macs_per_step=900,
    flash_bytes=4000,
    ram_bytes=800,
    state_bytes=64,
    stack_bytes=128,
    radio_bits_per_step=64,
)
IMPLANT = ImplantFigures(
    implant="chip",
    power_uw=(900.0, 1000.0, 1200.0),
    rise_c=(0.1, 0.2, 0.4),
    limit_c=1.0,
    latency_us=(900.0, 1000.0, 1500.0),
    deadline_us=2000.0,
)
MEASURED = Measured(
    bundle_id="a" * 64,
    checkpoint_sha256="b" * 64,
    recording_sha256=None,
    frame_rate_hz=50.0,
    counters=COUNTERS,
    implants=(IMPLANT,),
)


def noise(seed: int, n: int) -> F64:
    return np.random.default_rng(seed).standard_normal((n, 2))


def candidate(extra: float = 0.0, minutes: float = 5, measured: Measured | None = MEASURED) -> Candidate:
    """A decoder of R² 0.51, and `extra` less."""
    n = round(minutes * 3000)
    truth = noise(0, n)
    decoded = truth + 0.7 * noise(1, n) + np.sqrt(extra) * noise(2, n)
    predictions = Predictions("regression", 50.0, ("x", "y"), np.arange(n) / 50, truth, {FORM: decoded[None]})
    return Candidate("test", predictions, measured)


def decided(folder: Path, before: Candidate, after: Candidate, limits: GateConfig = LIMITS) -> GateResult:
    path = folder / "baseline.json"
    accept(path, before, "a test", keep_bundle=False)
    return gate(open_baseline(path, ""), after, limits, ComparisonConfig())


def test_what_is_the_same_passes_and_times_are_said_not_to_be_gated(tmp_path: Path) -> None:
    result = decided(tmp_path, candidate(), candidate())
    assert (result.decision, result.exit_code) == (Outcome.PASS, 0)
    assert {check.outcome for check in result.checks} == {Outcome.PASS}
    assert NO_OLD_BUNDLE in result.notes
    assert len(result.checks) == 3 + 2 + 7 + 4


def test_a_loss_of_five_hundredths_fails_and_says_so(tmp_path: Path) -> None:
    result = decided(tmp_path, candidate(), candidate(0.05))
    assert (result.decision, result.exit_code) == (Outcome.FAIL, 1)
    wrong = result.of(Outcome.FAIL)
    assert {check.group for check in wrong} == {"accuracy"}
    assert all(check.accuracy and 0.03 < check.accuracy.loss < 0.07 for check in wrong)


def test_errors_of_another_kind_are_undecided_in_three_minutes_and_ask_for_more(tmp_path: Path) -> None:
    before = candidate(minutes=3)
    truth = before.predictions.truth
    # A third of the errors' power is swapped for other noise: no loss, and a standard error of over half the margin.
    mixed = truth + 0.7 * (np.sqrt(0.7) * noise(1, len(truth)) + np.sqrt(0.3) * noise(4, len(truth)))
    after = Candidate("test", replace(before.predictions, decoded={FORM: mixed[None]}), MEASURED)
    result = decided(tmp_path, before, after)
    assert (result.decision, result.exit_code) == (Outcome.UNDECIDED, 3)
    assert "more minute" in result.sentence()
    assert result.minutes_more is not None
    assert result.minutes_more > 0


@pytest.mark.parametrize("name", Counters.model_fields)
def test_each_counter_fails_when_it_grows_by_a_hundredth(tmp_path: Path, name: str) -> None:
    grown = COUNTERS.model_copy(update={name: getattr(COUNTERS, name) * 1.01 + 1})
    after = candidate(measured=MEASURED.model_copy(update={"counters": grown}))
    result = decided(tmp_path, candidate(), after)
    assert [check.name for check in result.of(Outcome.FAIL)] == [name.replace("_", " ")]


def test_counters_that_are_gone_fail(tmp_path: Path) -> None:
    result = decided(tmp_path, candidate(), candidate(measured=MEASURED.model_copy(update={"counters": None})))
    assert len(result.of(Outcome.FAIL)) == 7


def implant(**changed: object) -> Candidate:
    figures = ImplantFigures.model_validate(IMPLANT.model_dump() | changed)
    return candidate(measured=MEASURED.model_copy(update={"implants": (figures,)}))


def test_power_fails_when_share_and_amount_are_both_exceeded_and_only_then(tmp_path: Path) -> None:
    little, much = implant(power_uw=(900.0, 1000.0, 1259.0)), implant(power_uw=(900.0, 1000.0, 1300.0))
    assert decided(tmp_path, candidate(), little).decision is Outcome.PASS
    failed = decided(tmp_path, candidate(), much).of(Outcome.FAIL)
    assert [check.name for check in failed] == ["chip: power", "chip: energy of a step"]
    generous = LIMITS.model_copy(update={"model": ModelLimits(absolute_uw=150)})
    assert decided(tmp_path, candidate(), much, generous).decision is Outcome.PASS
    typical = LIMITS.model_copy(update={"model": ModelLimits(corner="typical")})
    assert decided(tmp_path, candidate(), much, typical).decision is Outcome.PASS


def test_heat_and_deadline_are_judged_at_the_corner_and_what_was_accepted_may_stay(tmp_path: Path) -> None:
    late = implant(latency_us=(900.0, 1000.0, 2001.0), rise_c=(0.1, 0.2, 1.2))
    failed = decided(tmp_path, candidate(), late).of(Outcome.FAIL)
    assert [check.name for check in failed] == ["chip: worst step", "chip: temperature rise"]
    assert decided(tmp_path, late, late).decision is Outcome.PASS


def test_an_implant_that_is_left_out_fails(tmp_path: Path) -> None:
    after = candidate(measured=MEASURED.model_copy(update={"implants": ()}))
    assert [check.name for check in decided(tmp_path, candidate(), after).of(Outcome.FAIL)] == ["chip: power"]


def seeds(n_seeds: int, first: int, extra: float, checkpoint: str) -> Candidate:
    one = candidate(extra, minutes=10)
    truth = one.predictions.truth
    decoded = np.stack([truth + np.sqrt(0.49 + extra) * noise(first + k, len(truth)) for k in range(n_seeds)])
    predictions = replace(one.predictions, decoded={**one.predictions.decoded, SEEDS: decoded})
    return Candidate("test", predictions, MEASURED.model_copy(update={"checkpoint_sha256": checkpoint * 64}))


def test_retrained_decoders_are_compared_over_five_seeds_and_fewer_decide_nothing(tmp_path: Path) -> None:
    before, good, bad = (seeds(5, 10, 0.0, "c"), seeds(5, 20, 0.0, "d"), seeds(5, 30, 0.06, "e"))
    passed = decided(tmp_path, before, good)
    assert passed.decision is Outcome.PASS
    assert {check.accuracy.test for check in passed.checks if check.accuracy} == {"retrained"}
    assert decided(tmp_path, before, bad).decision is Outcome.FAIL
    few = decided(tmp_path, seeds(4, 10, 0.0, "c"), bad)
    assert few.decision is Outcome.UNDECIDED
    assert "need 5 seeds a side" in few.of(Outcome.UNDECIDED)[0].sentence


def test_a_gate_that_checked_nothing_does_not_pass() -> None:
    assert decide([]) is Outcome.UNDECIDED


def test_predictions_come_back_bit_for_bit_and_twice_the_same_bytes(tmp_path: Path) -> None:
    given = candidate(0.01).predictions
    for name in ("a.h5", "b.h5"):
        write_predictions(tmp_path / name, given)
    found = read_predictions(tmp_path / "a.h5")
    assert found.same_test_part(given)
    assert found.decoded[FORM].tobytes() == given.decoded[FORM].tobytes()
    assert sha256(tmp_path / "a.h5") == sha256(tmp_path / "b.h5")


def spoil_json(folder: Path, **changed: object) -> None:
    content = json.loads((folder / "baseline.json").read_text())
    (folder / "baseline.json").write_text(json.dumps(content | changed))


SPOILERS: dict[str, Callable[[Path], object]] = {
    "there is no baseline": lambda folder: (folder / "baseline.json").unlink(),
    "is no JSON": lambda folder: (folder / "baseline.json").write_text("{"),
    "of the schema 'edgebci.baseline/0'": lambda folder: spoil_json(folder, schema_version="edgebci.baseline/0"),
    "SHA-256 differs": lambda folder: write_predictions(
        folder / "baseline.predictions.h5", candidate(0.02).predictions
    ),
    "is missing": lambda folder: (folder / "baseline.predictions.h5").unlink(),
    "'history'": lambda folder: spoil_json(folder, history=[]),
    "unknown key 'extra'": lambda folder: spoil_json(folder, extra=1),
}


@pytest.mark.parametrize("sentence", SPOILERS)
def test_a_baseline_that_is_not_whole_is_refused_with_the_command_that_mends_it(tmp_path: Path, sentence: str) -> None:
    accept(tmp_path / "baseline.json", candidate(), "a test", keep_bundle=False)
    SPOILERS[sentence](tmp_path)
    with pytest.raises(InputError, match="mend it so") as error:
        open_baseline(tmp_path / "baseline.json", "mend it so")
    assert sentence in str(error.value)


def test_another_test_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another test part"):
        decided(tmp_path, candidate(), candidate(minutes=6))


def test_accepting_again_keeps_the_history(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    accept(path, candidate(), "first", keep_bundle=False)
    accept(path, candidate(0.02), "second", keep_bundle=False)
    assert [one.why for one in open_baseline(path, "").document.history] == ["first", "second"]


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> GateResult:
    return decided(tmp_path_factory.mktemp("gate"), candidate(), candidate(0.05))


def test_outputs_are_read_back_as_what_was_found(failed: GateResult, tmp_path: Path) -> None:
    write_outputs(failed, tmp_path)
    assert GateResult.model_validate_json((tmp_path / "gate.json").read_text()) == failed
    suite = ET.parse(tmp_path / "gate.junit.xml").getroot()[0]
    assert suite.get("failures") == str(len(failed.of(Outcome.FAIL))) == str(len(suite.findall("testcase/failure")))
    comment = (tmp_path / "gate.comment.md").read_text()
    assert comment.startswith(MARKER.format(name="test"))
    assert failed.sentence() in comment
    badges = {path.stem: path.read_text() for path in tmp_path.glob("*.svg")}
    assert badges.keys() == {"gate", "gate-accuracy", "gate-counter", "gate-implant"}
    assert [">fail<" in badges[name] for name in sorted(badges)] == [True, True, False, False]
    assert all(ET.fromstring(svg).tag.endswith("svg") for svg in badges.values())


def test_annotations_are_told_on_github_only_and_escape_what_ends_a_command(failed: GateResult, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    strange = failed.model_copy(
        update={"checks": (failed.checks[0].model_copy(update={"name": "a,b::c", "sentence": "50 %\nmore"}),)}
    )
    lines = tell_github(strange, Path("p.toml"), environment)
    assert lines == ["::error file=p.toml,title=edgebci gate%3A a%2Cb%3A%3Ac::50 %25%0Amore"]
    assert "edgebci gate" in summary.read_text()
    assert tell_github(failed, Path("p.toml"), {}) == []


def test_text_from_elsewhere_makes_no_table_cell_and_no_control_character(failed: GateResult, tmp_path: Path) -> None:
    check = failed.checks[0].model_copy(update={"name": "a|b\x00<i>@all"})
    write_outputs(failed.model_copy(update={"checks": (check,)}), tmp_path)
    assert "a\\|b" in (tmp_path / "gate.comment.md").read_text()
    assert "<i>" not in (tmp_path / "gate.comment.md").read_text()
    assert ET.parse(tmp_path / "gate.junit.xml") is not None


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(gate_app, [str(one) for one in arguments])
    code = result.exit_code if result.exception is None or isinstance(result.exception, SystemExit) else 2
    return code, result.output + str(result.exception or "")


def test_the_command_takes_predictions_of_ones_own_from_accept_to_an_exit_code(tmp_path: Path) -> None:
    baseline, files = tmp_path / "baseline.json", {extra: tmp_path / f"{extra}.h5" for extra in (0.0, 0.05)}
    for extra, path in files.items():
        write_predictions(path, candidate(extra).predictions)
    assert run("accept", "--predictions", files[0.0], "--baseline", baseline, "--why", "a start")[0] == 0
    assert run("--predictions", files[0.0], "--baseline", baseline)[0] == 0
    code, said = run("--predictions", files[0.05], "--baseline", baseline, "--json", "--reports", tmp_path / "out")
    assert code == 1
    assert GateResult.model_validate_json(said[said.index("{") : said.rindex("}") + 1]).decision is Outcome.FAIL
    assert (tmp_path / "out" / "gate.junit.xml").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--baseline", "absent.json"), "edgebci gate accept"),
        (("accept", "--why", " ", "--predictions", "absent.h5"), "the reason is empty"),
        (("accept", "--why", "x", "--predictions", "absent.h5"), "no file absent.h5"),
        (("accept", "--why", "x", "--pipeline", "absent.toml"), "no file absent.toml"),
        (("--self-test", "--requests", "0", "--pipeline", "absent.toml"), "ask for at least 1"),
        (("--self-test", "--predictions", "absent.h5"), "no file absent.h5"),
    ],
)
def test_wrong_input_is_one_sentence_and_writes_nothing(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = run(*arguments)
    assert code == 2
    assert sentence in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_takes_a_third_longer_fails_where_more_than_a_microsecond_is_added() -> None:
    rng = np.random.default_rng(0)
    for before_us, outcome in ((20.0, Outcome.FAIL), (2.0, Outcome.PASS)):
        before, after = (before_us * scale * np.exp(0.02 * rng.standard_normal(40)) for scale in (1.0, 1.33))
        check = judged(time_figures([FormTimes("C", before, after)], TimeLimits()), 0.01)[0]
        assert (check.outcome, check.group, check.evidence) == (outcome, "time", "measured")
        assert "taking turns" in check.sentence


def test_a_pipeline_that_was_never_run_cannot_be_taken_as_built(tmp_path: Path) -> None:
    accept(tmp_path / "baseline.json", candidate(), "a test", keep_bundle=False)
    quickstart = Path(__file__).resolve().parents[2] / "examples" / "quickstart.toml"
    given = ("--pipeline", quickstart, "--baseline", tmp_path / "baseline.json", "--out", tmp_path, "--as-built")
    code, said = run(*given)
    assert (code, "holds no finished run of quickstart" in said) == (2, True)
    code, said = run(*given, "--corner", "best")
    assert (code, "allowed are worst and typical" in said) == (2, True)


def test_a_bundle_that_is_kept_must_be_the_one_that_the_baseline_names(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}")
    path = tmp_path / "baseline.json"
    accept(path, replace(candidate(), bundle=bundle), "a test", keep_bundle=True)
    assert open_baseline(path, "").bundle_folder == tmp_path / "baseline.bundle"
    (tmp_path / "baseline.bundle" / "manifest.json").write_text("{ }")
    with pytest.raises(InputError, match=r"bundle's manifest .* SHA-256 differs"):
        open_baseline(path, "")
    accept(path, candidate(), "without", keep_bundle=False)
    assert open_baseline(path, "").bundle_folder is None
