"""Norms of a smoothed decoder: where outliers went into int8 weights, the norm before them is divided accordingly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgebci.errors import InputError

_PASSES = ("Cast", "Stack")
"""Operators that hand a norm's channels on."""


def take_over_norms(model: onnx.ModelProto, int8_layers: set[str], integers: Mapping[str, NDArray[Any]]) -> None:
    """Give each norm that feeds int8 layers the weights which the quantized decoder has for it (`export.smoothing`).

    Norms that feed layers of other types keep theirs, as those layers keep their float weights.

    Raises:
        InputError: a norm was smoothed and feeds layers of both kinds.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "RmsNorm" or node.input[1] not in integers:
            continue
        tensor, wanted = stored[node.input[1]], integers[node.input[1]].astype(np.float32)
        if np.allclose(numpy_helper.to_array(tensor), wanted, rtol=1e-5, atol=0.0):
            continue
        readers = {reader.name in int8_layers for reader in _readers(model, node.output[0])}
        if readers == {True, False}:
            raise InputError(
                f"{node.name} was smoothed for int8 layers and feeds layers in fp16, too; quantize without smoothing"
            )
        if readers == {True}:
            tensor.CopyFrom(numpy_helper.from_array(wanted, tensor.name))


def _readers(model: onnx.ModelProto, value: str) -> list[onnx.NodeProto]:
    """The nodes that compute with a value, those behind casts included."""
    found: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if value in node.input:
            found += _readers(model, node.output[0]) if node.op_type in _PASSES else [node]
    return found
