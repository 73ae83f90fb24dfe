"""The folder `jetson/` of a bundle: all that goes to the board, and a record of what it is.

decoder.onnx       the strongly typed step, inlined
build_engine.py    builds the engine there, with locked tactics
check_engine.py    holds it to the outputs that ONNX Runtime gives, check_*.npy
run_decoder.py     runs it; benchmark.py times it; cuda_buffers.py and board.py are their parts
jetson.json        this module's `JetsonRecord`
README.txt         what to type

The programs need Python 3.10, numpy and what JetPack has; they are modules of this package, whose imports of each other
become those of files beside them.
"""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from pydantic import Field

from edgebci.agreement import FloatAgreement
from edgebci.documents import Document
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.export.stream_comparison import FloatReference, long_stream
from edgebci.export.tensorrt import benchmark, board, build_engine, check_engine, cuda_buffers, run_decoder
from edgebci.export.tensorrt.operator_check import require_supported
from edgebci.export.tensorrt.operator_table import TABLES
from edgebci.export.tensorrt.typed_graph import DenseRecord, Integers, Small, TypedStep, typed_step
from edgebci.export.tensorrt.typed_verification import LayerAgreement, verify_floating, verify_int8_layers
from edgebci.files import write_text
from edgebci.progress import Progress, part, silent
from edgebci.targets import Precision

FOLDER, ONNX, RECORD, README = "jetson", build_engine.ONNX, benchmark.RECORD, "README.txt"
PROGRAMS: tuple[ModuleType, ...] = (build_engine, check_engine, run_decoder, benchmark, cuda_buffers, board)
CHECK_STEPS = 100
_PACKAGE = "edgebci.export.tensorrt"
Bool = NDArray[Any]


class Quantized(Protocol):
    """A decoder that has integers."""

    def tensors(self) -> Integers:
        """Every array by its name."""
        ...


