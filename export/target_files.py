"""What one kind of target gets besides the graphs: C for a core, a chunk form and a runner for ONNX Runtime, and for a
Jetson the graph that TensorRT takes with the programs that build, run and time it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from pydantic import JsonValue

from edgebci.bundle import CHUNK_ONNX, FIRMWARE, FLOAT_ONNX, FUSED_ONNX, INT8_ONNX, shipped_onnx
from edgebci.checkpoint import Checkpoint
from edgebci.decoder_float import FloatDecoder
from edgebci.errors import InputError, VerificationError
from edgebci.export.c_generator import generate
from edgebci.export.chunk_graph import chunk_graph
from edgebci.export.chunk_verification import verify_chunk
from edgebci.export.core_vectors import put_kernels_of
from edgebci.export.decoder_forms import Forms, Wanted
from edgebci.export.half_graph import HALF_TOLERANCE
from edgebci.export.precision_check import SMALLEST_INT8_SHARE, Int8Share
from edgebci.export.rewrites import rewrite
from edgebci.export.runtime_stepper import verify_runner, write_runner
from edgebci.export.stream_comparison import FloatReference, long_stream
from edgebci.export.tensorrt.jetson_files import Quantized, write_jetson
from edgebci.export.tensorrt.typed_graph import DenseRecord, share_on_board, typed_step
from edgebci.features.front_end import FrontEnd
from edgebci.frame_stream import FrameStream
from edgebci.parameter_block import ParameterBlock
from edgebci.targets import Precision, Target

CHUNK_STEPS = 10
"""Of the chunk form: at 50 frames per second a packet of 0.2 s."""
_CHUNK_PROVEN = 500
"""Steps over which the chunk is followed; it is made of the step's own nodes."""


@dataclass(frozen=True)
class TargetFiles:
    """What was written for a target.

    Fields:
        record: what the manifest says of it, if anything.
        share: of int8 by int8 in the exact form; None where nothing is in int8.
        on_board: of the MACs with a weight, those that are int8 by int8 on a board that computes some layers otherwise.
    """

    record: dict[str, JsonValue] | None
    share: Int8Share | None
    on_board: float | None = None

    @property
    def int8_share(self) -> float | None:
        """On the target."""
        return self.on_board if self.on_board is not None or self.share is None else self.share.share


class QuantizableForms(Protocol):
    """The forms of a decoder of frames or of spikes, as a Jetson's graph is made of them."""

    @property
    def float_graph(self) -> onnx.ModelProto:
        """The float step."""
        ...

    @property
    def quantized(self) -> Quantized | None:
        """The integers, in int8."""
        ...

    @property
    def share(self) -> Int8Share | None:
        """Of int8 by int8 in the exact form."""
        ...


def write_target_files(
    folder: Path,
    forms: Forms,
    checkpoint: Checkpoint,
    front_end: FrontEnd,
    target: Target,
    wanted: Wanted,
    stream: FrameStream,
    block: ParameterBlock,
) -> TargetFiles:
    """Write and prove what `target` needs, beside graphs that lie in `folder` already.

    Raises:
        InputError: the target has no kernel for a node of the graph, or its runtime no operator.
        VerificationError: a form does not compute what the step computes, or is no int8.
    """
    if wanted.rewrites and (target.kind, wanted.precision) != ("onnxruntime", "fp32"):
        raise InputError(
            f"fused operators are for cpu and raspberry-pi-5 in fp32, asked was {target.name} in {wanted.precision}; "
            "leave out --rewrite"
        )
    if wanted.loadable and target.core is None:
        raise InputError(f"{target.name} gets no C, which alone can load parameters; leave out --loadable")
    if target.core is not None:
        loadable, graph = block if wanted.loadable else None, FLOAT_ONNX if wanted.precision == "fp32" else INT8_ONNX
        generate(folder / graph, front_end, folder / FIRMWARE, target.core, loadable, wanted.recipe.front_end)
        put_kernels_of(target.core, folder / FIRMWARE)
        return TargetFiles(None, forms.share)
    if target.kind == "onnxruntime":
        found = write_runtime_files(folder, forms.shipped, wanted.precision, stream.frames, stream.reset_before)
        return TargetFiles(found | _rewritten(folder, forms, checkpoint, wanted.rewrites, stream), forms.share)
    return write_jetson_files(
        folder,
        forms,
        FloatDecoder.of(checkpoint.spec, checkpoint.parameters),
        target,
        wanted.precision,
        stream.frames,
        stream.reset_before,
        1 / front_end.spec.frame_rate_hz,
        wanted.holds_int8_rule,
    )


def write_jetson_files(
    folder: Path,
    forms: QuantizableForms,
    reference: FloatReference,
    target: Target,
    precision: Precision,
    frames: NDArray[Any],
    reset_before: NDArray[np.bool_] | None,
    period_s: float,
    holds_int8_rule: bool,
) -> TargetFiles:
    """Write and prove `jetson/`, in int8 with small layers padded where 95 % could not be had otherwise.

    Raises:
        InputError: TensorRT does not take an operator.
        VerificationError: the graph does not compute what it should, or `holds_int8_rule` and it is no int8 there.
    """
    if holds_int8_rule and forms.share and forms.quantized:
        typed = typed_step(forms.float_graph, precision, forms.quantized.tensors(), "auto")
        _require_int8_on(target, typed.layers, forms.share)
    record = write_jetson(
        folder, forms.float_graph, forms.quantized, reference, target.name, precision, frames, reset_before, period_s,
        small="auto",
    )  # fmt: skip
    on_board = share_on_board(record.layers, forms.share) if forms.share else None
    return TargetFiles(record.model_dump(mode="json"), forms.share, on_board)


def _require_int8_on(target: Target, layers: Sequence[DenseRecord], share: Int8Share) -> None:
    """Before minutes of proofs: is an int8 that holds in the exact form one on the board, too?"""
    on_board = share_on_board(layers, share)
    if on_board < SMALLEST_INT8_SHARE:
        others = [f"{layer.name} ({layer.computes}: {layer.reason})" for layer in layers if layer.reason]
        raise VerificationError(
            f"{on_board:.2%} of the MACs with a weight are int8 by int8 on {target.name} where int8 needs "
            f"{SMALLEST_INT8_SHARE:.0%}: {', '.join(others) or 'convolutions'} fall short; export with --precision fp16"
        )


def write_runtime_files(
    folder: Path,
    shipped: onnx.ModelProto,
    precision: Precision,
    frames: NDArray[Any],
    reset_before: NDArray[np.bool_] | None,
) -> dict[str, JsonValue]:
    """Write and prove the runner and the form of several steps of a step that lies in `folder`; raises as above."""
    frames, resets = long_stream(frames, reset_before)
    write_runner(folder)
    runner = verify_runner(folder / shipped_onnx(precision), frames, resets)
    chunk, tolerance = chunk_graph(shipped, CHUNK_STEPS), HALF_TOLERANCE if precision == "fp16" else 0.0
    seen = frames[:_CHUNK_PROVEN], resets[:_CHUNK_PROVEN]
    agreement = verify_chunk(chunk, shipped, *seen, tolerance=tolerance)
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
