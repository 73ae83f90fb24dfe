"""Running a step graph over a stream: frames in order, states carried from each step to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from edgebci.arithmetic import F32
from edgebci.errors import InputError
from edgebci.progress import Progress, silent

Tensors = dict[str, NDArray[Any]]
Step = Callable[[Mapping[str, NDArray[Any]]], Tensors]
"""One step: inputs by name to outputs by name."""

CPU = ("CPUExecutionProvider",)
_TYPES = {"tensor(float)": np.float32, "tensor(int8)": np.int8, "tensor(int16)": np.int16, "tensor(int32)": np.int32}


def session_options() -> onnxruntime.SessionOptions:
    """What every session here uses.

    Without x64quantprecision, ONNX Runtime adds pairs of int8 products in 16 bits with saturation on CPUs that lack
    VNNI: the same file then gives wrong sums. It changes nothing in float graphs. One thread: a step is too small to
    share.
    """
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: warnings about unused provider options mean nothing here
    return options


def open_session(model: onnx.ModelProto | Path, providers: Sequence[str] = CPU) -> onnxruntime.InferenceSession:
    """Open a graph in ONNX Runtime.

    Raises:
        InputError: the file is missing or no ONNX graph that the runtime can run.
    """
    if isinstance(model, Path) and not model.is_file():
        raise InputError(f"no file {model}; export the decoder first, or correct the path")
    content = str(model) if isinstance(model, Path) else model.SerializeToString()
    try:
        return onnxruntime.InferenceSession(content, session_options(), providers=list(providers))
    except Exception as error:  # the runtime's own exceptions share no base but this one
        shown = model if isinstance(model, Path) else model.graph.name
        raise InputError(f"ONNX Runtime cannot open {shown} ({error}); export the decoder again") from error


def runtime_step(session: onnxruntime.InferenceSession) -> Step:
    """One step by ONNX Runtime."""
    names = [output.name for output in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(names, dict(feeds)), strict=True))


def evaluator_step(model: onnx.ModelProto) -> Step:
    """One step by onnx's reference evaluator: slow, but an implementation of its own."""
    evaluator = ReferenceEvaluator(model)
    names = [output.name for output in model.graph.output]
    return lambda feeds: dict(zip(names, evaluator.run(names, dict(feeds)), strict=True))


class OnnxStepRunner:
    """Streams frames through a step graph, float or quantized.

    The graph takes `frame` and one input per state, and gives `output` and `{state}.next` for each.
    """

    def __init__(self, model: onnx.ModelProto | Path, providers: Sequence[str] = CPU) -> None:
        self._session = open_session(model, providers)
        self._step = runtime_step(self._session)
        self._frame_type = next(_TYPES[value.type] for value in self._session.get_inputs() if value.name == "frame")
        self._state_inputs = [value for value in self._session.get_inputs() if value.name != "frame"]

    def initial_states(self) -> Tensors:
        """All zero: the state at power-on and after a reset."""
        return {value.name: np.zeros(value.shape, _TYPES[value.type]) for value in self._state_inputs}

    def step(self, frame: NDArray[Any], states: Tensors) -> tuple[F32, Tensors]:
        """Decode one frame (n_inputs,): returns the output (n_outputs,) and the next states."""
        results = self._step({"frame": frame, **states})
        return results["output"], {name: results[f"{name}.next"] for name in states}

    def stream(
        self, frames: NDArray[Any], reset_before: NDArray[np.bool_] | None = None, progress: Progress = silent
    ) -> F32:
        """Decode (T, n_inputs), or tokens (T, N, 2), from zero states, which `reset_before` (T,) restores."""
        resets = np.zeros(len(frames), bool) if reset_before is None else reset_before
        frames = frames.astype(self._frame_type)
        states, outputs = self.initial_states(), []
        for k, frame in enumerate(frames):
            states = self.initial_states() if resets[k] else states
            output, states = self.step(frame, states)
            outputs.append(output)
            if k % 256 == 0:
                progress(k / len(frames), "steps through ONNX Runtime")
        return np.stack(outputs)
