"""The Mamba-2 cell in fixed point, with a state that is rewritten at every fourth step only.

Between rewrites the state h is not touched: what it would be is s H + sum_j w_j x_j B_j^T over the steps since, with s
the product of the decays and w_j that of step j's dt and the decays after it. Then

    y = C h + D x = s (C H) + sum_j W_j x_j,        W_j = w_j (B_j . C) + D [j is now]

with one W_j per head: two multiply-accumulates for what would be a pass over the state. Head i is rewritten at steps
i, i + 4, ..., so that every step costs the same. H is rounded a quarter as often as a state that every step writes.

The window of the convolution is a ring, so that no step moves it: the inputs of step t lie in slot t modulo its taps.

dt, s and w are float32 as in `edgebci.operators.mamba2`: softplus and exp of a few numbers per head. All else is
integers; no sum can overflow, whatever comes in (the limits of C, W and w B see to that).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci import arithmetic
from edgebci.arithmetic import F32, I16, I32
from edgebci.operators.fixed_point import GATE_BITS, I64, looked_up, multiplied, saturated, truncated

SLOTS = 4
"""Steps between two rewrites of a head's state."""
FOLDED_LIMIT = 8191
"""Of W and of w B: four products with int16 stay below 2^30."""
STATE_BITS = 12
"""Fraction bits of a state's sum before it is rounded."""
GATE_UNIT = np.float32(2.0**-GATE_BITS)
_LARGEST_MULTIPLIER = 2.0**31 - 128

States = dict[str, NDArray[Any]]


def readout_limit(d_state: int) -> int:
    """The largest count of C: a sum of d_state products with int16 fits an int32."""
    return (2**16 - 1) // d_state


def padded_taps(d_conv: int) -> int:
    """Taps of the window: whole turns of the slots, so that one phase counts both."""
    return d_conv + -d_conv % SLOTS


