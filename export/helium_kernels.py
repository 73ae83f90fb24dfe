"""The operators in fixed point on a core with Helium: the same calls, with constants laid out for its vectors.

The kernels are in `kernels/edgebci_*_helium.h`; they have the bits of the portable ones and compile everywhere, so that
the host twin of a program runs the very same sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import I8
from edgebci.export.c_graph import StepGraph
from edgebci.export.c_literals import Constant
from edgebci.export.c_operation import Operation
from edgebci.export.operators.fixed_functions import STATES, WEIGHTS

HELIUM_CORES = ("cortex-m55",)
BLOCK, VECTOR = 64, 16
"""Columns whose activations stay in registers, and those of one instruction."""
LANES = 8
"""Of int16."""
_LONGEST_ROW = 128
"""Of the state: what a store can be moved by."""
_OVERREAD = 2
"""Rows: what begins the sums of the next two is loaded early."""


def helium_kernel(operation: Operation, graph: StepGraph) -> Operation:
    """The operation as Helium takes it; one that has no such kernel as it is."""
    if operation.node.operator in ("edgebci.DenseFixed", "edgebci.DenseFixedAdd"):
        return _dense(operation, graph)
    if operation.node.operator == "edgebci.Mamba2StepFixed":
        return _mamba2_step(operation, graph)
    return operation


def _mamba2_step(operation: Operation, graph: StepGraph) -> Operation:
    given = {part: graph.constants[operation.node.inputs[1 + len(STATES) + i]] for i, part in enumerate(WEIGHTS)}
    d_state = graph.inputs[operation.states[1]][-1]
    if operation.writes.size % LANES or len(given["A"]) % (LANES // 2) or d_state > _LONGEST_ROW:
        return operation
    plain, *others = operation.constants
    laid = Constant(plain.name, channels_of_eight(given), f"{operation.c_name}: channels by eights")
    return replace(operation, constants=(laid, *others), headers=("edgebci_mamba2_fixed_helium.h",))


def channels_of_eight(given: Mapping[str, NDArray[Any]]) -> NDArray[np.int32]:
    """Of eight channels, (conv_dim / 8, 4 taps + 16) words, as edgebci_mamba2_fixed_channels_helium.h reads them."""
    weight = given["conv_weight"].reshape(-1, LANES, given["conv_weight"].shape[1]).swapaxes(1, 2)
    taps = np.ascontiguousarray(weight, "<i2").reshape(len(weight), -1).view("<i4")
    by_place = [given[part].reshape(-1, LANES // 2, 2).swapaxes(1, 2) for part in ("conv_multiplier", "conv_bias")]
    scaling = np.stack(by_place, axis=1).reshape(len(weight), -1)
    return np.concatenate([taps, scaling], axis=1).astype(np.int32)


def _dense(operation: Operation, graph: StepGraph) -> Operation:
    _, weight_name, multiplier, bias, *_ = operation.node.inputs
    weight, name = graph.constants[weight_name], operation.c_name
    rows = len(weight) + -len(weight) % 4
    sums = 128 * weight.astype(np.int32).sum(axis=1, dtype=np.int32)
    per_row = {"start": sums, "multiplier": graph.constants[multiplier]}
    call, kernel = operation.call, operation.kernel
    if graph.constants[bias].any():
        per_row["bias"] = graph.constants[bias]
        plain = call.partition("(")[0]
        call = call.replace(plain, f"{plain}_biased", 1)
        kernel = kernel.replace("(", "_BIASED(", 1).replace(plain, f"{plain}_biased", 1)
    laid = Constant(f"{name}_weight", blocked_rows(weight), f"{weight_name}: int8 {list(weight.shape)} in blocks")
    others = [
        Constant(f"{name}_{part}", _filled(values, rows + _OVERREAD), f"{name}: {part}")
        for part, values in per_row.items()
    ]
    fields = [laid.name, *(constant.name for constant in others), "NULL"][:4]
    return replace(
        operation,
        call=call,
        kernel=kernel,
        constants=(laid, *others),
        description=f"{{{rows}u, {', '.join(fields)}}}",
        description_type="edgebci_dense_rows_t",
        headers=("edgebci_dense_fixed_helium.h",),
    )


def blocked_rows(weight: NDArray[np.signedinteger[Any]]) -> I8:
    """Weights (rows, columns) as edgebci_dense_fixed_helium.h reads them: one after the other, and 16 zeros.

    Blocks of columns, of each the pairs of rows, of each 16 columns at a time of both. Rows are filled up with zeros to
    a multiple of 4, columns to one of 16.
    """
    rows, columns = weight.shape
    filled = np.pad(weight, ((0, -rows % 4), (0, -columns % VECTOR))).astype(np.int8)
    blocks = [filled[:, begin : begin + BLOCK] for begin in range(0, columns, BLOCK)]
    pairs = [block.reshape(len(filled) // 2, 2, -1, VECTOR).swapaxes(1, 2).ravel() for block in blocks]
    return np.concatenate([*pairs, np.zeros(VECTOR, np.int8)])


def _filled(values: NDArray[Any], n: int) -> NDArray[np.int32]:
    return np.pad(values, (0, n - len(values))).astype(np.int32)
