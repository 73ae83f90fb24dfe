"""An ONNX decoder that was made elsewhere, to C on a Cortex-M4F: each form proved against the one before.

Without arguments it makes a small decoder with onnx alone; yours comes with (T, n_inputs) of its training frames:

.venv/bin/python examples/your_own_onnx_decoder.py mine.onnx --frames frames.npy
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgebci.pipeline.foreign_export import export_foreign

N_INPUTS, HIDDEN = 16, 8


def leaky_decoder() -> onnx.ModelProto:
    """One step of h' = 0.9 h + tanh(x W), velocity = h' V: frames (1, 16) and state h (1, 8) to (1, 2) and h_out."""
    random = np.random.default_rng(0)
    weights = {
        "W": random.normal(size=(N_INPUTS, HIDDEN)) / 4,
        "V": random.normal(size=(HIDDEN, 2)) / 3,
        "leak": np.array(0.9),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["drive"], name="drive"),
        helper.make_node("Tanh", ["drive"], ["bounded"], name="bounded"),
        helper.make_node("Mul", ["h", "leak"], ["kept"], name="kept"),
        helper.make_node("Add", ["kept", "bounded"], ["h_out"], name="state"),
        helper.make_node("MatMul", ["h_out", "V"], ["velocity"], name="readout"),
    ]
    shapes = {"x": (1, N_INPUTS), "h": (1, HIDDEN), "velocity": (1, 2), "h_out": (1, HIDDEN)}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    inputs, outputs = [values["x"], values["h"]], [values["velocity"], values["h_out"]]
    graph = helper.make_graph(nodes, "leaky", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def slow_frames(n_frames: int, n_inputs: int) -> np.ndarray:
    """Frames that change slowly, as features of a brain do."""
    steps = np.random.default_rng(1).normal(size=(n_frames, n_inputs))
    frames = np.zeros_like(steps)
    for t in range(1, n_frames):
        frames[t] = 0.95 * frames[t - 1] + 0.3 * steps[t]
    return frames.astype(np.float32)


def main() -> None:
    """Export, and say what is in the bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--frames", type=Path, help="training frames in order of time, .npy or .h5")
    parser.add_argument("--target", default="cortex-m4f")
    parser.add_argument("--out", type=Path, default=Path("runs/your_own_onnx_decoder"))
    arguments = parser.parse_args()
    model, frames = arguments.model, arguments.frames
    if model is None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        model, frames = arguments.out / "leaky.onnx", arguments.out / "frames.npy"
        onnx.save(leaky_decoder(), model)
        np.save(frames, slow_frames(300, N_INPUTS))
    bundle = export_foreign(model, arguments.target, "int8", frames, arguments.out / "bundle")
    for name, record in sorted(bundle.manifest.files.items()):
        print(f"{record.size_bytes:8,} bytes  {name}")  # noqa: T201 (an example prints)


if __name__ == "__main__":
    main()
