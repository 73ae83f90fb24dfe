"""Building the engine of a bundle on the board itself; elsewhere, saying plainly that it was not built."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from edgebci.errors import EdgebciError
from edgebci.export.tensorrt import board, build_engine, cuda_buffers


class EngineError(EdgebciError):
    """TensorRT is here and builds no engine of what was exported."""


COMMAND = "copy the folder jetson/ to the board and run there: python3 build_engine.py"


def engine_note(folder: Path | None = None) -> str:
    """Build the engine of `folder`, a bundle's jetson/, if this machine is a Jetson with TensorRT; else say why not.

    Returns:
        One sentence on what became of it; without `folder`, nothing is built.

    Raises:
        EngineError: it should be possible here, and TensorRT built none.
    """
    reason = why_not_here() or ("nobody asked for it" if folder is None else None)
    if reason is not None or folder is None:
        return f"the TensorRT engine was not built and nothing was timed: {reason}; {COMMAND}"
    try:
        lock, _ = build_engine.build(folder, build_engine.load_tensorrt(), "fail", build_engine.read_lock(folder))
    except build_engine.BuildError as error:
        raise EngineError(str(error)) from error
    return f"the engine was built by TensorRT {lock.tensorrt} on {lock.board}; run benchmark.py to time it"


def why_not_here(
    find: Callable[[str], object | None] = importlib.util.find_spec,
    cuda: Callable[[], object] = cuda_buffers.open_cuda,
    identity: Callable[[], dict[str, str]] = board.identity,
) -> str | None:
    """What this machine lacks to build an engine for a Jetson; None where it lacks nothing."""
    try:
        cuda()
    except cuda_buffers.CudaError:
        return "this machine has no CUDA GPU"
    if find("tensorrt") is None:
        return "TensorRT's Python binding is not installed here"
    model = identity().get("model", "an unknown machine")
    return (
        None
        if "jetson" in model.lower()
        else f"an engine runs only on the kind of GPU it was built on, this is {model}"
    )
