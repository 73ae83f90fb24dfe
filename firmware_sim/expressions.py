"""Formulas that remember themselves, so that one definition is computed in Python and printed as JavaScript.

The formulas of this package take and give floats. Given an `Expression`, which is a float too, they give the tree of
what they computed: `javascript` prints it for a page, `value` evaluates it. An expression's own value is NaN, so that
whatever computes with it and forgets the tree (`math.sqrt`, a comparison) shows at once; `least`, `ceiling`, `root` and
`power_of_two` keep it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

from edgebci.errors import VerificationError

Operator = Literal["+", "-", "*", "/"]
Function = Literal["min", "ceil", "sqrt", "pow2"]
_COMPUTE: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
_CALL: dict[str, Callable[..., float]] = {"min": min, "ceil": math.ceil, "sqrt": math.sqrt, "pow2": math.exp2}


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Variable:
    """Something that the page sets: a slider, or a figure of a profile."""

    name: str


@dataclass(frozen=True)
class Binary:
    """left operator right."""

    operator: Operator
    left: Node
    right: Node


@dataclass(frozen=True)
class Call:
    """A function of its arguments."""

    function: Function
    arguments: tuple[Node, ...]


Node = Number | Variable | Binary | Call


class Expression(float):
    """A float that is computed later."""

    node: Node

    def __new__(cls, node: Node) -> Expression:
        """Wrap a tree."""
        made = super().__new__(cls, math.nan)
        made.node = node
        return made

    def __add__(self, other: float) -> Expression:
        return _binary("+", self, other)

    def __radd__(self, other: float) -> Expression:
        return _binary("+", other, self)

    def __sub__(self, other: float) -> Expression:
        return _binary("-", self, other)

    def __rsub__(self, other: float) -> Expression:
        return _binary("-", other, self)

    def __mul__(self, other: float) -> Expression:
        return _binary("*", self, other)

    def __rmul__(self, other: float) -> Expression:
        return _binary("*", other, self)

    def __truediv__(self, other: float) -> Expression:
        return _binary("/", self, other)

    def __rtruediv__(self, other: float) -> Expression:
        return _binary("/", other, self)

    def _refuse(self, _: float) -> NoReturn:
        raise VerificationError("a formula decides by a value that is not known yet; write it with `least`")

    __lt__ = __le__ = __gt__ = __ge__ = _refuse


def variable(name: str) -> Expression:
    """An expression that is one variable."""
    return Expression(Variable(name))


def least(a: float, b: float) -> float:
    """The smaller of two."""
    if isinstance(a, Expression) or isinstance(b, Expression):
        return Expression(Call("min", (node_of(a), node_of(b))))
    return min(a, b)


def ceiling(x: float) -> float:
    """The next whole number upwards."""
    return Expression(Call("ceil", (x.node,))) if isinstance(x, Expression) else float(math.ceil(x))


def root(x: float) -> float:
    """Square root."""
    return Expression(Call("sqrt", (x.node,))) if isinstance(x, Expression) else math.sqrt(x)


def power_of_two(x: float) -> float:
    """2 to the power of x."""
    return Expression(Call("pow2", (x.node,))) if isinstance(x, Expression) else math.exp2(x)


def node_of(number: float) -> Node:
    """The tree of an expression, or a constant.

    Raises:
        VerificationError: the number is NaN or infinite: some function forgot the tree.
    """
    if isinstance(number, Expression):
        return number.node
    if not math.isfinite(number):
        raise VerificationError(f"a formula made {number} of an expression; compute it by functions that keep the tree")
    return Number(float(number))


def value(node: Node, variables: Mapping[str, float]) -> float:
    """Evaluate a tree."""
    match node:
        case Number():
            return node.value
        case Variable():
            return variables[node.name]
        case Binary():
            return _COMPUTE[node.operator](value(node.left, variables), value(node.right, variables))
        case Call():
            return float(_CALL[node.function](*(value(argument, variables) for argument in node.arguments)))


def javascript(node: Node) -> str:
    """Print a tree; a variable `a.b` is read as `v["a.b"]`."""
    match node:
        case Number():
            return repr(node.value)
        case Variable():
            return f'v["{node.name}"]'
        case Binary():
            return f"({javascript(node.left)} {node.operator} {javascript(node.right)})"
        case Call():
            arguments = ", ".join(javascript(argument) for argument in node.arguments)
            return f"Math.pow(2, {arguments})" if node.function == "pow2" else f"Math.{node.function}({arguments})"


def _binary(operator: Operator, left: float, right: float) -> Expression:
    return Expression(Binary(operator, node_of(left), node_of(right)))
