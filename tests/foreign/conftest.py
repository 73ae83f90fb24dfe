"""Tiny models as someone else would export them, and how each form of them is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgebci.arithmetic import F32

Array = NDArray[Any]
Make = Callable[..., onnx.ModelProto]
N_INPUTS, HIDDEN = 8, 6


def weights(seed: int, **shapes: tuple[int, ...]) -> dict[str, F32]:
    """Random weights that keep a network's values near 1."""
    rng = np.random.default_rng(seed)
    return {
        name: (rng.normal(size=shape) / np.sqrt(shape[-1] if shape else 1)).astype(np.float32)
        for name, shape in shapes.items()
    }


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, tuple[Any, ...]],
    outputs: dict[str, tuple[Any, ...]],
    constants: dict[str, Array],
    opset: int = 17,
) -> onnx.ModelProto:
    """A checked model."""
    graph = helper.make_graph(
        list(nodes),
        "decoder",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def gru_model(linear_before_reset: int = 1, seed: int = 1) -> onnx.ModelProto:
    """x (1, 8) and h (1, 1, 6) to velocity (1, 2) and h_out."""
    constants: dict[str, Array] = {
        **weights(
            seed, W=(1, 3 * HIDDEN, N_INPUTS), R=(1, 3 * HIDDEN, HIDDEN), B=(1, 6 * HIDDEN), Wo=(HIDDEN, 2), bo=(2,)
        ),
        "axis": np.array([0]),
    }
    attributes: dict[str, Any] = {"hidden_size": HIDDEN, "linear_before_reset": linear_before_reset}
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axis"], ["sequence"], name="to_sequence"),
        helper.make_node("GRU", ["sequence", "W", "R", "B", "", "h"], ["", "h_out"], name="gru", **attributes),
        helper.make_node("Squeeze", ["h_out", "axis"], ["seen"], name="last"),
        helper.make_node("MatMul", ["seen", "Wo"], ["product"], name="readout"),
        helper.make_node("Add", ["product", "bo"], ["velocity"], name="offset"),
    ]
    state = (1, 1, HIDDEN)
    return model(nodes, {"x": (1, N_INPUTS), "h": state}, {"velocity": (1, 2), "h_out": state}, constants)


def lstm_model(seed: int = 2) -> onnx.ModelProto:
    """x (1, 1, 8), h and c (1, 1, 6) to velocity (1, 2), h_next, c_next."""
    rows = 4 * HIDDEN
    constants: dict[str, Array] = dict(
        weights(seed, W=(1, rows, N_INPUTS), R=(1, rows, HIDDEN), B=(1, 2 * rows), Wo=(2, HIDDEN), bo=(2,))
    )
    inputs = ["x", "W", "R", "B", "", "h", "c"]
    nodes = [
        helper.make_node("LSTM", inputs, ["y", "h_next", "c_next"], name="lstm", hidden_size=HIDDEN),
        helper.make_node("Flatten", ["y"], ["seen"], name="flatten", axis=2),
        helper.make_node("Gemm", ["seen", "Wo", "bo"], ["velocity"], name="readout", transB=1),
    ]
    state = (1, 1, HIDDEN)
    return model(
        nodes,
        {"x": (1, 1, N_INPUTS), "h": state, "c": state},
        {"velocity": (1, 2), "h_next": state, "c_next": state},
        constants,
    )


def dense_model(seed: int = 3) -> onnx.ModelProto:
    """x (1, 8), normalised and through two layers, to velocity (1, 2); no state."""
    constants: dict[str, Array] = {
        **weights(seed, W1=(N_INPUTS, 16), b1=(16,), W2=(2, 16), b2=(2,), mean=(N_INPUTS,)),
        "scale": np.linspace(0.5, 2, N_INPUTS, dtype=np.float32),
        "variance": np.linspace(0.5, 2, N_INPUTS, dtype=np.float32),
        "offset": np.linspace(-1, 1, N_INPUTS, dtype=np.float32),
    }
    nodes = [
        helper.make_node("BatchNormalization", ["x", "scale", "offset", "mean", "variance"], ["normed"], name="norm"),
        helper.make_node("MatMul", ["normed", "W1"], ["p"], name="first"),
        helper.make_node("Add", ["p", "b1"], ["s"], name="first_bias"),
        helper.make_node("Relu", ["s"], ["r"], name="relu"),
        helper.make_node("Gemm", ["r", "W2", "b2"], ["velocity"], name="readout", transB=1),
    ]
    return model(nodes, {"x": (1, N_INPUTS)}, {"velocity": (1, 2)}, constants)


