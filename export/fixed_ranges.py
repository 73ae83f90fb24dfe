"""What a rollout of the float decoder shows of the ranges that the fixed-point form needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgebci.decoder_float import FloatDecoder
from edgebci.operators.cell import F64, silu, within
from edgebci.operators.mamba2_fixed import SLOTS


@dataclass
class FixedRanges:
    """The tap of a rollout; magnitudes by name: `frame`, `x` (the residual stream) and, per layer, those below.

    `{i}.z`, `{i}.dt`, `{i}.conv` (sums with their bias), `{i}.u`, `{i}.C` and `{i}.g` are one number; `{i}.xbc` is per
    channel, `{i}.h` per head; `{i}.W` is the largest weight of a slot.
    """

    decoder: FloatDecoder
    largest: dict[str, F64] = field(default_factory=dict)
    _x: F64 = field(default_factory=lambda: np.zeros(0))
    _p: F64 = field(default_factory=lambda: np.zeros(0))
    _past: dict[int, F64] = field(default_factory=dict)

    def __call__(self, name: str, values: F64) -> None:
        """Take one chunk (T, ...)."""
        weights, parts = self.decoder.parameters, name.split(".")
        if name == "frame":
            self._see("frame", np.abs(values).max())
            self._residual(values @ weights["input.weight"].T + weights["input.bias"])
        elif parts[0] == "layers" and parts[2] == "norm":
            self._p = values @ weights[f"layers.{parts[1]}.mixer.in_proj.weight"].T
        elif parts[0] == "ssm":
            self._layer(int(parts[1]), values)
        elif parts[0] == "layers" and parts[2] == "gated":
            self._residual(self._x + values @ weights[f"layers.{parts[1]}.mixer.out_proj.weight"].T)

    def _residual(self, x: F64) -> None:
        self._x = x
        self._see("x", np.abs(x).max())

    def _layer(self, i: int, h: F64) -> None:
        block, own = self.decoder.spec.block, within(self.decoder.parameters, f"layers.{i}.mixer")
        z, xbc, dt_raw = np.split(self._p, [block.d_inner, block.d_inner + block.conv_dim], axis=-1)
        sums = self._convolution(i, own, xbc)
        u = silu(sums)
        x, B, C = np.split(u, [block.d_inner, block.d_inner + block.d_state], axis=-1)
        y = np.einsum("thpn,tn->thp", h, C) + own["D"][:, None] * x.reshape(*h.shape[:3])
        for name, values in {"z": z, "dt": dt_raw, "conv": sums, "u": u, "C": C}.items():
            self._see(f"{i}.{name}", np.abs(values).max())
        self._see(f"{i}.xbc", np.abs(xbc).max(axis=0))
        self._see(f"{i}.h", np.abs(h).max(axis=(0, 2, 3)))
        self._see(f"{i}.g", np.abs(y.reshape(z.shape) * silu(z)).max())
        self._slots(i, own, dt_raw, B, C)

    def _convolution(self, i: int, own: Mapping[str, F64], xbc: F64) -> F64:
        past = self.decoder.spec.d_conv - 1
        padded = np.concatenate([self._past.get(i, np.zeros((past, xbc.shape[1]))), xbc])
        self._past[i] = padded[-past:]
        windows = np.lib.stride_tricks.sliding_window_view(padded, past + 1, axis=0)
        summed: F64 = np.einsum("tck,ck->tc", windows, own["conv1d.weight"][:, 0]) + own["conv1d.bias"]
        return summed

    def _slots(self, i: int, own: Mapping[str, F64], dt_raw: F64, B: F64, C: F64) -> None:
        """W of a step that lies `lag` back: dt, the decays since, B . C; and D for the newest."""
        dt = np.logaddexp(0.0, dt_raw + own["dt_bias"])
        log_decay = np.cumsum(dt * -np.exp(own["A_log"]), axis=0)
        for lag in range(min(SLOTS, len(dt))):
            end = len(dt) - lag
            kept = dt[:end] * np.exp(log_decay[lag:] - log_decay[:end])
            weights = kept * (B[:end] * C[lag:]).sum(axis=1)[:, None] + (own["D"] if lag == 0 else 0.0)
            self._see(f"{i}.W", np.abs(weights).max())
        self._see(f"{i}.wB", (dt.max(axis=0)) * np.abs(B).max())

    def _see(self, name: str, values: F64) -> None:
        self.largest[name] = np.maximum(self.largest.get(name, np.float64(0.0)), values)
