"""Writing NumPy values as C99: integers in decimal, floats as exact hexadecimal literals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

C_TYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "uint8": "uint8_t", "float32": "float"}
C_BYTES = {"int8_t": 1, "int16_t": 2, "int32_t": 4, "uint8_t": 1, "float": 4}
_LINE = 110


@dataclass(frozen=True)
class Constant:
    """One array in flash."""

    name: str  # a C identifier
    values: NDArray[Any]
    comment: str

    @property
    def c_type(self) -> str:
        """Type of an element."""
        return C_TYPES[self.values.dtype.name]

    @property
    def definition(self) -> str:
        """`static const` with its initializer; int8 arrays begin on a word so that a kernel may load four at once."""
        return (
            f"/* {self.comment} */\nstatic const {self.c_type} {self.name}[{self.values.size}] EDGEBCI_ALIGNED = {{\n"
            f"{wrapped(self.values)}\n}};"
        )


def identifier(name: str) -> str:
    """A C identifier for an ONNX name: `layers.0.mixer.in_proj` becomes `layers_0_mixer_in_proj`."""
    plain = re.sub(r"\W", "_", name)
    return f"n_{plain}" if not plain or plain[0].isdigit() else plain


def literal(value: Any) -> str:
    """An integer, or a float32 as an exact hexadecimal literal: -0x1.8p+1f; infinity as what compilers build in."""
    if isinstance(value, np.integer | int):
        return str(int(value))
    if np.isinf(value):
        return "-__builtin_inff()" if value < 0 else "__builtin_inff()"
    mantissa, exponent = float(np.float32(value)).hex().split("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}p{exponent}f"


def wrapped(values: NDArray[Any], indent: str = "   ") -> str:
    """All values as the lines of an initializer; `indent` is one space short, since each value brings its own."""
    lines, line = [], indent
    for value in values.ravel():
        text = f" {literal(value)},"
        if len(line) + len(text) > _LINE:
            lines.append(line)
            line = indent
        line += text
    return "\n".join([*lines, line])
