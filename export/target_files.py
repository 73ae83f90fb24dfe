"""What one kind of target gets besides the graphs: C for a core, a chunk form and a runner for ONNX Runtime, and for a
Jetson the graph that TensorRT takes with the programs that build, run and time it there.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from edgebci.bundle import CHUNK_ONNX, FIRMWARE, FUSED_ONNX, INT8_ONNX, shipped_onnx
from edgebci.checkpoint import Checkpoint
from edgebci.decoder_float import FloatDecoder
from edgebci.errors import InputError
from edgebci.export.c_generator import generate
from edgebci.export.chunk_graph import chunk_graph
from edgebci.export.chunk_verification import verify_chunk
from edgebci.export.decoder_forms import Forms, Wanted
from edgebci.export.half_graph import HALF_TOLERANCE
from edgebci.export.rewrites import rewrite
from edgebci.export.runtime_stepper import verify_runner, write_runner
from edgebci.export.stream_comparison import long_stream
from edgebci.export.tensorrt.jetson_files import write_jetson
from edgebci.features.front_end import FrontEnd
from edgebci.frame_stream import FrameStream
from edgebci.parameter_block import ParameterBlock
from edgebci.targets import Precision, Target

CHUNK_STEPS = 10
"""Of the chunk form: at 50 frames per second a packet of 0.2 s."""
_CHUNK_PROVEN = 500
"""Steps over which the chunk is followed; it is made of the step's own nodes."""


def write_target_files(
    folder: Path,
    forms: Forms,
    checkpoint: Checkpoint,
    front_end: FrontEnd,
    target: Target,
    wanted: Wanted,
    stream: FrameStream,
    block: ParameterBlock,
) -> dict[str, JsonValue] | None:
    """Write and prove what `target` needs, beside graphs that lie in `folder` already.

    Returns:
        What the manifest says of it, or None.

    Raises:
        InputError: the target has no kernel for a node of the graph, or its runtime no operator.
        VerificationError: a form does not compute what the step computes.
    """
    if wanted.rewrites and (target.kind, wanted.precision) != ("onnxruntime", "fp32"):
        raise InputError(
            f"fused operators are for cpu and raspberry-pi-5 in fp32, asked was {target.name} in {wanted.precision}; "
            "leave out --rewrite"
        )
    if wanted.loadable and target.core is None:
        raise InputError(f"{target.name} gets no C, which alone can load parameters; leave out --loadable")
    if target.core is not None:
        loadable = block if wanted.loadable else None
        generate(folder / INT8_ONNX, front_end, folder / FIRMWARE, target.core, loadable)
        return None
    if target.kind == "onnxruntime":
        found = _write_runtime_files(folder, forms, wanted.precision, stream)
        return found | _rewritten(folder, forms, checkpoint, wanted.rewrites, stream)
    record = write_jetson(
        folder,
        forms.float_graph,
        forms.quantized,
        FloatDecoder.of(checkpoint.spec, checkpoint.parameters),
        target.name,
        wanted.precision,
        stream.frames,
        stream.reset_before,
        1 / front_end.spec.frame_rate_hz,
    )
    return record.model_dump(mode="json")


def _write_runtime_files(folder: Path, forms: Forms, precision: Precision, stream: FrameStream) -> dict[str, JsonValue]:
    frames, resets = long_stream(stream.frames, stream.reset_before)
    write_runner(folder)
    runner = verify_runner(folder / shipped_onnx(precision), frames, resets)
    chunk, tolerance = chunk_graph(forms.shipped, CHUNK_STEPS), HALF_TOLERANCE if precision == "fp16" else 0.0
    seen = frames[:_CHUNK_PROVEN], resets[:_CHUNK_PROVEN]
    agreement = verify_chunk(chunk, forms.shipped, *seen, tolerance=tolerance)
    (folder / CHUNK_ONNX).write_bytes(chunk.SerializeToString(deterministic=True))
    return {"runner": runner.model_dump(mode="json"), "chunk": agreement.model_dump(mode="json")}


def _rewritten(
    folder: Path, forms: Forms, checkpoint: Checkpoint, names: tuple[str, ...], stream: FrameStream
) -> dict[str, JsonValue]:
    """Write the float step with fused operators beside the plain one, where any could be applied."""
    if not names:
        return {}
    reference = FloatDecoder.of(checkpoint.spec, checkpoint.parameters)
    frames, resets = long_stream(stream.frames, stream.reset_before)
    model, records = rewrite(forms.float_graph, names, reference, frames, resets)
    if any(record.applied for record in records):
        (folder / FUSED_ONNX).write_bytes(model.SerializeToString(deterministic=True))
    return {"rewrites": [record.model_dump(mode="json") for record in records]}
