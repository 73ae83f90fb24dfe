"""A step graph with the tensors of a parameter block in place of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgebci.errors import InputError

HALF = ".half"
"""Ends the name of a constant in float16 whose own name is that of a float32 one."""
_NARROWER = {("int4", "int8"), ("float16", "float32")}
"""Types in ONNX of what a block, and every file of ours, holds in the second."""


def with_parameters(model: onnx.ModelProto, tensors: Mapping[str, NDArray[Any]]) -> onnx.ModelProto:
    """A copy of `model` whose constants of these names hold `tensors`; names that it does not have are left out.

    Raises:
        InputError: a constant has another shape or type than its tensor.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for constant in changed.graph.initializer:
        wanted, own = tensors.get(constant.name.removesuffix(HALF)), numpy_helper.to_array(constant)
        if wanted is None:
            continue
        fits = own.dtype == wanted.dtype or (own.dtype.name, wanted.dtype.name) in _NARROWER
        if own.shape != wanted.shape or not fits:
            raise InputError(
                f"the parameter block has {constant.name} as {wanted.dtype.name} {wanted.shape}, the graph as "
                f"{own.dtype.name} {own.shape}; calibrate the bundle again"
            )
        constant.CopyFrom(numpy_helper.from_array(wanted.astype(own.dtype), constant.name))
    return changed
