"""What a target gets of a foreign model besides its graphs: C, a runner and a chunk form, or what a Jetson takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from pydantic import JsonValue

from edgebci.bundle import CHUNK_ONNX, FIRMWARE
from edgebci.export.chunk_graph import chunk_graph
from edgebci.export.chunk_verification import verify_chunk
from edgebci.export.foreign.c_program import generate_foreign_program
from edgebci.export.foreign.verifying import FloatReference, VerificationStream
from edgebci.export.runtime_stepper import verify_runner, write_runner
from edgebci.export.target_files import CHUNK_STEPS
from edgebci.export.tensorrt.jetson_files import write_jetson
from edgebci.foreign.decoder import ForeignDecoder
from edgebci.foreign.graph import Node
from edgebci.targets import Precision, Target

_CHUNK_PROVEN = 500
"""Steps over which the chunk is followed; it is made of the step's own nodes."""


@dataclass(frozen=True, eq=False)
class TargetFiles:
    """What was written for a target.

    Fields:
        record: what the manifest says of it.
        int8_macs: of one step of what ships there: a Jetson computes small layers in fp16.
    """

    record: dict[str, JsonValue] | None
    int8_macs: int


def write_foreign_target_files(
    folder: Path,
    shipped: ForeignDecoder,
    float_form: ForeignDecoder,
    graphs: dict[str, onnx.ModelProto],
    target: Target,
    precision: Precision,
    stream: VerificationStream,
    period_s: float,
) -> TargetFiles:
    """Write and prove what `target` needs.

    Args:
        folder: of the bundle, where the graphs lie already.
        shipped: the form that the target runs.
        float_form: the float form in NumPy.
        graphs: the graphs by the names of their files; the last one is the shipped.
        target: what for.
        precision: fp32, fp16 (Jetson) or int8.
        stream: over which it is proven.
        period_s: between frames.

    Raises:
        InputError: the target has no kernel or no operator for a node.
        VerificationError: a form does not compute what the step computes.
    """
    if target.core is not None:
        generate_foreign_program(shipped.graph, folder / FIRMWARE, target.core)
        return TargetFiles(None, shipped.graph.int8_macs)
    frames, resets = stream.frames, stream.reset_before
    *_, (name, graph) = graphs.items()
    if target.kind == "onnxruntime":
        write_runner(folder)
        runner = verify_runner(folder / name, frames, resets)
        chunk = chunk_graph(graph, CHUNK_STEPS)
        agreement = verify_chunk(chunk, graph, frames[:_CHUNK_PROVEN], resets[:_CHUNK_PROVEN])
        (folder / CHUNK_ONNX).write_bytes(chunk.SerializeToString(deterministic=True))
        record: dict[str, JsonValue] = {
            "runner": runner.model_dump(mode="json"),
            "chunk": agreement.model_dump(mode="json"),
        }
        return TargetFiles(record, shipped.graph.int8_macs)
    step, *_ = graphs.values()
    integers = DenseIntegers(shipped) if precision == "int8" else None
    reference = FloatReference(float_form)
    jetson = write_jetson(
        folder, step, integers, reference, target.name, precision, frames, resets, period_s, small="auto"
    )
    names = {layer.name for layer in jetson.layers if layer.computes == "int8"}
    dense = [node for node in shipped.graph.nodes if node.operator == "dense_int8"]
    macs = sum(node.macs for node in dense if dense_node_name(node) in names)
    return TargetFiles(jetson.model_dump(mode="json"), macs)


class DenseIntegers:
    """The dense layers of a quantized form by the names of the float graph's nodes, as a Jetson's graph takes them."""

    def __init__(self, decoder: ForeignDecoder) -> None:
        self._graph = decoder.graph

    def tensors(self) -> dict[str, NDArray[Any]]:
        """`{node}.weight`, `.act_scale`, `.weight_scale`, `.bias` of every layer with one weight for all positions."""
        quantizers = {node.output: node for node in self._graph.nodes if node.operator == "quantize"}
        found: dict[str, NDArray[Any]] = {}
        for node in self._graph.nodes:
            if node.operator == "dense_int8" and node.sizes[1] == 1:
                found |= self._layer(node, quantizers[node.operands[0].tensor])
        return found

    def _layer(self, node: Node, quantizer: Node) -> dict[str, NDArray[Any]]:
        constants, name = self._graph.constants, dense_node_name(node)
        weight, scale, bias = (constants[operand.tensor] for operand in node.operands[1:])
        act_scale = np.float32(1.0) / constants[quantizer.operands[1].tensor].reshape(())
        return {
            f"{name}.weight": weight,
            f"{name}.act_scale": np.asarray(act_scale),
            f"{name}.weight_scale": scale / act_scale,
            f"{name}.bias": bias.reshape(-1),
        }


def dense_node_name(node: Node) -> str:
    """Name of the Dense node of the float graph."""
    return node.output if node.sizes[0] == 1 else f"{node.output}.y"
