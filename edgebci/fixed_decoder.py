"""The decoder in fixed point, bit for bit: int8 weights, int16 activations and states, int32 sums.

    x = dense(q(frame))                                 counts of the residual stream
    for each layer:
        x = x + out_proj(norm(step(in_proj(norm(x)))))
    output = float32(W norm(x)) * scale + bias

Next to `edgebci.quantized_decoder` its activations have 16 bits instead of 8, so that little but the rounding of the
weights is lost, and nothing between two dense layers is in float32, so that cores with packed 16-bit multiplication run
it in a third of the cycles. It exists for Mamba-2 behind a linear entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.block_spec import Shape
from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.decoder_float import segments
from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.operators.cell import Tap
from edgebci.operators.dense import QuantizedDense, dense_of, dense_tensors
from edgebci.operators.dense_fixed import FixedDense, FixedNorm, quantized_frame
from edgebci.operators.mamba2_fixed import SLOTS, FixedMamba2, padded_taps
from edgebci.quantized_decoder import no_tap

CHUNK = 256
FIXED_SCHEMA: Literal["edgebci.fixed_decoder/1"] = "edgebci.fixed_decoder/1"

FixedStates = dict[str, NDArray[Any]]


class FixedHeader(Document):
    """Header of the file of a decoder in fixed point."""

    schema_version: Literal["edgebci.fixed_decoder/1"] = FIXED_SCHEMA
    spec: DecoderSpec


@dataclass(frozen=True)
class FixedLayer:
    """x + out_proj(norm(step(in_proj(norm(x)))))."""

    norm: FixedNorm
    in_proj: FixedDense
    step: FixedMamba2
    gated_norm: FixedNorm
    out_proj: FixedDense


@dataclass(frozen=True)
class FixedDecoder:
    """Integer weights, multipliers and the spec they belong to."""

    spec: DecoderSpec
    frame_scale: F32  # ()
    frame_limit: int
    entry: FixedDense
    layers: tuple[FixedLayer, ...]
    norm: FixedNorm
    readout: QuantizedDense
    """Its output is float32; its input has 16 bits."""

    def state_shapes(self) -> dict[str, Shape]:
        """Shapes by name, layer after layer."""
        block = self.spec.block
        one: dict[str, Shape] = {
            "conv": (padded_taps(block.d_conv), block.conv_dim),
            "ssm": (block.n_heads, block.headdim, block.d_state),
            "x": (block.d_inner, SLOTS),
            "B": (SLOTS, block.d_state),
            "kept": (block.n_heads, 1 + SLOTS),
            "phase": (1,),
        }
        return {f"{name}.{i}": shape for i in range(self.spec.n_layers) for name, shape in one.items()}

    def state_types(self) -> dict[str, str]:
        """Types by name."""
        special = {"kept": "float32", "phase": "int32"}
        return {name: special.get(name.partition(".")[0], "int16") for name in self.state_shapes()}

    def initial_states(self) -> FixedStates:
        """All zero: the state at power-on and after a reset."""
        types = self.state_types()
        return {name: np.zeros(shape, types[name]) for name, shape in self.state_shapes().items()}

    @cached_property
    def inverse_frame_scale(self) -> np.float32:
        """What the quantizer of the frame multiplies by."""
        return np.float32(1.0) / np.float32(self.frame_scale)

    def step(self, frame: F32, states: FixedStates) -> tuple[F32, FixedStates]:
        """Decode one frame (n_inputs,): returns the output (n_outputs,) and the next states."""
        outputs, states = self.run(frame[None], states)
        return outputs[0], states

    def stream(self, frames: F32, reset_before: NDArray[np.bool_] | None = None, tap: Tap = no_tap) -> F32:
        """Decode (T, n_inputs) from zero states, which `reset_before` (T,) restores: returns (T, n_outputs)."""
        outputs = np.zeros((len(frames), self.spec.n_outputs), np.float32)
        states = self.initial_states()
        for start, stop, reset in segments(len(frames), reset_before, CHUNK):
            states = self.initial_states() if reset else states
            outputs[start:stop], states = self.run(frames[start:stop], states, tap)
        return outputs

    def run(self, frames: F32, states: FixedStates, tap: Tap = no_tap) -> tuple[F32, FixedStates]:
        """Decode frames (T, n_inputs) that follow each other, from `states` on; any chunks of a stream give its bits.

        `tap` sees what the norms gave, `layers.{i}.norm_q`, `layers.{i}.mixer.norm_q` and `norm_q`, in their order.
        """
        following: FixedStates = {}
        x = self.entry(quantized_frame(frames.astype(np.float32), self.inverse_frame_scale, self.frame_limit))
        for i, layer in enumerate(self.layers):
            q = layer.norm(x)
            tap(f"layers.{i}.norm_q", q)
            before = {name.partition(".")[0]: states[name] for name in states if name.endswith(f".{i}")}
            g, now = layer.step.run(layer.in_proj(q), before)
            following |= {f"{name}.{i}": values for name, values in now.items()}
            gated = layer.gated_norm(g)
            tap(f"layers.{i}.mixer.norm_q", gated)
            x = layer.out_proj(gated, x)
        q = self.norm(x)
        tap("norm_q", q)
        return self.readout(q), following

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every array by the name that it has in the ONNX graph and in the file."""
        found = {"frame_scale": self.frame_scale, "frame_limit": np.asarray(self.frame_limit)}
        found |= self.entry.tensors("input")
        for i, layer in enumerate(self.layers):
            place = f"layers.{i}"
            found |= layer.in_proj.tensors(f"{place}.mixer.in_proj") | layer.out_proj.tensors(f"{place}.mixer.out_proj")
            found |= norm_tensors(f"{place}.norm", layer.norm) | norm_tensors(f"{place}.mixer.norm", layer.gated_norm)
            found |= {f"{place}.mixer.{name}": values for name, values in layer.step.tensors().items()}
        return found | norm_tensors("norm", self.norm) | dense_tensors("readout", self.readout)

    @classmethod
    def from_tensors(cls, spec: DecoderSpec, tensors: Mapping[str, NDArray[Any]]) -> FixedDecoder:
        """Build from what `tensors` gave."""
        require_fixed(spec)
        return cls(
            spec=spec,
            frame_scale=tensors["frame_scale"],
            frame_limit=int(tensors["frame_limit"]),
            entry=FixedDense.of(tensors, "input"),
            layers=tuple(_layer(spec, tensors, f"layers.{i}") for i in range(spec.n_layers)),
            norm=_norm(spec, tensors, "norm"),
            readout=dense_of(tensors, "readout"),
        )

    def save(self, path: Path) -> None:
        """Write a safetensors file; the same decoder gives the same bytes."""
        write_tensors(path, self.tensors(), FixedHeader(spec=self.spec))

    @classmethod
    def load(cls, path: Path) -> FixedDecoder:
        """Read what `save` wrote; raises InputError where the file is missing, damaged or of another kind."""
        tensors, header = read_tensors(path, FixedHeader)
        return cls.from_tensors(header.spec, tensors)