def conv_model(seed: int = 4) -> onnx.ModelProto:
    """A causal convolution that streams: x (1, 8, 1) and past (1, 8, 3) to velocity (1, 2) and present (1, 8, 3)."""
    constants: dict[str, Array] = {
        **weights(seed, W=(12, N_INPUTS, 4), b=(12,), Wd=(12, 1, 1), bd=(12,), Wo=(2, 12), bo=(2,)),
        **{name: np.array([value]) for name, value in (("from", 1), ("to", 4), ("along", 2))},
    }
    nodes = [
        helper.make_node("Concat", ["past", "x"], ["window"], name="window", axis=2),
        helper.make_node("Slice", ["window", "from", "to", "along"], ["present"], name="slide"),
        helper.make_node("Conv", ["window", "W", "b"], ["c"], name="conv"),
        helper.make_node("Gelu", ["c"], ["g"], name="gelu"),
        helper.make_node("Conv", ["g", "Wd", "bd"], ["d"], name="depthwise", group=12),
        helper.make_node("Flatten", ["d"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "Wo", "bo"], ["velocity"], name="readout", transB=1),
    ]
    past = (1, N_INPUTS, 3)
    return model(
        nodes, {"x": (1, N_INPUTS, 1), "past": past}, {"velocity": (1, 2), "present": past}, constants, opset=20
    )


def window_model(seed: int = 5, channels_first: bool = True) -> onnx.ModelProto:
    """Two causal convolutions over a window of five frames, x (1, 8, 5) or (1, 5, 8), to velocity (1, 2); no state."""
    constants: dict[str, Array] = dict(
        weights(seed, W=(12, N_INPUTS, 3), b=(12,), W2=(6, 12, 2), b2=(6,), Wo=(2, 12), bo=(2,))
    )
    nodes = [] if channels_first else [helper.make_node("Transpose", ["x"], ["c"], name="turn", perm=[0, 2, 1])]
    nodes += [
        helper.make_node("Conv", ["x" if channels_first else "c", "W", "b"], ["p"], name="first"),
        helper.make_node("Tanh", ["p"], ["t"], name="tanh"),
        helper.make_node("Conv", ["t", "W2", "b2"], ["q"], name="second"),
        helper.make_node("Flatten", ["q"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "Wo", "bo"], ["velocity"], name="readout", transB=1),
    ]
    shape = (1, N_INPUTS, 5) if channels_first else (1, 5, N_INPUTS)
    return model(nodes, {"x": shape}, {"velocity": (1, 2)}, constants)


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    "gru": gru_model,
    "lstm": lstm_model,
    "dense": dense_model,
    "conv": conv_model,
}


def frames(n_frames: int, seed: int = 0) -> F32:
    """(n_frames, 8) that wander as features do."""
    rng = np.random.default_rng(seed)
    slow = np.cumsum(rng.normal(size=(n_frames, N_INPUTS)), axis=0) / 10
    return (np.sin(slow) + 0.5 * rng.normal(size=(n_frames, N_INPUTS))).astype(np.float32)


@pytest.fixture(autouse=True)
def _quick(few_evaluator_steps: None) -> None:
    """Bundles of tests; the one that tests share takes as many steps as everyone's."""


@pytest.fixture
def save(tmp_path: Path) -> Callable[[onnx.ModelProto], Path]:
    """Write a model into a folder of its own."""

    def saved(made: onnx.ModelProto) -> Path:
        onnx.save(made, tmp_path / "model.onnx")
        return tmp_path / "model.onnx"

    return saved