class TensorRecord(Document):
    """An input or output of the engine; all are float32, and integers where a decoder takes tokens."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "int32"]


class JetsonRecord(Document):
    """What the folder for a Jetson board holds; the same decoder gives the same bytes.

    Fields:
        target, precision: as they were asked for.
        decoder_sha256, decoder_bytes: of decoder.onnx.
        period_s: between steps.
        inputs, outputs: of the engine, states and their next values in the same order.
        layers: how each dense layer is computed; a reason where it is not what was asked for, or padded.
        int8_dense_share: of the multiply-accumulates of dense layers, those of int8 by int8.
        checked_against: operator tables of TensorRT's parser, each with its source.
        float_agreement: the graph in fp32 or fp16 against the decoder in float64; int8 shares all but its dense layers.
        layer_agreement: int8 layers against integers; None where there are none.
        trtexec: the command that builds the same engine, by major version of TensorRT.
    """

    schema_version: Literal["edgebci.jetson/1"] = "edgebci.jetson/1"
    target: str
    precision: Precision
    decoder_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    decoder_bytes: int
    period_s: float = Field(gt=0)
    inputs: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]
    layers: tuple[DenseRecord, ...]
    int8_dense_share: float
    checked_against: dict[str, str]
    float_agreement: FloatAgreement
    layer_agreement: LayerAgreement | None
    trtexec: dict[str, str]


def write_jetson(
    folder: Path,
    step: onnx.ModelProto,
    quantized: Quantized | None,
    reference: FloatReference,
    target: str,
    precision: Precision,
    frames: NDArray[Any],
    reset_before: Bool | None,
    period_s: float,
    small: Small = "fp16",
    progress: Progress = silent,
) -> JetsonRecord:
    """Type, check and prove the step, then write `jetson/` into `folder`.

    Args:
        folder: of the bundle.
        step: the float step graph.
        quantized: the decoder in integers; int8 needs it.
        reference: the float decoder in NumPy, against which fp32 and fp16 are proven.
        target: name of the board.
        precision: fp32, fp16 or int8.
        frames: (T, ...) over which the graph is proven; short streams are repeated to 2,000 steps.
        reset_before: (T,) true where states start anew.
        period_s: between frames.
        small: what becomes of layers with fewer than 16 inputs or outputs.
        progress: told how far it is.

    Raises:
        InputError: the precision cannot be had, or TensorRT does not take an operator; all are named.
        VerificationError: the graph does not compute what it should; nothing is written.
    """
    integers = None if quantized is None else quantized.tensors()
    typed = typed_step(step, precision, integers, small)
    require_supported(typed.model)
    long, resets = long_stream(frames, reset_before)
    floating = typed if precision != "int8" else typed_step(step, "fp16")
    agreement = verify_floating(floating, reference, long, resets, "fp32" if precision == "fp32" else "fp16")
    progress(0.5, "floating-point parts proven")
    layers = None
    if precision == "int8" and integers is not None:
        layers = verify_int8_layers(typed, integers, long, resets, part(progress, 0.5, 1.0))
    content = typed.model.SerializeToString(deterministic=True)
    record = _record(typed, content, target, precision, period_s, agreement, layers)
    _write(folder / FOLDER, content, record)
    _write_check(folder / FOLDER, typed.model, long)
    return record


def _record(
    typed: TypedStep,
    content: bytes,
    target: str,
    precision: Precision,
    period_s: float,
    agreement: FloatAgreement,
    layers: LayerAgreement | None,
) -> JetsonRecord:
    return JetsonRecord(
        target=target,
        precision=precision,
        decoder_sha256=hashlib.sha256(content).hexdigest(),
        decoder_bytes=len(content),
        period_s=period_s,
        inputs=tuple(_tensor(value) for value in typed.model.graph.input),
        outputs=tuple(_tensor(value) for value in typed.model.graph.output),
        layers=typed.layers,
        int8_dense_share=typed.int8_share,
        checked_against={table.name: f"operator matrix of release {table.source}" for table in TABLES},
        float_agreement=agreement,
        layer_agreement=layers,
        trtexec=trtexec_lines(),
    )


def trtexec_lines() -> dict[str, str]:
    """What builds the same engine without Python, by major version of TensorRT, without the lock."""
    common = (
        f"--noTF32 --builderOptimizationLevel={build_engine.OPTIMIZATION_LEVEL} "
        f"--memPoolSize=workspace:{build_engine.WORKSPACE_MIB} --timingCacheFile={build_engine.CACHE} "
        f"--saveEngine={build_engine.PLAN} --skipInference"
    )
    start = f"/usr/src/tensorrt/bin/trtexec --onnx={ONNX}"
    return {"10": f"{start} --stronglyTyped {common}", "11": f"{start} {common}"}


def program(module: ModuleType) -> str:
    """The text of a module as it stands on the board, where the others lie beside it."""
    source = inspect.getsource(module)
    return source.replace(f"from {_PACKAGE} import ", "import ").replace(f"from {_PACKAGE}.", "from ")


def _write(folder: Path, content: bytes, record: JetsonRecord) -> None:
    folder.mkdir()
    (folder / ONNX).write_bytes(content)
    for module in PROGRAMS:
        write_text(folder / f"{module.__name__.rpartition('.')[2]}.py", program(module))
    write_text(folder / RECORD, record.model_dump_json(indent=2) + "\n")
    write_text(folder / README, _readme(record))


def _write_check(folder: Path, model: onnx.ModelProto, frames: NDArray[Any]) -> None:
    """Frames and what the graph decodes of them: random features, which say nothing of whom they came from."""
    given = frames[:CHECK_STEPS]
    if given.dtype.kind == "f":
        given = np.random.default_rng(0).standard_normal(given.shape).astype(np.float16)
    outputs = OnnxStepRunner(model).stream(given)
    np.save(folder / check_engine.FRAMES, given, allow_pickle=False)
    np.save(folder / check_engine.OUTPUTS, outputs, allow_pickle=False)


def _tensor(value: onnx.ValueInfoProto) -> TensorRecord:
    kind = value.type.tensor_type
    return TensorRecord.model_validate(
        {
            "name": value.name,
            "shape": tuple(size.dim_value for size in kind.shape.dim),
            "dtype": onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name,
        }
    )


def _readme(record: JetsonRecord) -> str:
    kept = [f"    {one.name} ({one.outputs} x {one.inputs}): {_fate(one)}" for one in record.layers if one.reason]
    lines = [
        f"A decoder for {record.target} in {record.precision}: {record.int8_dense_share:.1%} of the "
        "multiply-accumulates of its dense layers in int8; recurrence and states in float32.",
        *(["Dense layers that are not int8, or padded:", *kept] if kept else []),
        "",
        "Copy this folder to the board (TensorRT 10, as JetPack 6 has it; or 11.4.1 and later with JetPack 7.2.2,",
        "which NVIDIA supports on AGX Orin and Thor), then there:",
        "    python3 build_engine.py                      builds decoder.plan, once; see --on-change",
        "    python3 check_engine.py                      holds it to what its graph decodes",
        "    python3 run_decoder.py frames.npy out.npy    decodes",
        "    python3 benchmark.py                         times it, one step per bin, into measurement.json",
        "Without Python, the same engine but no lock:",
        *(f"    TensorRT {major}: {line}" for major, line in record.trtexec.items()),
        "No engine was built and nothing was timed where this folder was written.",
    ]
    return "\n".join(lines) + "\n"


def _fate(layer: DenseRecord) -> str:
    if layer.padded_to is None:
        return f"{layer.computes}, {layer.reason}"
    return f"{layer.computes}, {layer.reason}, padded with zeros to {layer.padded_to[1]} x {layer.padded_to[0]}"
