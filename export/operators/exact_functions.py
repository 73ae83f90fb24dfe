"""The exponential and softplus of `edgebci.arithmetic` in standard ONNX operators, with its bits.

A runtime's own Exp and Softplus are as good but round otherwise. Here each operation is a node of its own, in the order
of the reference, and a power of two is looked up, since ONNX cannot put an integer into an exponent.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgebci.arithmetic import (
    EXP_HIGHEST,
    EXP_LOWEST,
    EXP_TERMS,
    LN2_HIGH,
    LN2_LOW,
    LOG1P_TERMS,
    LOG2E,
)
from edgebci.export.operators.integer_body import INT64, IntegerBody

_SMALLEST_POWER, _LARGEST_POWER = -67, 127
"""Of two, around all that exp meets between its limits."""


class ExactBody(IntegerBody):
    """A function body with the transcendental functions of the device."""

    def number(self, value: float | np.float32, name: str) -> ir.Value:
        """A float32 constant."""
        return self.constant(name, value, np.float32)

    def exp(self, x: ir.Value, name: str) -> ir.Value:
        """e^x; 0 at and below -46, e^88 above 88."""
        lowest, zero = self.number(EXP_LOWEST, f"{name}_lowest"), self.number(0.0, f"{name}_zero")
        bounded = self.node("Clip", [x, lowest, self.number(EXP_HIGHEST, f"{name}_highest")], f"{name}_bounded")
        octaves = self.two("Mul", bounded, self.number(LOG2E, f"{name}_log2e"), f"{name}_octaves")
        k = self.node("Round", [octaves], f"{name}_k")
        high = self.two("Mul", k, self.number(LN2_HIGH, f"{name}_ln2_high"), f"{name}_high")
        low = self.two("Mul", k, self.number(LN2_LOW, f"{name}_ln2_low"), f"{name}_low")
        r = self.two("Sub", self.two("Sub", bounded, high, f"{name}_coarse"), low, f"{name}_r")
        p = self._polynomial(EXP_TERMS, r, f"{name}_p")
        square = self.two("Mul", self.two("Mul", p, r, f"{name}_p_r"), r, f"{name}_p_r2")
        one = self.number(1.0, f"{name}_one")
        fraction = self.two("Add", self.two("Add", square, r, f"{name}_slope"), one, f"{name}_fraction")
        scaled = self.two("Mul", fraction, self._power(k, name), f"{name}_scaled")
        return self.node("Where", [self.two("Greater", x, lowest, f"{name}_inside"), scaled, zero], name)

    def softplus(self, x: ir.Value, name: str) -> ir.Value:
        """log(1 + e^x) as max(x, 0) + log(1 + e^-|x|)."""
        zero, two = self.number(0.0, f"{name}_zero"), self.number(2.0, f"{name}_two")
        positive = self.node("Where", [self.two("Greater", x, zero, f"{name}_above"), x, zero], f"{name}_positive")
        e = self.exp(self.node("Neg", [self.node("Abs", [x], f"{name}_abs")], f"{name}_minus"), f"{name}_e")
        s = self.two("Div", e, self.two("Add", two, e, f"{name}_below"), f"{name}_s")
        s2, twice = self.two("Mul", s, s, f"{name}_s2"), self.two("Mul", two, s, f"{name}_twice")
        series = self.two("Mul", self._polynomial(LOG1P_TERMS, s2, f"{name}_p"), s2, f"{name}_series")
        log1p = self.two("Add", self.two("Mul", series, twice, f"{name}_higher"), twice, f"{name}_log1p")
        return self.two("Add", positive, log1p, name)

    def _polynomial(self, terms: tuple[np.float32, ...], x: ir.Value, name: str) -> ir.Value:
        value = self.number(terms[0], f"{name}_0")
        for i, term in enumerate(terms[1:], 1):
            product = self.two("Mul", value, x, f"{name}_product_{i}")
            value = self.two("Add", product, self.number(term, f"{name}_{i}"), f"{name}_sum_{i}")
        return value

    def _power(self, k: ir.Value, name: str) -> ir.Value:
        powers = 2.0 ** np.arange(_SMALLEST_POWER, _LARGEST_POWER + 1)
        table = self.constant(f"{name}_powers", powers, np.float32)
        place = self.two("Add", self.cast(k, INT64, f"{name}_k_wide"), self.integers(-_SMALLEST_POWER), f"{name}_place")
        return self.node("Gather", [table, place], f"{name}_power", {"axis": 0})
