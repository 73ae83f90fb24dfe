"""An ONNX node as its translation sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.export.foreign.emitter import Emitter, Unsupported, Value, View

Translate = Callable[["OnnxNode", Emitter], list[Value]]
"""A node to its outputs; raises Unsupported with the reason where it cannot be translated."""


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """One operator with its operands; an input that is left out is None."""

    name: str
    operator: str
    values: tuple[Value | None, ...]
    attributes: dict[str, Any]
    n_outputs: int
    opset: int

    def value(self, i: int) -> Value:
        """An operand that must be there."""
        found = self.optional(i)
        if found is None:
            raise Unsupported(f"its input {i} is missing")
        return found

    def optional(self, i: int) -> Value | None:
        """An operand that may be left out."""
        return self.values[i] if i < len(self.values) else None

    def constant(self, i: int, what: str) -> NDArray[Any]:
        """An operand that must be known before any frame comes."""
        found = self.value(i)
        if isinstance(found, View):
            raise Unsupported(f"its {what} is computed, allowed is a constant")
        return found

    def optional_constant(self, i: int, what: str) -> NDArray[Any] | None:
        """As `constant`, or None where it is left out."""
        return None if self.optional(i) is None else self.constant(i, what)

    def get(self, name: str, default: Any) -> Any:
        """An attribute; text as str."""
        found = self.attributes.get(name, default)
        return found.decode() if isinstance(found, bytes) else found

    def axes(self, i: int) -> tuple[int, ...] | None:
        """Axes as attribute (older opsets) or as input i."""
        if "axes" in self.attributes:
            return tuple(int(axis) for axis in self.attributes["axes"])
        given = self.optional_constant(i, "list of axes")
        return None if given is None else tuple(int(axis) for axis in np.atleast_1d(given))