def require_fixed(spec: DecoderSpec) -> None:
    """Raise InputError where there is no fixed-point form of a decoder."""
    if spec.cell != "mamba2" or spec.tokenizer or spec.readout_lags:
        raise InputError(
            "there is fixed-point arithmetic for Mamba-2 behind a linear entry with a readout of one frame, and this "
            "decoder is another; leave the arithmetic at int8"
        )


def norm_tensors(name: str, norm: FixedNorm) -> dict[str, NDArray[Any]]:
    """The two numbers of a norm by their names."""
    return {f"{name}.mean": norm.mean, f"{name}.unit": norm.unit}


def _norm(spec: DecoderSpec, tensors: Mapping[str, NDArray[Any]], name: str) -> FixedNorm:
    return FixedNorm(tensors[f"{name}.mean"], tensors[f"{name}.unit"], spec.norm_epsilon)


def _layer(spec: DecoderSpec, tensors: Mapping[str, NDArray[Any]], place: str) -> FixedLayer:
    mixer = f"{place}.mixer"
    arrays = (
        *("conv_weight", "conv_multiplier", "conv_bias", "silu", "dt_bias", "A", "skip"),
        *("readout", "state_gain", "inject"),
    )
    step = FixedMamba2(
        **{name: tensors[f"{mixer}.{name}"] for name in arrays},
        c_shift=int(tensors[f"{mixer}.c_shift"]),
        gate_shift=int(tensors[f"{mixer}.gate_shift"]),
    )
    in_proj, out_proj = (FixedDense.of(tensors, f"{mixer}.{name}") for name in ("in_proj", "out_proj"))
    return FixedLayer(
        _norm(spec, tensors, f"{place}.norm"), in_proj, step, _norm(spec, tensors, f"{mixer}.norm"), out_proj
    )
