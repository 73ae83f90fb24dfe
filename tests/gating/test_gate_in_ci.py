"""The action, the examples and the pytest plugin, run as far as they can be run without a CI server."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

# pytester forgets what a run within it imports first, and a library in C loads once only.
import edgebci.pipeline.gating.own_predictions  # noqa: F401
from edgebci.cli.gate import gate_app

ROOT = Path(__file__).resolve().parents[2]
yaml: Any = importlib.import_module("yaml")  # has no types
ACTION: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "actions" / "gate" / "action.yml").read_text())
EXAMPLES = ("gate_in_your_ci.yml", "gate_in_gitlab_ci.yml")

pytest_plugins = ("pytester",)


def step(name: str) -> str:
    return str(next(one["run"] for one in ACTION["runs"]["steps"] if one["name"] == name))


@pytest.mark.parametrize(("code", "decision"), [(0, "pass"), (1, "fail"), (2, None), (3, "undecided")])
def test_the_action_passes_the_exit_code_on_and_says_the_decision(tmp_path: Path, code: int, decision: str) -> None:
    fake, output = tmp_path / "edgebci", tmp_path / "output"
    fake.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > "{tmp_path}/given"\nexit {code}\n')
    fake.chmod(0o755)
    output.touch()
    inputs = {"PIPELINE": "my own.toml", "BASELINE": "b.json", "REPORTS": "r", "PREDICTIONS": "p.h5"}
    environment = os.environ | inputs | {"MORE": "--corner typical", "GITHUB_OUTPUT": str(output)}
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    done = subprocess.run(["bash", "-e", "-c", step("Gate")], env=environment, check=False)
    assert done.returncode == code
    assert output.read_text() == (f"decision={decision}\n" if decision else "")
    given = (tmp_path / "given").read_text().splitlines()
    assert given[:3] == ["gate", "--pipeline", "my own.toml"]
    assert given[-4:] == ["--corner", "typical", "--predictions", "p.h5"]


def test_no_step_of_the_action_pastes_inputs_into_a_script() -> None:
    scripts = [one["run"] for one in ACTION["runs"]["steps"]]
    assert len(scripts) == 3
    assert not any("${{" in script for script in scripts)


def test_every_option_that_action_and_examples_use_is_one_of_the_command() -> None:
    command = get_command(gate_app)
    known = {option for parameter in command.params for option in parameter.opts}
    known |= {option for parameter in command.commands["accept"].params for option in parameter.opts}  # type: ignore[attr-defined]
    texts = [step("Gate"), *((ROOT / "examples" / name).read_text() for name in EXAMPLES)]
    used = {
        option
        for text in texts
        for line in re.findall("edgebci gate.*", text)
        for option in re.findall("--[a-z-]+", line)
    }
    assert used
    assert used <= known


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_yaml_of_under_80_lines_that_run_the_gate(name: str) -> None:
    text = (ROOT / "examples" / name).read_text()
    assert len(text.splitlines()) < 80
    given = yaml.safe_load(text)
    jobs = given.get("jobs", given)
    assert "gate" in jobs
    inputs: dict[str, str] = next(
        (s["with"] for s in jobs["gate"].get("steps", []) if "actions/gate" in s.get("uses", "")), {}
    )
    assert inputs.keys() <= ACTION["inputs"].keys()


DECODER_TEST = """
import numpy as np

def test_my_decoder(edgebci_gate):
    truth, noise = np.random.default_rng(0).standard_normal((2, 15000))
    worse = {extra} * np.random.default_rng(1).standard_normal(15000)
    edgebci_gate(truth=truth, predictions={{"mine": truth + 0.5 * noise + worse}}, times_s=np.arange(15000) / 50)
"""


def test_a_decoders_regression_is_an_ordinary_test(pytester: pytest.Pytester) -> None:
    # Where the package was installed since it has the plugin, pytest finds it by itself.
    installed = any(one.name == "edgebci_gate" for one in importlib.metadata.entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "edgebci.pipeline.gating.pytest_plugin"]
    baseline = ["--edgebci-baseline", "kept.json"]
    pytester.makepyfile(DECODER_TEST.format(extra=0))
    absent = pytester.runpytest_inprocess(*plugin, *baseline)
    absent.assert_outcomes(failed=1)
    absent.stdout.fnmatch_lines(["*there is no baseline kept.json*--edgebci-accept*"])
    pytester.runpytest_inprocess(*plugin, *baseline, "--edgebci-accept", "a start").assert_outcomes(passed=1)
    pytester.runpytest_inprocess(*plugin, *baseline).assert_outcomes(passed=1)
    pytester.makepyfile(DECODER_TEST.format(extra=0.3))
    worse = pytester.runpytest_inprocess(*plugin, *baseline)
    worse.assert_outcomes(failed=1)
    worse.stdout.fnmatch_lines(["*FAIL: 1 of 2 checks got worse: mine, axis 0*"])


OUTSIDE = """
import numpy as np

STEPS, truth = np.arange(15000), np.random.default_rng(0).standard_normal(15000)
decoded = truth + 0.5 * np.random.default_rng(1).standard_normal(15000)

def test_follows(edgebci_gate, pytestconfig):
    worse = 0.3 * np.random.default_rng(3).standard_normal(15000) * bool(pytestconfig.getoption("verbose"))
    edgebci_gate(truth=truth, predictions={"follower": decoded + worse}, times_s=STEPS / 50)
"""


def test_the_plugin_gates_a_decoder_in_a_folder_that_knows_nothing_of_this_repository(tmp_path: Path) -> None:
    """The installed package alone brings fixture and options: no conftest, no -p, no setting of this repository."""
    if not any(one.name == "edgebci_gate" for one in importlib.metadata.entry_points(group="pytest11")):
        pytest.skip("the installed edgebci is older than its pytest plugin; install it again")
    (tmp_path / "test_mine.py").write_text(OUTSIDE)
    # Nothing of this run may leak into theirs: neither its options nor its coverage.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}

    def outside(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--edgebci-baseline", "kept.json"]
        return subprocess.run(
            [*command, *options], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    accepted = outside("--edgebci-accept", "a start")
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    assert {"kept.json", "kept.predictions.h5"} <= {path.name for path in tmp_path.iterdir()}
    worse = outside("-v")
    assert worse.returncode == 1, worse.stdout
    assert "FAIL: 1 of 2 checks got worse: follower, axis 0" in worse.stdout
    assert "Traceback" not in worse.stdout
