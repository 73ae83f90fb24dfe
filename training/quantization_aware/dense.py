"""The twins of `edgebci.operators.dense`: dense layers over counts, and root-mean-square norms that quantize."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgebci.operators.dense import WeightBits, weight_bits, weight_name
from edgebci.training.quantization_aware.counting import Values

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Dense:
    """One dense layer: its name in the quantized decoder, and what a checkpoint calls its weights."""

    name: str
    weight: str
    bias: str | None = None

    def steps(self, tensors: Arrays) -> dict[str, NDArray[Any]]:
        """Where its steps begin."""
        return {f"{self.name}.{part}": tensors[f"{self.name}.{part}"] for part in ("act_scale", "weight_scale")}

    def largest(self, tensors: Arrays) -> int:
        """The largest count that its weights may have, from their width; in 16 bits, from the counts themselves."""
        bits = weight_bits(tensors, self.name)
        return {4: 7, 8: 127}.get(bits, int(np.abs(tensors[weight_name(self.name, bits)]).max()))

    def quantize(self, values: Values, x: Tensor) -> Tensor:
        """The counts that this layer takes of x (..., columns)."""
        return values.quantized(x, f"{self.name}.act_scale")

    def __call__(self, values: Values, q: Tensor) -> Tensor:
        """Counts (..., columns) to (..., rows)."""
        return self.function(values)(q)

    def function(self, values: Values) -> Callable[[Tensor], Tensor]:
        """The layer with its weights rounded once; sums of whole numbers are exact below 2^24, in any order."""
        step = values.steps[f"{self.name}.weight_scale"]
        weight = self._counts(values).T
        scale = values.steps[f"{self.name}.act_scale"] * step
        bias = None if self.bias is None else values.weights[self.bias]
        return lambda q: (q @ weight) * scale if bias is None else (q @ weight) * scale + bias

    def tensors(self, values: Values) -> dict[str, Tensor]:
        """As `edgebci.operators.dense.dense_tensors` names them; weights are counts."""
        weight, largest = values.weights[self.weight], values.largest[self.name]
        step = values.steps[f"{self.name}.weight_scale"]
        bits: WeightBits = 4 if largest == 7 else 8 if largest == 127 else 16
        kind = torch.int16 if bits == 16 else torch.int8
        return {
            weight_name(self.name, bits): self._counts(values).to(kind),
            f"{self.name}.act_scale": values.steps[f"{self.name}.act_scale"],
            f"{self.name}.weight_scale": step,
            f"{self.name}.bias": weight.new_zeros(len(weight)) if self.bias is None else values.weights[self.bias],
        }

    def _counts(self, values: Values) -> Tensor:
        return values.weight(values.weights[self.weight], f"{self.name}.weight_scale", values.largest[self.name])


def rms_norm(x: Tensor, gamma: Tensor, epsilon: float) -> Tensor:
    """(x * r) * gamma over the last axis, as the device multiplies; sums in torch's order."""
    r = 1.0 / torch.sqrt((x * x).mean(dim=-1, keepdim=True) + epsilon)
    return (x * r) * gamma
