"""Run a decoder's TensorRT engine frame by frame: needs Python 3.10, numpy, TensorRT's binding and CUDA's runtime.

    python3 run_decoder.py frames.npy outputs.npy [--engine decoder.plan] [--without-cuda-graph]

frames.npy holds normalised features (T, n_inputs); outputs.npy gets (T, n_outputs). As a library:
`decoder = open_decoder("decoder.plan")`, then `decoder.step(frame)` for every frame as it comes, and `decoder.reset()`
where the stream starts anew.

The states never leave the device and are never copied: each has two places, a step reads one and writes the other, and
the next step goes the other way. For each way one CUDA graph is captured, copies of the frame and of the output
included, so that a step is one launch and one wait.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebci.export.tensorrt.cuda_buffers import CudaError, open_cuda

ENGINE = "decoder.plan"
TYPES: dict[str, Any] = {"FLOAT": np.float32, "HALF": np.float16, "INT8": np.int8, "INT32": np.int32, "INT64": np.int64}
"""By what TensorRT calls them."""
FRAME, OUTPUT, NEXT = "frame", "output", ".next"


class DecoderError(ValueError):
    """One sentence on what cannot be run and what to do."""


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of the engine."""

    name: str
    shape: tuple[int, ...]
    dtype: Any
    is_input: bool

    @property
    def n_bytes(self) -> int:
        """Of its buffer."""
        return math.prod(self.shape) * int(np.dtype(self.dtype).itemsize)