@dataclass(frozen=True)
class FixedMamba2:
    """One layer between its projections. Letters as in the class's module; scales per head.

    Fields:
        conv_weight: oldest tap first, +-4095, unused oldest ones added up to a multiple of 4.
        conv_multiplier, conv_bias: from sums to counts of 2^-11.
        readout: of W per count of w (B . C). skip: D in counts of W.
        state_gain: multiplier of C H at s = 1. inject: counts of w B per count of w B, times 2^16.
    """

    conv_weight: I16  # (conv_dim, taps)
    conv_multiplier: I32  # (conv_dim,)
    conv_bias: I32  # (conv_dim,)
    silu: I16  # (512, 2)
    dt_bias: F32  # (n_heads,)
    A: F32  # (n_heads,), negative
    skip: F32  # (n_heads,)
    readout: F32  # ()
    state_gain: F32  # (n_heads,)
    inject: F32  # (n_heads,)
    c_shift: int
    gate_shift: int

    def run(self, p: I16, states: Mapping[str, NDArray[Any]]) -> tuple[I16, States]:
        """Steps p (T, z, x, B, C, dt) that follow each other, to g (T, d_inner) and the next states."""
        d_inner, d_state = len(states["x"]), states["ssm"].shape[2]
        z, xbc, dt_raw = np.split(p, [d_inner, d_inner + len(self.conv_weight)], axis=1)
        u, conv = self._convolution(xbc, states["conv"], int(states["phase"][0]))
        x, B, C = np.split(u, [d_inner, d_inner + d_state], axis=1)
        dt = arithmetic.softplus(dt_raw[:, : len(self.A)].astype(np.float32) * GATE_UNIT + self.dt_bias)
        decay, counts, now = arithmetic.exp(dt * self.A), self._readout_counts(C), dict(states)
        y = np.zeros((len(p), *states["ssm"].shape[:2]), np.int64)
        for t in range(len(p)):
            y[t], now = self._step(x[t], B[t], counts[t], dt[t], decay[t], now)
        return self._gated(y.reshape(len(p), -1), z), now | {"conv": conv}

    def _step(self, x: I16, B: I16, C: I64, dt: F32, decay: F32, states: States) -> tuple[I64, States]:
        """One step from u on: y (n_heads, headdim) and the next states."""
        phase, taps = int(states["phase"][0]), len(states["conv"])
        slot = phase % SLOTS
        now = np.arange(SLOTS) == slot
        ring_x, ring_b = np.where(now, x[:, None], states["x"]), np.where(now[:, None], B, states["B"])
        aged = arithmetic.flush(states["kept"] * decay[:, None])
        kept = np.where(np.concatenate([[False], now]), dt[:, None], aged)
        y = self._read(states["ssm"], ring_x, ring_b, C, kept, now)
        ssm, kept = self._rewritten(states["ssm"], ring_x, ring_b, kept, slot)
        following = {"ssm": ssm, "x": ring_x, "B": ring_b, "kept": kept}
        return y, states | following | {"phase": np.array([(phase + 1) % taps], np.int32)}

    def _convolution(self, xbc: I16, ring: I16, phase: int) -> tuple[I16, I16]:
        """(T, conv_dim) of inputs, to u of the same shape and the next ring (taps, conv_dim)."""
        taps = len(ring)
        inputs = np.concatenate([np.roll(ring, -phase, axis=0), xbc])  # oldest first
        windows = np.lib.stride_tricks.sliding_window_view(inputs[1:], taps, axis=0)
        sums = (windows.astype(np.int64) * self.conv_weight).sum(axis=-1)
        counts = saturated(multiplied(sums, self.conv_multiplier) + self.conv_bias)
        return looked_up(self.silu, counts), np.roll(inputs[-taps:], (phase + len(xbc)) % taps, axis=0)

    def _readout_counts(self, C: I16) -> I64:
        half, limit = 1 << self.c_shift >> 1, readout_limit(C.shape[-1])
        counts: I64 = np.clip((C.astype(np.int64) + half) >> self.c_shift, -limit, limit)
        return counts

    def _read(self, ssm: I16, x: I16, B: I16, C: I64, kept: F32, now: NDArray[np.bool_]) -> I64:
        """Y (n_heads, headdim) in 32 bits."""
        products = (B.astype(np.int64) @ C).astype(np.float32)
        weights = (kept[:, 1:] * products) * self.readout + np.where(now, self.skip[:, None], np.float32(0.0))
        bound = np.float32(FOLDED_LIMIT)
        folded = arithmetic.round_to_int(arithmetic.clamp(weights, -bound, bound)).astype(np.int64)
        gain = truncated(kept[:, 0] * self.state_gain, _LARGEST_MULTIPLIER)
        recent = np.einsum("hpj,hj->hp", x.reshape(*ssm.shape[:2], SLOTS).astype(np.int64), folded)
        result: I64 = multiplied(ssm.astype(np.int64) @ C, gain[:, None]) + recent
        return result

    def _rewritten(self, ssm: I16, x: I16, B: I16, kept: F32, slot: int) -> tuple[I16, F32]:
        """H = s H + sum of w x B of the heads whose turn it is."""
        mine = np.arange(len(ssm)) % SLOTS == slot
        scale = truncated(kept[mine, 0] * np.float32(2.0**28), 2.0**28)
        gain = truncated(kept[mine, 1:] * self.inject[mine, None], _LARGEST_MULTIPLIER)
        injected = saturated(multiplied(B.astype(np.int64)[None] << 16, gain[..., None]), FOLDED_LIMIT)
        recent = np.einsum("hpj,hjn->hpn", x.reshape(*ssm.shape[:2], SLOTS)[mine].astype(np.int64), injected)
        held = (ssm[mine].astype(np.int64) * scale[:, None, None]) >> 16
        following, after = ssm.copy(), kept.copy()
        following[mine] = saturated((held + recent + (1 << (STATE_BITS - 1))) >> STATE_BITS)
        after[mine] = np.array([1, 0, 0, 0, 0], np.float32)
        return following, after

    def _gated(self, y: I64, z: I16) -> I16:
        half = 1 << self.gate_shift >> 1
        scaled = (y * looked_up(self.silu, z).astype(np.int64)) >> 16
        return saturated((scaled + half) >> self.gate_shift)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by its name within the layer's `mixer`; shifts as arrays too."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
