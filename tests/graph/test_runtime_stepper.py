"""The runner of ONNX Runtime targets: bound buffers change no bit, providers are never chosen silently."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from edgebci.errors import InputError, VerificationError
from edgebci.export import run_decoder
from edgebci.export.chunk_graph import chunk_graph
from edgebci.export.run_decoder import BoundDecoder, main
from edgebci.export.runtime_stepper import present_providers, runtime_stepper, verify_runner, write_runner
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.export.step_runner import session_options as plain_options
from tests.graph.conftest import step_form


def written(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "step.onnx")
    return folder / "step.onnx"


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_bound_buffers_give_the_bits_of_the_plain_runner_across_resets(
    form: Any, precision: str, tmp_path: Path
) -> None:
    path, frames = written(form.graphs[precision], tmp_path), form.frames[:150]
    resets = np.isin(np.arange(150), [0, 5, 6, 101])
    found = verify_runner(path, frames, resets)
    assert (found.provider, found.execution_providers, found.verified_steps) == ("cpu", ("CPUExecutionProvider",), 150)
    assert found.verified_on == platform.machine()
    assert found.session_options["session.x64quantprecision"] == "1"
    expected = OnnxStepRunner(path).stream(frames, resets)
    assert runtime_stepper(path).stream(frames, resets).tobytes() == expected.tobytes()


def test_states_are_where_the_last_step_left_them(mamba2: Any, tmp_path: Path) -> None:
    path = written(mamba2.quantized_graph, tmp_path)
    bound, plain = runtime_stepper(path), OnnxStepRunner(path)
    states = plain.initial_states()
    for n in range(1, 4):  # odd and even numbers of steps: either buffer
        _, states = plain.step(mamba2.frames[n], states)
        bound.step(mamba2.frames[n])
        assert {name: values.tobytes() for name, values in bound.states().items()} == {
            name: values.tobytes() for name, values in states.items()
        }
    bound.reset()
    assert not any(values.any() for values in bound.states().values())


def test_a_stream_begins_from_zero_whatever_ran_before(mamba2: Any, tmp_path: Path) -> None:
    bound = runtime_stepper(written(mamba2.float_graph, tmp_path))
    first = bound.stream(mamba2.frames[:31])
    assert bound.stream(mamba2.frames[:31]).tobytes() == first.tobytes()


@pytest.mark.parametrize("name", ["mamba2", "tokenizer", "possm gru", "mixed gru"])
def test_the_runner_takes_chunks_and_gives_the_bits_of_the_step(name: str, tmp_path: Path) -> None:
    form = step_form(name)
    step, frames = form.quantized_graph, form.frames[:60]
    resets = np.isin(np.arange(60), [0, 15])
    bound = runtime_stepper(written(chunk_graph(step, 5), tmp_path))
    assert bound.frames_per_step == 5
    assert bound.stream(frames, resets).tobytes() == OnnxStepRunner(step).stream(frames, resets).tobytes()


def test_frames_that_do_not_fill_chunks_are_refused(mamba2: Any, tmp_path: Path) -> None:
    bound = runtime_stepper(written(chunk_graph(mamba2.float_graph, 5), tmp_path))
    with pytest.raises(
        run_decoder.DecoderError, match=r"12 frames, .* 0 times, do not fill chunks of 5; decode the rest"
    ):
        bound.stream(mamba2.frames[:12])
    with pytest.raises(run_decoder.DecoderError, match="10 frames, started anew within a chunk 1 times, do not fill"):
        bound.stream(mamba2.frames[:10], np.arange(10) == 7)


def test_the_runner_has_the_options_of_every_other_session() -> None:
    bound, plain = run_decoder.session_options("cpu"), plain_options()
    for key in run_decoder.configuration_entries("cpu"):
        assert bound.get_session_config_entry(key) == plain.get_session_config_entry(key)
    assert bound.intra_op_num_threads == plain.intra_op_num_threads == 1
    assert bound.graph_optimization_level == plain.graph_optimization_level


def test_a_runner_that_forgets_a_reset_is_found(mamba2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, resets = written(mamba2.float_graph, tmp_path), np.arange(40) == 9
    monkeypatch.setattr(BoundDecoder, "reset", lambda _: None)
    with pytest.raises(VerificationError, match="bound buffers: the bits of output differ at step 9;"):
        verify_runner(path, mamba2.frames[:40], resets)


def test_a_runner_that_reads_what_it_wrote_last_but_one_is_found(
    mamba2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = BoundDecoder.step

    def stuck(self: BoundDecoder, frame: Any) -> Any:
        result = step(self, frame)
        self._turn = 0
        return result

    monkeypatch.setattr(BoundDecoder, "step", stuck)
    with pytest.raises(VerificationError, match="bound buffers: the bits of output differ at step 1;"):
        verify_runner(written(mamba2.float_graph, tmp_path), mamba2.frames[:40])


def test_no_frames_prove_nothing(mamba2: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frames to verify the runner with"):
        verify_runner(written(mamba2.float_graph, tmp_path), mamba2.frames[:0])


def test_a_provider_that_the_runtime_lacks_is_refused_and_not_replaced(
    mamba2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(mamba2.float_graph, tmp_path)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert present_providers() == ("cpu",)
    with pytest.raises(InputError, match=r"lacks CUDAExecutionProvider \(it has CPUExecutionProvider\); install"):
        runtime_stepper(path, "cuda")
    with pytest.raises(InputError, match="lacks TensorrtExecutionProvider, CUDAExecutionProvider"):
        runtime_stepper(path, "tensorrt")
    with pytest.raises(InputError, match="unknown provider 'gpu'; choose one of cpu, cuda, tensorrt"):
        runtime_stepper(path, "gpu")


def test_a_runtime_that_takes_another_provider_than_asked_is_refused(
    mamba2: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, ...]] = []

    class Fallen:
        """What onnxruntime gives where CUDA's libraries do not load."""

        def __init__(self, _path: str, options: Any, providers: list[str]) -> None:
            opened.append(tuple(providers))
            assert options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"

        def disable_fallback(self) -> None: ...

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Fallen)
    with pytest.raises(InputError, match="took CPUExecutionProvider in place of CUDAExecutionProvider"):
        runtime_stepper(written(mamba2.float_graph, tmp_path), "cuda")
    assert opened == [("CUDAExecutionProvider",)]


