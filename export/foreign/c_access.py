"""How a kernel finds the elements of an operand: an expression in `i`, so that slices and broadcasts cost no copy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebci.foreign.graph import Index


@dataclass(frozen=True)
class Access:
    """Element i of an operand lies at `offset` + the value of `expression`."""

    offset: int
    expression: str
    code: str
    """The same as a part of a kernel's name."""

    @property
    def straight(self) -> bool:
        """Elements lie one after another."""
        return self.expression == "i"


def access(index: Index | None, size: int) -> Access | None:
    """`offset + stride * (i / inner % period)`, or None where only a table of the index says it.

    Args:
        index: of the operand, None for all elements in their order.
        size: number of elements that are read.
    """
    if index is None:
        return Access(0, "i", "i")
    steps, i = index.astype(np.int64) - int(index[0]), np.arange(size)
    moved = np.flatnonzero(steps)
    if not len(moved):
        return Access(int(index[0]), "0", "0")
    inner = int(moved[0])
    stride = int(steps[inner])
    back = np.flatnonzero(steps[::inner] == 0)
    period = int(back[1]) if len(back) > 1 else -(-size // inner)
    if stride < 0 or (steps != stride * (i // inner % period)).any():
        return None
    return Access(int(index[0]), *_text(inner, period, stride, size))


def _text(inner: int, period: int, stride: int, size: int) -> tuple[str, str]:
    text, code = "i", "i"
    if inner > 1:
        text, code = f"{text} / {inner}u", f"d{inner}"
    if period * inner < size:
        text, code = f"{text} % {period}u", f"{code}m{period}"
    if stride > 1:
        text, code = f"({text}) * {stride}u" if text != "i" else f"i * {stride}u", f"{code}x{stride}"
    return text, code
