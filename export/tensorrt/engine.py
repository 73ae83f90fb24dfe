"""Building the engine of a bundle on the board itself; elsewhere, saying plainly that it was not built."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from edgebci.export.tensorrt import board, build_engine, cuda_buffers

COMMAND = "copy the folder jetson/ to the board and run there: python3 build_engine.py"


def build_where_possible(folder: Path, on_change: str = "fail") -> str:
    """Build the engine of the folder `jetson/` if this machine is a Jetson with TensorRT; says what became of it.

    Raises:
        BuildError: it should be possible here, and TensorRT built none.
    """
    reason = why_not_here()
    if reason is not None:
        return f"the TensorRT engine was not built and nothing was timed: {reason}; {COMMAND}"
    trt = build_engine.load_tensorrt()
    lock, _ = build_engine.build(folder, trt, on_change, build_engine.read_lock(folder))
    return f"the engine was built by TensorRT {lock.tensorrt} on {lock.board}; run benchmark.py to time it"


def engine_note() -> str:
    """One sentence for who exports: why there is no engine yet, and what builds it. Builds nothing."""
    reason = why_not_here() or "an engine belongs to its board and not into a bundle of reproducible bytes"
    return f"the TensorRT engine was not built and nothing was timed: {reason}; {COMMAND}"


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