class StreamDecoder:
    """One stream through an engine.

    Args:
        context: an execution context of TensorRT.
        tensors: the engine's inputs and outputs.
        cuda: a `cuda_buffers.Cuda`.
        with_graph: capture CUDA graphs; without, every step enqueues its parts.

    Raises:
        DecoderError: the engine is no step of a decoder.
    """

    def __init__(self, context: Any, tensors: Sequence[TensorInfo], cuda: Any, with_graph: bool = True) -> None:
        by_name = {tensor.name: tensor for tensor in tensors}
        self._states = [tensor for tensor in tensors if tensor.is_input and tensor.name != FRAME]
        _check_step(by_name, self._states)
        self._context, self._cuda = context, cuda
        self._frame: np.ndarray[Any, Any] = cuda.pinned(by_name[FRAME].shape, by_name[FRAME].dtype)
        self._output: np.ndarray[Any, Any] = cuda.pinned(by_name[OUTPUT].shape, by_name[OUTPUT].dtype)
        self._frame_at, self._output_at = (cuda.memory(by_name[name].n_bytes) for name in (FRAME, OUTPUT))
        self._state_at = [{state.name: cuda.memory(state.n_bytes) for state in self._states} for _ in range(2)]
        self._turn = 0
        # TensorRT sets itself up in its first runs with new addresses, which a graph must not hold.
        for turn in range(2):
            self._enqueue(turn)
        self._cuda.wait()
        self._graphs = [cuda.capture(lambda turn=turn: self._enqueue(turn)) for turn in range(2)] if with_graph else []
        self.reset()

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """What a step takes."""
        return tuple(self._frame.shape)

    @property
    def frame_dtype(self) -> Any:
        """In which it takes it."""
        return self._frame.dtype

    @property
    def output_shape(self) -> tuple[int, ...]:
        """What a step gives."""
        return tuple(self._output.shape)

    def reset(self) -> None:
        """All states to zero, as at power-on."""
        for state in self._states:
            self._cuda.zero(self._state_at[self._turn][state.name], state.n_bytes)
        self._cuda.wait()

    def step(self, frame: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Decode one frame; the output is overwritten by the next step, so copy what must stay."""
        if frame.shape != self._frame.shape:
            raise DecoderError(f"a frame has shape {frame.shape}; this decoder takes {self._frame.shape}")
        np.copyto(self._frame, frame, casting="same_kind")
        if self._graphs:
            self._cuda.launch(self._graphs[self._turn])
        else:
            self._enqueue(self._turn)
        self._cuda.wait()
        self._turn = 1 - self._turn
        return self._output

    def stream(self, frames: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Frames (T, ...) from zero states to outputs (T, n_outputs)."""
        self.reset()
        outputs = np.zeros((len(frames), *self._output.shape), self._output.dtype)
        for k, frame in enumerate(frames):
            outputs[k] = self.step(frame)
        return outputs

    def _enqueue(self, turn: int) -> None:
        """One step that reads the states of `turn` and writes those of the other."""
        self._cuda.to_device(self._frame_at, self._frame)
        self._bind(FRAME, self._frame_at)
        self._bind(OUTPUT, self._output_at)
        for state in self._states:
            self._bind(state.name, self._state_at[turn][state.name])
            self._bind(state.name + NEXT, self._state_at[1 - turn][state.name])
        if not self._context.execute_async_v3(self._cuda.stream):
            raise DecoderError("TensorRT refused to run the engine; build it anew with build_engine.py")
        self._cuda.to_host(self._output, self._output_at)

    def _bind(self, name: str, address: int) -> None:
        if not self._context.set_tensor_address(name, address):
            raise DecoderError(f"TensorRT refused the buffer of {name}; build the engine anew with build_engine.py")


def _check_step(tensors: dict[str, TensorInfo], states: Sequence[TensorInfo]) -> None:
    wanted = {FRAME, OUTPUT, *(state.name for state in states), *(state.name + NEXT for state in states)}
    if set(tensors) != wanted:
        raise DecoderError(f"the engine is no step: it has {sorted(tensors)} where a step has {sorted(wanted)}")
    for state in states:
        following = tensors[state.name + NEXT]
        if (following.shape, following.dtype) != (state.shape, state.dtype):
            raise DecoderError(f"the state {state.name} changes its shape or type in a step; export the decoder again")


def tensors_of(engine: Any) -> list[TensorInfo]:
    """The inputs and outputs of an engine, in its order.

    Raises:
        DecoderError: one has a type that no step has, or a dynamic shape.
    """
    found = []
    for number in range(engine.num_io_tensors):
        name = engine.get_tensor_name(number)
        shape = tuple(int(size) for size in engine.get_tensor_shape(name))
        kind = engine.get_tensor_dtype(name).name
        if kind not in TYPES or min(shape, default=0) < 0:
            raise DecoderError(f"{name} is {kind} of shape {shape}, which no step of a decoder has; export it again")
        found.append(TensorInfo(name, shape, TYPES[kind], engine.get_tensor_mode(name).name == "INPUT"))
    return found


def open_decoder(path: str | Path, with_graph: bool = True) -> StreamDecoder:
    """Open an engine that build_engine.py wrote on this board.

    Raises:
        DecoderError: no file, no TensorRT, or an engine of another version or board.
    """
    if not Path(path).is_file():
        raise DecoderError(f"no file {path}; run build_engine.py on this board first")
    try:
        trt: Any = importlib.import_module("tensorrt")
    except ImportError as error:
        raise DecoderError(
            f"TensorRT's Python binding is absent ({error}); apt-get install python3-libnvinfer"
        ) from error
    runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
    engine = runtime.deserialize_cuda_engine(Path(path).read_bytes())
    if engine is None:
        raise DecoderError(
            f"TensorRT {trt.__version__} cannot open {path}, which another version or board may have made; run "
            "build_engine.py here"
        )
    # The binding keeps the runtime and the engine for as long as the context lives.
    return StreamDecoder(engine.create_execution_context(), tensors_of(engine), open_cuda(), with_graph)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0, or 2 with a sentence."""
    parser = argparse.ArgumentParser(description="Run a decoder's TensorRT engine.")
    parser.add_argument("frames", type=Path, help=".npy of (T, n_inputs)")
    parser.add_argument("outputs", type=Path, help=".npy to write, (T, n_outputs)")
    parser.add_argument("--engine", type=Path, default=Path(__file__).parent / ENGINE)
    parser.add_argument("--without-cuda-graph", action="store_true")
    given = parser.parse_args(arguments)
    try:
        frames = np.load(given.frames, allow_pickle=False)
        outputs = open_decoder(given.engine, not given.without_cuda_graph).stream(frames)
    except (OSError, ValueError, CudaError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    np.save(given.outputs, outputs, allow_pickle=False)
    sys.stdout.write(f"{len(outputs)} frames decoded, written to {given.outputs}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
