"""Reading an ONNX file that someone else made: everything that could be wrong with it is one sentence, before it runs.

Sizes and places of files are looked at before anything is loaded, so neither a 3 GB model nor a path out of the model's
folder does harm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
import onnx.shape_inference
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, numpy_helper
from onnx.external_data_helper import load_external_data_for_model, uses_external_data

from edgebci.errors import InputError

LARGEST_BYTES = 1 << 30
"""Of the model and its external data: what is larger is no decoder for an implant."""
MOST_VALUES = 1 << 24
"""Of one tensor between two nodes."""
OLDEST_OPSET, NEWEST_OPSET = 13, 26
"""Before 13 axes were attributes and softmax meant another sum; ONNX Runtime refuses what is newer."""


def read_model(path: Path) -> onnx.ModelProto:
    """Read, check and inline a model.

    Raises:
        InputError: the file is missing, damaged, too large, not valid ONNX, of another opset, has dynamic shapes or
            inputs that are not float32, or its external data are missing or outside its folder.
    """
    _check_size(path, path.stat().st_size if path.is_file() else None)
    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except (DecodeError, OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is not an ONNX file or is cut short; export the model again") from error
    if not model.graph.node:
        raise InputError(f"{path} holds no ONNX graph with nodes; export the model again")
    _load_external(model, path)
    _check_opset(model, path)
    _check(model, path)
    model = onnx.inliner.inline_local_functions(model)
    _check_interface(model, path)
    _check_weights(model, path)
    _check_tensors(model, path)
    return model


def _check_size(path: Path, size: int | None) -> None:
    if size is None:
        raise InputError(f"no file {path}; give an ONNX model")
    if size > LARGEST_BYTES:
        raise InputError(
            f"{path} has {size / 1e9:.1f} GB, a decoder for an implant has at most {LARGEST_BYTES / 1e9:.1f} GB; "
            "give a smaller model"
        )


def _load_external(model: onnx.ModelProto, path: Path) -> None:
    folder, elsewhere = path.resolve().parent, filter(uses_external_data, _tensors(model.graph))
    files = {_external_file(tensor, folder, path) for tensor in elsewhere}
    _check_size(path, path.stat().st_size + sum(file.stat().st_size for file in files))
    if not files:
        return
    try:
        load_external_data_for_model(model, str(folder))
    except Exception as error:  # onnx raises what it likes
        raise InputError(
            f"{path}: its external data cannot be read ({_first_line(error)}); export the model again, in one file"
        ) from error


def _external_file(tensor: TensorProto, folder: Path, path: Path) -> Path:
    """Where a tensor's data lie; raises InputError where that is no file inside the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    file: Path = (folder / location).resolve()
    if not location or not file.is_relative_to(folder) or file == folder:
        raise InputError(
            f"{path}: the data of {tensor.name!r} lie at {location!r}, allowed are files inside the model's folder; "
            "export the model again"
        )
    if not file.is_file():
        raise InputError(
            f"{path}: its external data file {location!r} (of {tensor.name!r}) is missing; put it beside the model"
        )
    start, length = (_count(entries.get(key, "0"), tensor.name, path) for key in ("offset", "length"))
    if start < 0 or length < 0 or start + length > file.stat().st_size:
        raise InputError(
            f"{path}: {location!r} has {file.stat().st_size} bytes where {tensor.name!r} needs {start + length}; "
            "it may be cut short: copy it again"
        )
    return file


def _count(text: str, name: str, path: Path) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InputError(
            f"{path}: the place of the data of {name!r} is {text!r}, allowed is a number of bytes; export it again"
        ) from error


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """All tensors that may have data elsewhere, subgraphs included."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from [attribute.t] if attribute.HasField("t") else []
            yield from attribute.tensors
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from _tensors(inner)


def _check_opset(model: onnx.ModelProto, path: Path) -> None:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions or not OLDEST_OPSET <= max(versions) <= NEWEST_OPSET:
        found = f"opset {max(versions)}" if versions else "no standard opset"
        raise InputError(
            f"{path} has {found}, allowed are opsets {OLDEST_OPSET} to {NEWEST_OPSET}; export it with opset 21, or "
            "convert it with onnx.version_converter"
        )


def _check(model: onnx.ModelProto, path: Path) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker's errors and those of shape inference share no base but this one
        raise InputError(f"{path} is not valid ONNX: {_first_line(error)}; export the model again") from error
    if model.graph.sparse_initializer:
        raise InputError(f"{path} holds sparse weights, allowed are dense ones; export it with dense weights")


def _check_interface(model: onnx.ModelProto, path: Path) -> None:
    known = {tensor.name for tensor in model.graph.initializer}
    given = [value for value in model.graph.input if value.name not in known]
    if not given:
        raise InputError(f"{path} has no input, a decoder takes frames; export it with its input")
    if not model.graph.output:
        raise InputError(f"{path} has no output, a decoder gives values; export it with its output")
    other = [f"{value.name} ({_type(value)})" for value in given if _type(value) != "FLOAT"]
    if other:
        raise InputError(
            f"{path}: the inputs {', '.join(other)} are not float32, allowed are float32 frames and states; export the "
            "model with float32 inputs"
        )
    dynamic = [f"{value.name} {_shown(value)}" for value in given if not _static(value)]
    if dynamic:
        raise InputError(
            f"{path} has dynamic shapes: {', '.join(dynamic)}; export it for one frame of one stream, or fix them with "
            "python -m onnxruntime.tools.make_dynamic_shape_fixed --dim_param NAME --dim_value 1 MODEL FIXED"
        )


def _type(value: onnx.ValueInfoProto) -> str:
    if value.type.WhichOneof("value") != "tensor_type":
        return "no tensor"
    return str(TensorProto.DataType.Name(value.type.tensor_type.elem_type))


def _static(value: onnx.ValueInfoProto) -> bool:
    kind = value.type.tensor_type
    return kind.HasField("shape") and all(d.HasField("dim_value") and d.dim_value > 0 for d in kind.shape.dim)


def _shown(value: onnx.ValueInfoProto) -> str:
    if not value.type.tensor_type.HasField("shape"):
        return "(no shape)"
    dimensions = value.type.tensor_type.shape.dim
    return f"({', '.join(str(d.dim_value) if d.HasField('dim_value') else d.dim_param or '?' for d in dimensions)})"


def _check_tensors(model: onnx.ModelProto, path: Path) -> None:
    """Refuse what would fill the memory while it is translated, such as a constant blown up to billions of values."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        size = math.prod(max(1, d.dim_value) for d in value.type.tensor_type.shape.dim)
        if size > MOST_VALUES:
            raise InputError(
                f"{path}: the tensor {value.name!r} has {size:,} values, a step of a decoder has at most "
                f"{MOST_VALUES:,} in one; export the model for one frame of one stream"
            )


def _check_weights(model: onnx.ModelProto, path: Path) -> None:
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise InputError(
                f"{path}: the weight {tensor.name!r} holds NaN, allowed are numbers; train the model again"
            )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".:;") if lines else type(error).__name__
