"""The S4D cell (Gu et al. 2022, arXiv 2206.11893): fixed, diagonal, complex dynamics, one set of modes per channel.

    h = exp(dt A) h + u        y = 2 Re(sum over modes of C (exp(dt A) - 1) / A h) + D u       out = glu(W gelu(y) + b)

with A = -exp(A_log) + i A_imag and dt = exp(dt_log); real parts of the modes come first, then imaginary ones.
Quantized: int8 input and projection, int16 modes with one scale each, float32 between; the modes may be int8 where the
decay report shows that it holds. dt and A stay in the log domain until export, which computes exp(dt A) in float64 and
keeps it in float32: it is never rounded to integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgebci import arithmetic
from edgebci.arithmetic import F32, I8
from edgebci.block_spec import Shape
from edgebci.operators import activations
from edgebci.operators.cell import F64, Cell, Costs, Integers, QuantizedCell, Tap, sigmoid
from edgebci.operators.dense import QuantizedDense, dense_of, dense_tensors
from edgebci.operators.state_width import quantize_state

_FLOAT32 = 4
_TENSORS = {"act_scale": "input_scale"} | {
    name: name for name in ("decay_real", "decay_imag", "inject", "read", "skip")
}


@dataclass(frozen=True)
class QuantizedS4D(QuantizedCell):
    """q -> step -> q -> out_proj -> glu."""

    input_scale: F32  # (), one count of the input
    decay_real: F32  # (d_model, modes), of exp(dt A)
    decay_imag: F32  # (d_model, modes)
    inject: F32  # (d_model, modes), counts of the mode for one count of the input
    read: F32  # (d_model, 2 modes), what one count of each part adds to y
    skip: F32  # (d_model,), what one count of the input adds to y
    out_proj: QuantizedDense

    @property
    def act_scale(self) -> F32:
        """() one count of the input."""
        return self.input_scale

    def run(self, q: I8, states: Mapping[str, Integers], tap: Tap) -> tuple[F32, dict[str, Integers]]:
        """See `QuantizedCell.run`; `tap` sees `modes.next` and `gated_q`."""
        active, modes = s4d_steps(self, q, states["modes"])
        tap("modes.next", modes)
        gated = arithmetic.quantize_int8(active, self.out_proj.inverse_act_scale)
        tap("gated_q", gated)
        value, gate = np.split(self.out_proj(gated), 2, axis=-1)
        return value * activations.sigmoid(gate), {"modes": modes[-1].copy()}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by its name within the layer's `mixer`."""
        return {name: getattr(self, field) for name, field in _TENSORS.items()} | dense_tensors(
            "out_proj", self.out_proj
        )


def s4d_steps(cell: QuantizedS4D, q: I8, modes: Integers) -> tuple[F32, Integers]:
    """gelu(y) (T, d_model) for q (T, d_model), and the modes after each step (T, d_model, 2 modes).

    real, imag = q((a real - b imag) + inject q), q(b real + a imag)        y = lane_sum(read h) + skip q
    """
    counts = q.astype(np.float32)
    injected = cell.inject * counts[..., None]
    a, b, n, unit = cell.decay_real, cell.decay_imag, cell.decay_real.shape[1], np.float32(1.0)
    after = np.empty((len(q), *modes.shape), modes.dtype)
    for t in range(len(q)):
        h = modes.astype(np.float32)
        real, imag = h[:, :n], h[:, n:]
        turned = np.concatenate([(a * real - b * imag) + injected[t], b * real + a * imag], axis=1)
        after[t] = modes = quantize_state(turned, unit, modes.dtype)
    y = arithmetic.lane_sum(cell.read * after.astype(np.float32)) + cell.skip * counts
    return activations.gelu(y), after


class S4DCell(Cell):
    """S4D with zero-order hold; of the block's sizes, d_model and d_state are read."""

    input_scale: ClassVar[str] = "act_scale"

    @property
    def modes(self) -> int:
        """Complex modes of a channel."""
        return self.block.d_state // 2

    def parameter_shapes(self) -> dict[str, Shape]:
        """Names and shapes of `edgebci.training.s4d.S4D`."""
        width, modes = self.block.d_model, self.modes
        return {
            "dt_log": (width,),
            "A_log": (width, modes),
            "A_imag": (width, modes),
            "C": (width, modes, 2),
            "D": (width,),
            "out_proj.weight": (2 * width, width),
            "out_proj.bias": (2 * width,),
        }

    def state_shapes(self) -> dict[str, Shape]:
        """`modes`: real parts, then imaginary parts."""
        return {"modes": (self.block.d_model, 2 * self.modes)}

    def costs(self) -> Costs:
        """Of the recurrence, seven MACs per complex mode: four to turn it, one to drive it, two to read it."""
        width, modes = self.block.d_model, self.modes
        return Costs(
            dense=((2 * width, width),),
            conv_macs=0,
            state_macs=7 * width * modes,
            vector_bytes=_FLOAT32 * (1 + width * (5 * modes + 1)),
        )

    def run(
        self, weights: Mapping[str, F64], u: F64, states: Mapping[str, F64], tap: Tap
    ) -> tuple[F64, dict[str, F64]]:
        """See `Cell.run`; `tap` sees `modes.next` and `gated`."""
        decay, read = dynamics(weights)
        h = states["modes"][:, : self.modes] + 1j * states["modes"][:, self.modes :]
        after = np.empty((len(u), *h.shape), np.complex128)
        for t in range(len(u)):
            after[t] = h = decay * h + u[t][:, None]
        y = (after * read).real.sum(axis=-1) + weights["D"] * u
        modes = np.concatenate([after.real, after.imag], axis=-1)
        tap("modes.next", modes)
        gated = gelu(y)
        tap("gated", gated)
        value, gate = np.split(gated @ weights["out_proj.weight"].T + weights["out_proj.bias"], 2, axis=-1)
        return value * sigmoid(gate), {"modes": modes[-1]}

    def quantized(self, tensors: Mapping[str, NDArray[Any]]) -> QuantizedS4D:
        """Build from what `QuantizedS4D.tensors` gave."""
        arrays = {field: tensors[name] for name, field in _TENSORS.items()}
        return QuantizedS4D(**arrays, out_proj=dense_of(tensors, "out_proj"))


def dynamics(weights: Mapping[str, F64]) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """exp(dt A) and what a mode adds to y, 2 C (exp(dt A) - 1) / A, both (d_model, modes) complex."""
    rates = -np.exp(weights["A_log"]) + 1j * weights["A_imag"]
    decay = np.exp(np.exp(weights["dt_log"])[:, None] * rates)
    read = 2 * (weights["C"][..., 0] + 1j * weights["C"][..., 1]) * (decay - 1) / rates
    return decay, read


def gelu(x: F64) -> F64:
    """x (1 + erf(x / sqrt(2))) / 2."""
    from scipy import special

    result: F64 = x * special.ndtr(x)
    return result
