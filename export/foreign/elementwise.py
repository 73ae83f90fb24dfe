"""Operators that compute each element on its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebci.export.foreign.emitter import Emitter, Unsupported, Value, View
from edgebci.export.foreign.node import OnnxNode, Translate

_LARGEST_POWER = 8


def number(value: float) -> np.ndarray[Any, Any]:
    """A scalar constant in float32."""
    return np.asarray(value, np.float32)


def _plain(function: str, n_inputs: int) -> Translate:
    def translate(node: OnnxNode, to: Emitter) -> list[Value]:
        return [to.apply(function, *(node.value(i) for i in range(n_inputs)))]

    return translate


def _many(function: str) -> Translate:
    def translate(node: OnnxNode, to: Emitter) -> list[Value]:
        result = node.value(0)
        for i in range(1, len(node.values)):
            result = to.apply(function, result, node.value(i))
        return [result]

    return translate


def _mean(node: OnnxNode, to: Emitter) -> list[Value]:
    total = _many("add")(node, to)[0]
    return [to.apply("multiply", total, number(1 / len(node.values)))]


def _flipped(function: str) -> Translate:
    """x > y is y < x."""
    return lambda node, to: [to.apply(function, node.value(1), node.value(0))]


def _not(node: OnnxNode, to: Emitter) -> list[Value]:
    return [to.apply("equal", node.value(0), number(0))]


def _reciprocal(node: OnnxNode, to: Emitter) -> list[Value]:
    return [to.apply("divide", number(1), node.value(0))]


def _power(node: OnnxNode, to: Emitter) -> list[Value]:
    x, exponents = node.value(0), np.unique(node.constant(1, "exponent"))
    exponent = float(exponents[0]) if len(exponents) == 1 else 0.5
    if len(exponents) > 1 or (exponent != int(exponent) and abs(exponent) != 0.5):
        return [to.apply("power", x, np.asarray(node.constant(1, "exponent"), np.float32))]
    size = abs(exponent)
    if size > _LARGEST_POWER or size == 0:
        raise Unsupported(f"its exponent is {exponent:g}, allowed are 1 to {_LARGEST_POWER} and fractions")
    result = to.apply("sqrt", x) if size == 0.5 else x
    for _ in range(int(size) - 1):
        result = to.apply("multiply", result, x)
    return [result if exponent > 0 else to.apply("divide", number(1), result)]


def _clip(node: OnnxNode, to: Emitter) -> list[Value]:
    result = node.value(0)
    lowest, highest = node.optional(1), node.optional(2)
    if lowest is not None:
        result = to.apply("maximum", result, lowest)
    return [result if highest is None else to.apply("minimum", result, highest)]


def _leaky_relu(node: OnnxNode, to: Emitter) -> list[Value]:
    return [to.apply("leaky_relu", node.value(0), number(node.get("alpha", 0.01)))]


def _prelu(node: OnnxNode, to: Emitter) -> list[Value]:
    return [to.apply("leaky_relu", node.value(0), node.value(1))]


def _thresholded_relu(node: OnnxNode, to: Emitter) -> list[Value]:
    above = to.apply("less", number(node.get("alpha", 1.0)), node.value(0))
    return [to.apply("select", above, node.value(0), number(0))]


def _exponential_unit(x: Value, to: Emitter, alpha: float, gamma: float, inside: float) -> Value:
    """gamma (x where positive, else alpha (e^(x / inside) - 1))."""
    scaled = x if inside == 1 else to.apply("divide", x, number(inside))
    below = to.apply("multiply", to.apply("subtract", to.apply("exp", scaled), number(1)), number(alpha))
    chosen = to.apply("select", to.apply("less", number(0), x), x, below)
    return chosen if gamma == 1 else to.apply("multiply", chosen, number(gamma))


def _elu(node: OnnxNode, to: Emitter) -> list[Value]:
    return [_exponential_unit(node.value(0), to, node.get("alpha", 1.0), 1, 1)]


def _celu(node: OnnxNode, to: Emitter) -> list[Value]:
    alpha = node.get("alpha", 1.0)
    return [_exponential_unit(node.value(0), to, alpha, 1, alpha)]


def _selu(node: OnnxNode, to: Emitter) -> list[Value]:
    alpha, gamma = node.get("alpha", 1.67326319217681884765625), node.get("gamma", 1.05070102214813232421875)
    return [_exponential_unit(node.value(0), to, alpha, gamma, 1)]


def _hard_sigmoid(node: OnnxNode, to: Emitter) -> list[Value]:
    return [hard_sigmoid(node.value(0), to, node.get("alpha", 0.2), node.get("beta", 0.5))]


def hard_sigmoid(x: Value, to: Emitter, alpha: float, beta: float) -> Value:
    """alpha x + beta within [0, 1]."""
    line = to.apply("add", to.apply("multiply", x, number(alpha)), number(beta))
    return to.apply("minimum", to.apply("maximum", line, number(0)), number(1))


def _hard_swish(node: OnnxNode, to: Emitter) -> list[Value]:
    return [to.apply("multiply", node.value(0), hard_sigmoid(node.value(0), to, 1 / 6, 0.5))]


def _softsign(node: OnnxNode, to: Emitter) -> list[Value]:
    x = node.value(0)
    return [to.apply("divide", x, to.apply("add", to.apply("absolute", x), number(1)))]


def _swish(node: OnnxNode, to: Emitter) -> list[Value]:
    alpha, x = node.get("alpha", 1.0), node.value(0)
    if alpha == 1:
        return [to.apply("silu", x)]
    return [to.apply("multiply", x, to.apply("sigmoid", to.apply("multiply", x, number(alpha))))]


def _mish(node: OnnxNode, to: Emitter) -> list[Value]:
    """x tanh(log(1 + e^x)) = x n / (n + 2) with n = e^x (e^x + 2), which keeps its digits where x is very negative."""
    x = node.value(0)
    e = to.apply("exp", to.apply("minimum", x, number(20)))
    n = to.apply("multiply", e, to.apply("add", e, number(2)))
    return [to.apply("multiply", x, to.apply("divide", n, to.apply("add", n, number(2))))]


def _gelu(node: OnnxNode, to: Emitter) -> list[Value]:
    x = node.value(0)
    if node.get("approximate", "none") == "none":
        return [to.apply("gelu", x)]
    cube = to.apply("multiply", to.apply("multiply", x, x), x)
    inner = to.apply("add", x, to.apply("multiply", cube, number(0.044715)))
    bent = to.apply("tanh", to.apply("multiply", inner, number(np.sqrt(2 / np.pi))))
    half = to.apply("multiply", x, number(0.5))
    return [to.apply("multiply", half, to.apply("add", bent, number(1)))]


def _where(node: OnnxNode, to: Emitter) -> list[Value]:
    return [to.apply("select", node.value(0), node.value(1), node.value(2))]


def _cast(node: OnnxNode, to: Emitter) -> list[Value]:
    """Between float32 and truth values only: integers are not computed with."""
    x, kind = node.value(0), int(node.attributes["to"])
    if kind == 9 and isinstance(x, View):
        return [to.apply("equal", to.apply("equal", x, number(0)), number(0))]
    if kind != 1:
        raise Unsupported("it makes another type than float32 of a computed tensor")
    return [x]


def _same(node: OnnxNode, _: Emitter) -> list[Value]:
    return [node.value(0)]


def _dropout(node: OnnxNode, _: Emitter) -> list[Value]:
    training = node.optional_constant(2, "training mode")
    if (training is not None and training.any()) or node.n_outputs > 1:
        raise Unsupported("it drops values or gives a mask; export the model in evaluation mode")
    return [node.value(0)]


TRANSLATIONS: dict[str, Translate] = {
    **{name: _plain(name.lower(), 1) for name in ("Exp", "Log", "Sqrt", "Relu", "Sigmoid", "Tanh", "Erf", "Softplus")},
    "Abs": _plain("absolute", 1),
    "Neg": _plain("negative", 1),
    "Add": _plain("add", 2),
    "Sub": _plain("subtract", 2),
    "Mul": _plain("multiply", 2),
    "Div": _plain("divide", 2),
    "Sum": _many("add"),
    "Mean": _mean,
    "Min": _many("minimum"),
    "Max": _many("maximum"),
    "Equal": _plain("equal", 2),
    "Less": _plain("less", 2),
    "LessOrEqual": _plain("less_equal", 2),
    "Greater": _flipped("less"),
    "GreaterOrEqual": _flipped("less_equal"),
    "And": _plain("multiply", 2),
    "Or": _plain("maximum", 2),
    "Not": _not,
    "Where": _where,
    "Reciprocal": _reciprocal,
    "Pow": _power,
    "Clip": _clip,
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "ThresholdedRelu": _thresholded_relu,
    "Elu": _elu,
    "Celu": _celu,
    "Selu": _selu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Softsign": _softsign,
    "Swish": _swish,
    "Mish": _mish,
    "Gelu": _gelu,
    "Cast": _cast,
    "Identity": _same,
    "Dropout": _dropout,
}
