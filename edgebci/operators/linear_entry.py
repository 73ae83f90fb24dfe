"""The plain entry: x = W frame + b; quantized, x = dense(q(frame))."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edgebci import arithmetic
from edgebci.arithmetic import F32
from edgebci.block_spec import Shape
from edgebci.operators.cell import F64, Costs, Integers, Tap
from edgebci.operators.dense import QuantizedDense, dense_of, dense_tensors
from edgebci.operators.entry import Entry, QuantizedEntry


@dataclass(frozen=True)
class QuantizedLinear(QuantizedEntry):
    """A quantizer and a dense layer; `tap` sees `frame_q`."""

    dense: QuantizedDense

    def run(self, frames: F32, _: Mapping[str, Integers], tap: Tap) -> tuple[F32, dict[str, Integers]]:
        """See `QuantizedEntry.run`."""
        q = arithmetic.quantize_int8(frames, self.dense.inverse_act_scale)
        tap("frame_q", q)
        return self.dense(q), {}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by its name in the decoder."""
        return dense_tensors("input", self.dense)


@dataclass(frozen=True)
class LinearEntry(Entry):
    """One matrix, without memory."""

    n_inputs: int
    d_model: int

    def parameter_shapes(self) -> dict[str, Shape]:
        """Shape of each trained tensor."""
        return {"input.weight": (self.d_model, self.n_inputs), "input.bias": (self.d_model,)}

    def state_shapes(self) -> dict[str, Shape]:
        """Nothing is remembered."""
        return {}

    def costs(self) -> Costs:
        """One dense layer."""
        return Costs(dense=((self.d_model, self.n_inputs),), conv_macs=0, state_macs=0, vector_bytes=0)

    def run(
        self, weights: Mapping[str, F64], frames: F64, _: Mapping[str, F64], tap: Tap
    ) -> tuple[F64, dict[str, F64]]:
        """See `Entry.run`; `tap` sees `frame`."""
        tap("frame", frames)
        return frames @ weights["input.weight"].T + weights["input.bias"], {}

    def quantized(self, tensors: Mapping[str, NDArray[Any]]) -> QuantizedLinear:
        """Build from what `QuantizedLinear.tensors` gave."""
        return QuantizedLinear(dense_of(tensors, "input"))
