"""Function bodies in integers: what `edgebci.operators.fixed_point` computes, in standard operators on int64.

ONNX has no operator on int16 that saturates and no shift of signed integers, so everything is widened; divisions by
powers of two round down because a multiple of the divisor makes them positive first.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgebci.export.graph_builder import Builder
from edgebci.operators.fixed_point import TABLE_BITS

FLOAT, INT16, INT32, INT64 = ir.DataType.FLOAT, ir.DataType.INT16, ir.DataType.INT32, ir.DataType.INT64
_POSITIVE = 1 << 62  # a multiple of every divisor here, above every dividend


class IntegerBody(Builder):
    """A function body; constants of one value are one node."""

    def __init__(self) -> None:
        super().__init__()
        self._integers: dict[tuple[int, ...], ir.Value] = {}

    def integers(self, *values: int) -> ir.Value:
        """A constant: a scalar of one value, a vector of more."""
        if values not in self._integers:
            name = "integer_" + "_".join(str(value).replace("-", "m") for value in values)
            self._integers[values] = self.constant(name, values[0] if len(values) == 1 else values, np.int64)
        return self._integers[values]

    def axes(self, *axes: int) -> ir.Value:
        """A vector of axes, even of one."""
        return self.constant(f"axes_{len(self.nodes)}", axes, np.int64)

    def cast(self, value: ir.Value, kind: ir.DataType, name: str) -> ir.Value:
        """In another type; floats are rounded towards zero."""
        return self.node("Cast", [value], name, {"to": kind.value})

    def wide(self, value: ir.Value, name: str) -> ir.Value:
        """In int64."""
        return self.cast(value, INT64, f"{name}_wide")

    def two(self, operator: str, x: ir.Value, y: ir.Value, name: str) -> ir.Value:
        """A node of two inputs."""
        return self.node(operator, [x, y], name)

    def divided(self, value: ir.Value, divisor: ir.Value, name: str) -> ir.Value:
        """Value / divisor, a power of two, rounded down."""
        offset = self.integers(_POSITIVE)
        quotient = self.two("Div", self.two("Add", value, offset, f"{name}_raised"), divisor, f"{name}_quotient")
        return self.two("Sub", quotient, self.two("Div", offset, divisor, f"{name}_offset"), name)

    def multiplied(self, x: ir.Value, multiplier: ir.Value, name: str) -> ir.Value:
        """X times multiplier / 2^32, to nearest, halves up."""
        half = self.two(
            "Add", self.two("Mul", x, multiplier, f"{name}_product"), self.integers(1 << 31), f"{name}_half"
        )
        return self.divided(half, self.integers(1 << 32), name)

    def limited(self, value: ir.Value, lowest: int, highest: int, name: str) -> ir.Value:
        """Within [lowest, highest]."""
        return self.node("Clip", [value, self.integers(lowest), self.integers(highest)], name)

    def saturated(self, value: ir.Value, name: str) -> ir.Value:
        """Int16."""
        return self.cast(self.limited(value, -32768, 32767, f"{name}_limited"), INT16, name)

    def truncated(self, value: ir.Value, highest: float, name: str) -> ir.Value:
        """A float within [0, highest] as an integer, rounded down."""
        bounds = [self.constant(f"{name}_{i}", bound, np.float32) for i, bound in enumerate((0.0, highest))]
        return self.cast(self.node("Clip", [value, *bounds], f"{name}_limited"), INT64, name)

    def silu(self, counts: ir.Value, table: ir.Value, name: str) -> ir.Value:
        """SiLU of wide counts by its table, wide."""
        knots = self.divided(counts, self.integers(1 << TABLE_BITS), f"{name}_knots")
        index = self.two("Add", knots, self.integers(1 << (15 - TABLE_BITS)), f"{name}_index")
        entry = self.wide(self.node("Gather", [table, index], f"{name}_entry", {"axis": 0}), f"{name}_entry")
        intercept, slope = (
            self.node("Gather", [entry, self.integers(column)], f"{name}_{part}", {"axis": -1})
            for column, part in ((0, "intercept"), (1, "slope"))
        )
        scaled = self.two("Mul", intercept, self.integers(1 << TABLE_BITS), f"{name}_scaled")
        half = self.two("Add", scaled, self.integers(1 << (TABLE_BITS - 1)), f"{name}_half")
        line = self.two("Add", half, self.two("Mul", slope, counts, f"{name}_rise"), f"{name}_sum")
        return self.divided(line, self.integers(1 << TABLE_BITS), name)
