"""run_decoder.py of a Jetson bundle: buffers, ping-ponged states and captured graphs, on a stand-in for the device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgebci.export.tensorrt.run_decoder import DecoderError, StreamDecoder, main, open_decoder, tensors_of
from tests.tensorrt.fake_cuda import FakeContext, FakeCuda, expected

FRAMES = np.random.default_rng(1).standard_normal((9, 3)).astype(np.float32)


def opened(with_graph: bool = True) -> tuple[StreamDecoder, FakeCuda, FakeContext]:
    cuda = FakeCuda()
    context = FakeContext(cuda)
    return StreamDecoder(context, FakeContext.TENSORS, cuda, with_graph), cuda, context


@pytest.mark.parametrize("with_graph", [True, False])
def test_states_go_from_step_to_step_and_begin_at_zero(with_graph: bool) -> None:
    decoder, _, _ = opened(with_graph)
    assert np.array_equal(decoder.stream(FRAMES), expected(FRAMES))


@pytest.mark.parametrize("with_graph", [True, False])
def test_the_very_first_step_starts_from_zero_whatever_lay_in_memory(with_graph: bool) -> None:
    decoder, _, _ = opened(with_graph)
    assert np.array_equal(decoder.step(FRAMES[0]), expected(FRAMES[:1])[0])


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_reset_at_an_odd_or_even_step_starts_anew(at: int) -> None:
    decoder, _, _ = opened()
    for frame in FRAMES[:at]:
        decoder.step(frame)
    decoder.reset()
    found = np.stack([decoder.step(frame).copy() for frame in FRAMES])
    assert np.array_equal(found, expected(FRAMES))


def test_one_graph_for_each_way_is_launched_in_turn() -> None:
    decoder, cuda, _ = opened()
    decoder.stream(FRAMES[:5])
    first, second = cuda.graphs
    assert cuda.launched == [first, second, first, second, first]
    for graph in cuda.graphs.values():
        assert len(graph) == 3  # the frame in, the engine, the output out


def test_a_step_moves_the_frame_and_the_output_and_no_state() -> None:
    decoder, cuda, _ = opened(with_graph=False)
    cuda.log.clear()
    decoder.step(FRAMES[0])
    decoder.step(FRAMES[1])
    copies = [(what, address) for what, address in cuda.log if what != "execute"]
    assert [what for what, _ in copies] == ["to_device", "to_host"] * 2
    assert len(set(copies)) == 2


def test_two_places_for_each_state_and_one_for_the_rest() -> None:
    _, cuda, _ = opened()
    assert sorted(len(memory) for memory in cuda.device.values()) == [8, *[12] * 5]
    assert [array.shape for array in cuda.host] == [(3,), (2,)]


def test_what_is_no_number_or_has_another_shape_is_refused() -> None:
    decoder, _, _ = opened()
    with pytest.raises(TypeError):
        decoder.step(np.asarray(["a", "b", "c"]))
    with pytest.raises(DecoderError, match=r"a frame has shape \(4,\); this decoder takes \(3,\)"):
        decoder.step(np.zeros(4, np.float32))


@pytest.mark.parametrize("left_out", ["frame", "output", "slow.next"])
def test_an_engine_that_is_no_step_is_refused(left_out: str) -> None:
    cuda = FakeCuda()
    tensors = [tensor for tensor in FakeContext.TENSORS if tensor.name != left_out]
    with pytest.raises(DecoderError, match="the engine is no step"):
        StreamDecoder(FakeContext(cuda), tensors, cuda)
    assert cuda.device == {}


def test_a_state_that_changes_its_shape_is_refused() -> None:
    cuda = FakeCuda()
    tensors = [replace(one, shape=(4,)) if one.name == "fast.next" else one for one in FakeContext.TENSORS]
    with pytest.raises(DecoderError, match="the state fast changes its shape or type"):
        StreamDecoder(FakeContext(cuda), tensors, cuda)


def test_an_engine_that_does_not_run_is_said_to_be_refused() -> None:
    decoder, _, context = opened(with_graph=False)
    context.refuses = True
    with pytest.raises(DecoderError, match="TensorRT refused to run the engine"):
        decoder.step(FRAMES[0])


def engine(kind: str = "FLOAT", shape: tuple[int, ...] = (3,)) -> Any:
    modes = {"frame": SimpleNamespace(name="INPUT"), "output": SimpleNamespace(name="OUTPUT")}
    return SimpleNamespace(
        num_io_tensors=2,
        get_tensor_name=[*modes].__getitem__,
        get_tensor_shape=dict.fromkeys(modes, shape).__getitem__,
        get_tensor_dtype=dict.fromkeys(modes, SimpleNamespace(name=kind)).__getitem__,
        get_tensor_mode=modes.__getitem__,
    )


def test_an_engine_tells_its_tensors() -> None:
    frame, output = tensors_of(engine("INT32", (6, 2)))
    assert (frame.name, frame.shape, frame.dtype, frame.is_input) == ("frame", (6, 2), np.int32, True)
    assert (output.is_input, output.n_bytes) == (False, 48)


@pytest.mark.parametrize(("kind", "shape"), [("BF16", (3,)), ("FLOAT", (-1, 3))])
def test_types_and_shapes_that_no_step_has_are_refused(kind: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(DecoderError, match="which no step of a decoder has"):
        tensors_of(engine(kind, shape))


def test_without_an_engine_or_tensorrt_the_program_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DecoderError, match=r"no file .*decoder\.plan; run build_engine\.py"):
        open_decoder(tmp_path / "decoder.plan")
    (tmp_path / "decoder.plan").write_bytes(b"plan")
    np.save(tmp_path / "frames.npy", FRAMES)
    given = [str(tmp_path / name) for name in ("frames.npy", "outputs.npy")]
    assert main([*given, "--engine", str(tmp_path / "decoder.plan")]) == 2
    assert "TensorRT's Python binding is absent" in capsys.readouterr().err
    assert not (tmp_path / "outputs.npy").exists()