def test_a_graph_that_is_no_step_is_refused(mamba2: Any, tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2])
    other = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])
    second = onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [2])
    nodes = [onnx.helper.make_node("Identity", ["x"], [name]) for name in ("y", "z")]
    graph = onnx.helper.make_graph(nodes, "g", [value], [other, second])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)
    with pytest.raises(InputError, match=r"step\.onnx is no step: its outputs are not one and the next value"):
        runtime_stepper(written(model, tmp_path))
    with pytest.raises(InputError, match=r"no file .*absent\.onnx; give the \.onnx of the bundle"):
        runtime_stepper(tmp_path / "absent.onnx")
    with pytest.raises(run_decoder.DecoderError, match=r"a frame has shape \(3,\); this decoder takes \(48,\)"):
        runtime_stepper(written(mamba2.float_graph, tmp_path)).step(np.zeros(3, np.float32))


def test_the_file_in_the_bundle_runs_alone_and_gives_the_same_bits(mamba2: Any, tmp_path: Path) -> None:
    path, runner = written(mamba2.quantized_graph, tmp_path), write_runner(tmp_path)
    assert "edgebci." not in runner.read_text(encoding="utf-8")
    np.save(tmp_path / "frames.npy", mamba2.frames[:50])
    # -I: not the package, not this folder, only what is installed.
    command = [sys.executable, "-I", str(runner), str(path), str(tmp_path / "frames.npy"), str(tmp_path / "out.npy")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("50 frames decoded on cpu")
    assert np.load(tmp_path / "out.npy").tobytes() == OnnxStepRunner(path).stream(mamba2.frames[:50]).tobytes()


def test_the_runner_ends_with_2_and_a_sentence(mamba2: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(mamba2.quantized_graph, tmp_path)
    np.save(tmp_path / "narrow.npy", np.zeros((5, 3), np.float32))
    np.save(tmp_path / "complex.npy", np.zeros((5, 48), np.complex64))
    sentences = {"narrow": "a frame has shape (3,)", "absent": "No such file", "complex": "Cannot cast"}
    for frames, sentence in sentences.items():
        assert main([str(path), str(tmp_path / f"{frames}.npy"), str(tmp_path / "out.npy")]) == 2
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out.npy").exists()
    np.save(tmp_path / "frames.npy", mamba2.frames[:3])
    assert main([str(path), str(tmp_path / "frames.npy"), str(tmp_path / "absent" / "out.npy")]) == 2
    assert "No such file" in capsys.readouterr().err
