"""The folder that goes to a board: complete, reproducible, proven before it is written, and it runs without edgebci."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebci.decoder_float import FloatDecoder
from edgebci.documents import load_json
from edgebci.errors import VerificationError
from edgebci.example_decoder import random_parameters
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.export.stream_comparison import long_stream
from edgebci.export.tensorrt import benchmark, build_engine, engine, jetson_files
from edgebci.export.tensorrt.cuda_buffers import CudaError
from edgebci.export.tensorrt.engine import COMMAND, EngineError, engine_note, why_not_here
from edgebci.export.tensorrt.jetson_files import JetsonRecord, trtexec_lines, write_jetson
from edgebci.files import sha256
from tests.tensorrt.conftest import Case, make_case
from tests.tensorrt.fake_tensorrt import FakeTensorRT

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    *("decoder.onnx", "build_engine.py", "run_decoder.py", "benchmark.py", "cuda_buffers.py", "board.py"),
    *("check_engine.py", "check_frames.npy", "check_outputs.npy", "jetson.json", "README.txt"),
}
BOARD_PACKAGES = {"numpy", "tensorrt", *(name.removesuffix(".py") for name in FILES if name.endswith(".py"))}


def write(folder: Path, case: Case, precision: Any = "int8", **more: Any) -> JetsonRecord:
    folder.mkdir()
    given: dict[str, Any] = {"quantized": case.quantized, "reference": case.reference, **more}
    quantized, reference = given.pop("quantized"), given.pop("reference")
    frames, resets = case.frames[:120], case.resets[:120]
    target = "jetson-orin-nano"
    return write_jetson(folder, case.step, quantized, reference, target, precision, frames, resets, 0.02, **given)


@pytest.fixture
def quick(few_evaluator_steps: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer steps than an export takes; one bundle of this module takes them all."""
    monkeypatch.setattr(jetson_files, "long_stream", lambda frames, resets: long_stream(frames, resets, 200))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JetsonRecord]:
    folder = tmp_path_factory.mktemp("jetson") / "bundle"
    return folder / "jetson", write(folder, make_case("gru"))


def test_everything_for_the_board_is_there(bundle: tuple[Path, JetsonRecord]) -> None:
    folder, record = bundle
    assert {path.name for path in folder.iterdir()} == FILES
    assert load_json(folder / "jetson.json", JetsonRecord) == record
    assert (record.decoder_sha256, record.decoder_bytes) == (
        sha256(folder / "decoder.onnx"),
        (folder / "decoder.onnx").stat().st_size,
    )


def test_the_record_says_what_each_layer_is_and_what_was_proven(bundle: tuple[Path, JetsonRecord]) -> None:
    record = bundle[1]
    assert [one.name for one in record.layers if one.computes != "int8"] == ["readout"]
    assert 0.9 < record.int8_dense_share < 1.0
    assert record.layer_agreement is not None
    assert record.layer_agreement.steps == record.float_agreement.steps == 2000
    assert record.checked_against == {
        "10.x": "operator matrix of release 10.1",
        "11.x": "operator matrix of release 10.15, opsets of 11.2",
    }
    assert [value.name for value in record.outputs] == ["output", "hidden.0.next", "hidden.1.next"]
    assert {value.dtype for value in (*record.inputs, *record.outputs)} == {"float32"}


def test_the_shipped_graph_runs_like_any_step(bundle: tuple[Path, JetsonRecord]) -> None:
    case = make_case("gru")
    found = OnnxStepRunner(bundle[0] / "decoder.onnx").stream(case.frames, case.resets)
    truth = case.reference.stream(case.frames, case.resets)
    assert np.sum((found - truth) ** 2) < 0.01 * np.sum(truth**2)


def test_the_frames_of_the_check_are_nobodys_and_their_outputs_those_of_the_graph(
    bundle: tuple[Path, JetsonRecord],
) -> None:
    frames, outputs = (np.load(bundle[0] / f"check_{name}.npy") for name in ("frames", "outputs"))
    assert frames.shape == (100, 24)
    assert np.array_equal(frames, np.random.default_rng(0).standard_normal((100, 24)).astype(np.float16))
    assert np.array_equal(outputs, OnnxStepRunner(bundle[0] / "decoder.onnx").stream(frames))


def test_the_readme_names_what_is_not_int8_and_claims_no_engine(bundle: tuple[Path, JetsonRecord]) -> None:
    text = (bundle[0] / "README.txt").read_text()
    assert "readout (2 x 16): fp16, fewer than 16 outputs" in text
    assert "No engine was built and nothing was timed where this folder was written." in text
    for line in trtexec_lines().values():
        assert line in text


def test_trtexec_asks_for_strong_types_where_they_are_not_the_only_ones() -> None:
    lines = trtexec_lines()
    assert "--stronglyTyped" in lines["10"]
    assert "--stronglyTyped" not in lines["11"]
    for line in lines.values():
        assert not any(weak in line for weak in ("--fp16", "--int8", "--best", "--calib"))
        assert "--noTF32" in line


