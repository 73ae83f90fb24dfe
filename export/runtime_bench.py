"""ONNX Runtime at its best, to time others against: every optimisation level, bound buffers, and the time of its nodes
alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from edgebci.errors import InputError
from edgebci.export.c_graph import STATE_SUFFIX
from edgebci.export.run_decoder import BoundDecoder, DecoderError, session_options

_LEVEL = onnxruntime.GraphOptimizationLevel
LEVELS = {
    "none": _LEVEL.ORT_DISABLE_ALL,
    "basic": _LEVEL.ORT_ENABLE_BASIC,
    "extended": _LEVEL.ORT_ENABLE_EXTENDED,
    "layout": _LEVEL.ORT_ENABLE_LAYOUT,
    "all": _LEVEL.ORT_ENABLE_ALL,
}
"""Optimisation levels by what a report calls them."""
_OPSET, _IR = [helper.make_opsetid("", 17)], 8
_RUN, _NODE = "model_run", "_kernel_time"


def bound_at(path: Path, level: str, profile: Path | None = None) -> BoundDecoder:
    """A step graph with bound buffers and states on one thread, at one of `LEVELS`.

    Args:
        path: the graph.
        level: how much the runtime may rewrite it.
        profile: beginning of the name of the file that its profile is written to; None writes none.

    Raises:
        InputError: it cannot run.
    """
    options = session_options("cpu")
    options.graph_optimization_level = LEVELS[level]
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    try:
        return BoundDecoder(path, "cpu", options)
    except DecoderError as error:
        raise InputError(str(error)) from error


class ProfiledSteps:
    """A step graph whose nodes the runtime times itself, so that binding and bookkeeping are left out.

    The profile counts whole microseconds of each node and cuts off the rest, so the sum over nodes is a lower bound.
    """

    def __init__(self, path: Path, level: str) -> None:
        """Open the graph at one of `LEVELS`; raises InputError where it cannot run."""
        self._folder = tempfile.TemporaryDirectory(prefix="edgebci-profile-")
        self._decoder = bound_at(path, level, Path(self._folder.name) / "step")
        self.step = self._decoder.step

    def node_times_us(self) -> NDArray[np.float64]:
        """What the nodes of each step so far took together, in the order of the steps; ends the profile."""
        path = Path(self._decoder.session.end_profiling())
        events = json.loads(path.read_text(encoding="utf-8"))
        self._folder.cleanup()
        return np.array(_runs(events), np.float64)


def empty_step(path: Path) -> Callable[[NDArray[Any]], object]:
    """A step of a graph with the inputs and outputs of `path` that computes nothing: what binding and running cost.

    Each next state is its state; the output is zeros. Raises InputError where the runtime cannot open it.
    """
    graph = onnx.load(str(path)).graph
    output = next(value for value in graph.output if not value.name.endswith(STATE_SUFFIX))
    shape = [dimension.dim_value for dimension in output.type.tensor_type.shape.dim]
    zeros = helper.make_tensor("zeros", onnx.TensorProto.FLOAT, shape, [0.0] * int(np.prod(shape)))
    states = [value.name for value in graph.output if value.name != output.name]
    nodes = [helper.make_node("Identity", [name.removesuffix(STATE_SUFFIX)], [name]) for name in states]
    nodes.append(helper.make_node("Identity", ["zeros"], [output.name]))
    empty = helper.make_graph(nodes, "empty", [*graph.input], [*graph.output], [zeros])
    with tempfile.TemporaryDirectory(prefix="edgebci-empty-") as folder:
        file = Path(folder) / "empty.onnx"
        file.write_bytes(helper.make_model(empty, opset_imports=_OPSET, ir_version=_IR).SerializeToString())
        return bound_at(file, "all").step


def _runs(events: list[dict[str, Any]]) -> list[float]:
    """Sum of the nodes' durations of each run; a run's own event follows those of its nodes."""
    runs, nodes = [], 0.0
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_NODE):
            nodes += event["dur"]
        elif event.get("name") == _RUN:
            runs.append(nodes)
            nodes = 0.0
    return runs
