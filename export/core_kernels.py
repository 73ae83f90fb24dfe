"""Which kernels a core takes: with the DSP extension, dense layers with weights packed for it; with Helium, vectors.

A core is known by its name alone. Its kernels give the bits of the portable ones (sums of integers are exact), and
they compile everywhere, so that the host twin of a program runs the very same sources.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.export.c_graph import StepGraph
from edgebci.export.c_literals import Constant
from edgebci.export.c_operation import Operation
from edgebci.export.helium_kernels import HELIUM_CORES, helium_kernel

PORTABLE = "portable"
"""No core in particular: plain C with weights row by row."""
PACKED_CORES = ("cortex-m4f", "cortex-m7", "cortex-m33")
"""Cores with the DSP extension and without vectors."""
GROUP = 4
"""Rows, and columns, that packed weights are taken in."""
_FEWEST_ROWS = 8
"""Below, packing saves less than it costs; a readout, whose weights may be loaded later, stays as it is."""


def takes_packed_weights(core: str) -> bool:
    """Whether dense layers for `core` have packed weights."""
    return core in PACKED_CORES


def for_core(operation: Operation, graph: StepGraph, core: str) -> Operation:
    """The operation with the kernel that `core` takes for it."""
    if core in HELIUM_CORES:
        return helium_kernel(operation, graph)
    node = operation.node
    if node.operator != "edgebci.Dense" or node.name == "readout" or not takes_packed_weights(core):
        return operation
    weight = graph.constants[node.inputs[1]]
    return operation if len(weight) < _FEWEST_ROWS else _packed_dense(operation, weight)


def _packed_dense(operation: Operation, weight: NDArray[np.int8]) -> Operation:
    rows, columns = weight.shape
    plain, *others = operation.constants
    packed = Constant(plain.name, packed_rows(weight), f"{operation.node.inputs[1]}: int8 [{rows}][{columns}] in pairs")
    kernel = f"dense_{columns}_packed"  # a profile knows it as a part of dense_{columns}
    return replace(
        operation,
        call=operation.call.replace(f"dense_{columns}(", f"{kernel}("),
        kernel=f"EDGEBCI_DEFINE_DENSE_PACKED({kernel}, {columns}u)",
        constants=(packed, *others),
        description_type="edgebci_dense_packed_t",
        headers=("edgebci_dense_packed.h", "edgebci_dsp.h", "edgebci_row_pairs.h"),
    )


def packed_rows(weight: NDArray[np.signedinteger[Any]]) -> NDArray[np.int16]:
    """Weights (rows, columns) in [-127, 127] as lanes 256 a + b of two rows each.

    Returns int16 (rows / 4, columns / 4, 2, 2, 2): groups of rows and of columns, pairs of columns, pairs of rows,
    columns; rows and columns are filled up with zeros to multiples of 4.
    """
    rows, columns = weight.shape
    filled = np.pad(weight.astype(np.int32), ((0, -rows % GROUP), (0, -columns % GROUP)))
    # group of rows, pair of rows, row in the pair; group of columns, pair of columns, column in the pair
    parts = filled.reshape(len(filled) // GROUP, 2, 2, filled.shape[1] // GROUP, 2, 2)
    lanes = 256 * parts[:, :, 0] + parts[:, :, 1]
    return np.ascontiguousarray(lanes.transpose(0, 2, 3, 1, 4)).astype(np.int16)