@pytest.mark.usefixtures("quick")
def test_the_same_decoder_gives_the_same_files(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write(tmp_path / name, make_case("gru"))
    for name in FILES:
        first, second = ((tmp_path / run / "jetson" / name).read_bytes() for run in ("first", "second"))
        assert first == second, name


def test_the_programs_are_of_python_3_10_and_import_what_a_board_has(bundle: tuple[Path, JetsonRecord]) -> None:
    for path in sorted(bundle[0].glob("*.py")):
        tree = ast.parse(path.read_text(), feature_version=(3, 10))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
        assert names <= BOARD_PACKAGES, path.name
        assert "UTC" not in {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("name", ["build_engine", "check_engine", "run_decoder", "benchmark"])
def test_each_program_starts_alone_and_shows_its_help(bundle: tuple[Path, JetsonRecord], name: str) -> None:
    run = subprocess.run(
        [sys.executable, "-IB", "-c", f"import sys; sys.path.insert(0, {str(bundle[0])!r}); import {name}; "
         f"assert not [m for m in sys.modules if m.startswith('edgebci')]; {name}.main(['--help'])"],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "usage:" in run.stdout


RUN_ON_A_BOARD = """
import runpy, sys
from tests.tensorrt.fake_tensorrt import FakeTensorRT
sys.modules["tensorrt"] = FakeTensorRT("11.4.1.12")
sys.path.insert(0, sys.argv[1])
sys.argv = [sys.argv[1] + "/build_engine.py"]
import board
board.identity = lambda: {"model": "NVIDIA Jetson AGX Thor"}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_shipped_program_builds_the_shipped_graph_and_locks_it(
    bundle: tuple[Path, JetsonRecord], tmp_path: Path
) -> None:
    folder = tmp_path / "jetson"
    shutil.copytree(bundle[0], folder)
    says = []
    for _ in range(2):
        command = [sys.executable, "-Bc", RUN_ON_A_BOARD, str(folder)]
        run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert run.returncode == 0, run.stderr
        says.append(run.stdout)
    assert says[0].startswith("decoder.plan built anew, ")
    assert says[1] == (
        "decoder.plan built from the locked timing cache by TensorRT 11.4.1.12 on NVIDIA Jetson AGX Thor\n"
    )
    assert {path.name for path in folder.iterdir()} == FILES | {
        "decoder.plan",
        "decoder.timing_cache",
        "decoder.lock.json",
    }


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_floating_precisions_need_no_integers(tmp_path: Path, mamba2: Case, precision: str) -> None:
    record = write(tmp_path / "bundle", mamba2, precision, quantized=None)
    assert {one.computes for one in record.layers} == {precision}
    assert (record.int8_dense_share, record.layer_agreement) == (0.0, None)


@pytest.mark.usefixtures("quick")
def test_small_layers_can_be_padded(tmp_path: Path, mamba2: Case) -> None:
    record = write(tmp_path / "bundle", mamba2, small="pad")
    assert record.int8_dense_share == 1.0
    assert (
        "readout (2 x 16): int8, fewer than 16 outputs, padded with zeros to 16 x 16"
        in (tmp_path / "bundle" / "jetson" / "README.txt").read_text()
    )


@pytest.mark.usefixtures("quick")
def test_a_graph_that_fails_its_proof_is_not_written(tmp_path: Path, mamba2: Case) -> None:
    other = FloatDecoder.of(mamba2.spec, random_parameters(mamba2.spec, 99))
    with pytest.raises(VerificationError, match=r"differs at step \d+"):
        write(tmp_path / "bundle", mamba2, reference=other)
    assert list((tmp_path / "bundle").iterdir()) == []


def no_gpu() -> object:
    raise CudaError("none")


def test_where_there_is_no_gpu_the_note_says_that_nothing_was_built() -> None:
    assert why_not_here(cuda=no_gpu) == "this machine has no CUDA GPU"
    assert why_not_here(find={"tensorrt": None}.get, cuda=object) == "TensorRT's Python binding is not installed here"
    found = {"tensorrt": object()}.get
    assert why_not_here(found, object, lambda: {"model": "Some GPU"}) == (
        "an engine runs only on the kind of GPU it was built on, this is Some GPU"
    )
    assert why_not_here(found, object, lambda: {"model": "NVIDIA Jetson AGX Thor"}) is None


def test_without_a_board_the_note_is_one_sentence_and_the_folder_stays_as_it_is(
    bundle: tuple[Path, JetsonRecord],
) -> None:
    for note in (engine_note(), engine_note(bundle[0])):
        assert note.startswith("the TensorRT engine was not built and nothing was timed: ")
        assert note.endswith(COMMAND)
    assert {path.name for path in bundle[0].iterdir()} == FILES


def test_on_a_board_the_engine_is_built_and_locked(
    bundle: tuple[Path, JetsonRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, trt = tmp_path / "jetson", FakeTensorRT("10.3.0.30")
    shutil.copytree(bundle[0], folder)
    monkeypatch.setattr(engine, "why_not_here", lambda: None)
    monkeypatch.setattr(build_engine, "load_tensorrt", lambda: trt)
    monkeypatch.setattr(build_engine, "identity", lambda: {"model": "NVIDIA Jetson Orin NX"})
    note = engine_note(folder)
    assert note == "the engine was built by TensorRT 10.3.0.30 on NVIDIA Jetson Orin NX; run benchmark.py to time it"
    assert {path.name for path in folder.glob("decoder.*")} == {
        "decoder.onnx",
        "decoder.plan",
        "decoder.timing_cache",
        "decoder.lock.json",
    }
    trt.parser_errors = ["no importer for Foo"]
    with pytest.raises(EngineError, match="refuses the graph: no importer for Foo"):
        engine_note(folder)


def test_programs_lose_the_package_from_their_imports_and_nothing_else() -> None:
    text = jetson_files.program(benchmark)
    assert "from run_decoder import ENGINE, open_decoder" in text
    assert "import board\n" in text
    assert "edgebci.export" not in text
    assert "edgebci.board_measurement/1" in text
