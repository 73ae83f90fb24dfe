"""check_engine.py passes an engine that rounds elsewhere, and no engine that computes something else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgebci.arithmetic import F32
from edgebci.export.step_runner import OnnxStepRunner, evaluator_step
from edgebci.export.tensorrt import check_engine
from edgebci.export.tensorrt.check_engine import LEAST_DB, agreement_db, judged, main
from edgebci.export.tensorrt.run_decoder import DecoderError
from edgebci.export.tensorrt.typed_graph import typed_step
from tests.tensorrt.conftest import Case

FRAMES = np.random.default_rng(0).standard_normal((60, 24)).astype(np.float16)


def in_the_evaluator(case: Case, precision: str) -> tuple[F32, F32]:
    """Outputs of the same graph in ONNX Runtime and in onnx's evaluator."""
    model = typed_step(case.step, precision, case.integers).model  # type: ignore[arg-type]
    runner, step = OnnxStepRunner(model), evaluator_step(model)
    states, outputs = runner.initial_states(), []
    for frame in FRAMES.astype(np.float32):
        results = step({"frame": frame, **states})
        states = {name: results[f"{name}.next"] for name in states}
        outputs.append(results["output"])
    return runner.stream(FRAMES), np.stack(outputs)


@pytest.mark.parametrize("precision", LEAST_DB)
def test_another_implementation_of_the_same_graph_passes(case: Case, precision: str) -> None:
    expected, found = in_the_evaluator(case, precision)
    passed, sentence = judged(expected, found, precision)
    assert passed, sentence
    assert "decodes what its graph decodes" in sentence


@pytest.mark.parametrize("precision", LEAST_DB)
def test_a_state_that_is_forgotten_does_not_pass(case: Case, precision: str) -> None:
    runner = OnnxStepRunner(typed_step(case.step, precision, case.integers).model)  # type: ignore[arg-type]
    without_memory = runner.stream(FRAMES, np.ones(len(FRAMES), bool))
    passed, sentence = judged(runner.stream(FRAMES), without_memory, precision)
    assert not passed
    assert "does not decode what its graph decodes" in sentence


def test_levels_are_decibels_and_nan_never_passes() -> None:
    ones = np.ones((4, 2), np.float32)
    assert agreement_db(ones, ones * 1.1) == pytest.approx(20.0, abs=1e-4)
    assert agreement_db(ones, ones) == float("inf")
    assert agreement_db(ones * 0, ones) == -float("inf")
    assert not judged(ones, ones * np.nan, "int8")[0]


class FakeDecoder:
    frame_dtype = np.float32

    def __init__(self, outputs: F32) -> None:
        self.outputs = outputs

    def stream(self, frames: F32) -> F32:
        assert frames.dtype == np.float32
        return self.outputs


def test_the_command_line_ends_with_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = np.random.default_rng(1).standard_normal((60, 2)).astype(np.float32)
    (tmp_path / "jetson.json").write_text(json.dumps({"precision": "int8"}))
    np.save(tmp_path / "check_frames.npy", FRAMES)
    np.save(tmp_path / "check_outputs.npy", expected)
    monkeypatch.setattr(check_engine, "__file__", str(tmp_path / "check_engine.py"))
    for outputs, code in ((expected * np.float32(1.01), 0), (expected[::-1], 1)):
        decoder = FakeDecoder(outputs)
        monkeypatch.setattr(check_engine, "open_decoder", {tmp_path / "decoder.plan": decoder}.__getitem__)
        assert main([]) == code
    assert "the engine decodes what its graph decodes: 40.0 dB over 60 steps" in capsys.readouterr().out


def test_without_an_engine_nothing_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--engine", "no.plan"]) == 2
    assert "nothing was checked" in capsys.readouterr().err
    assert issubclass(DecoderError, ValueError)
