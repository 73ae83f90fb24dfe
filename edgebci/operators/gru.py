"""The gated recurrent unit (Cho et al. 2014, arXiv 1406.1078) as a cell; what it adds is its hidden state h.

    p = W_ih u + b_ih        s = W_hh h + b_hh        each split into reset, update, new
    r = sigmoid(p_r + s_r)   z = sigmoid(p_z + s_z)   n = tanh(p_n + r s_n)        h = n + z (h - n)

Quantized: int8 weights and inputs of both dense layers, h in int16. h lies in [-1, 1] whatever the input is, so its
scale is fixed; the dense layer sees it rounded further, to int8. h may be int8 where the decay report shows that it
holds. What it keeps of itself, z, is float32.
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
from edgebci.operators.dense import QuantizedDense, dense_of, dense_tensors, inverse
from edgebci.operators.state_width import quantize_state

_FLOAT32 = 4
HIDDEN_SCALE = np.float32(2.0**-13)
"""One count of h. At 2^-15 the float32 rounding of a runtime's tanh would move one value in a thousand by a count,
at 2^-14 one in two thousand."""
HIDDEN_SCALE_INT8 = np.float32(2.0**-7)
"""One count of h in int8; +1 itself saturates at 127 counts."""


@dataclass(frozen=True)
class QuantizedGru(QuantizedCell):
    """q -> ih, h -> q -> hh, both -> step."""

    ih: QuantizedDense
    hh: QuantizedDense
    hidden_scale: F32  # (), one count of h

    @property
    def act_scale(self) -> F32:
        """() one count of the input."""
        return self.ih.act_scale

    def run(self, q: I8, states: Mapping[str, Integers], tap: Tap) -> tuple[F32, dict[str, Integers]]:
        """See `QuantizedCell.run`; `tap` sees `hidden_q` (before the step) and `hidden.next`."""
        p, h = self.ih(q), states["hidden"]
        before, after = np.empty((len(q), len(h)), np.int8), np.empty((len(q), len(h)), h.dtype)
        for t in range(len(q)):
            before[t] = state_quantize(h, self.hidden_scale, self.hh.act_scale)
            after[t] = h = gru_step(p[t], self.hh(before[t][None])[0], h, self.hidden_scale)
        tap("hidden_q", before)
        tap("hidden.next", after)
        return after.astype(np.float32) * self.hidden_scale, {"hidden": after[-1].copy()}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by its name within the layer's `mixer`."""
        return dense_tensors("ih", self.ih) | dense_tensors("hh", self.hh) | {"hidden_scale": self.hidden_scale}


def state_quantize(h: Integers, scale: F32, act_scale: F32) -> I8:
    """Counts of `scale` to int8 counts of `act_scale`: q8(h * (scale / act_scale))."""
    ratio = np.float32(scale / act_scale)
    return arithmetic.quantize_int8(h.astype(np.float32), ratio)


def gru_step(p: F32, s: F32, h: Integers, scale: F32) -> Integers:
    """q(n + z (h - n)) for p and s (3 H,) and h (H,)."""
    p_reset, p_update, p_new = np.split(p, 3)
    s_reset, s_update, s_new = np.split(s, 3)
    new = activations.tanh(p_new + activations.sigmoid(p_reset + s_reset) * s_new)
    update = activations.sigmoid(p_update + s_update)
    before = h.astype(np.float32) * scale
    return quantize_state(new + update * (before - new), inverse(scale), h.dtype)


class GruCell(Cell):
    """One layer as wide as the residual stream; of the block's sizes, d_model is read."""

    input_scale: ClassVar[str] = "ih.act_scale"

    def parameter_shapes(self) -> dict[str, Shape]:
        """Names and shapes of `edgebci.training.gru_cell.GruCell`, gates in the order reset, update, new."""
        width = self.block.d_model
        return {
            "gru.weight_ih_l0": (3 * width, width),
            "gru.weight_hh_l0": (3 * width, width),
            "gru.bias_ih_l0": (3 * width,),
            "gru.bias_hh_l0": (3 * width,),
        }

    def state_shapes(self) -> dict[str, Shape]:
        """`hidden` is h."""
        return {"hidden": (self.block.d_model,)}

    def costs(self) -> Costs:
        """All MACs are in the two dense layers."""
        shape = (3 * self.block.d_model, self.block.d_model)
        return Costs(dense=(shape, shape), conv_macs=0, state_macs=0, vector_bytes=_FLOAT32)

    def run(
        self, weights: Mapping[str, F64], u: F64, states: Mapping[str, F64], tap: Tap
    ) -> tuple[F64, dict[str, F64]]:
        """See `Cell.run`; `tap` sees `hidden` (before the step) and `hidden.next`."""
        p, h = u @ weights["gru.weight_ih_l0"].T + weights["gru.bias_ih_l0"], states["hidden"]
        hidden = np.empty((len(u) + 1, len(h)))
        hidden[0] = h
        for t in range(len(u)):
            s = weights["gru.weight_hh_l0"] @ hidden[t] + weights["gru.bias_hh_l0"]
            (p_reset, p_update, p_new), (s_reset, s_update, s_new) = np.split(p[t], 3), np.split(s, 3)
            new = np.tanh(p_new + sigmoid(p_reset + s_reset) * s_new)
            hidden[t + 1] = new + sigmoid(p_update + s_update) * (hidden[t] - new)
        tap("hidden", hidden[:-1])
        tap("hidden.next", hidden[1:])
        return hidden[1:], {"hidden": hidden[-1]}

    def quantized(self, tensors: Mapping[str, NDArray[Any]]) -> QuantizedGru:
        """Build from what `QuantizedGru.tensors` gave."""
        return QuantizedGru(dense_of(tensors, "ih"), dense_of(tensors, "hh"), tensors["hidden_scale"])
