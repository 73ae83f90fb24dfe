"""Operators of a twin that are quantized one at a time, or spared one at a time."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.decoder_float import segments
from edgebci.operators.cell import F64
from edgebci.training.quantization_aware.twin import QuantizedTwin

CHUNK = 256
_PARTS = (".act_scale", ".weight_scale", "_scale", ".scale")


def operators(twin: QuantizedTwin) -> dict[str, frozenset[str]]:
    """Which quantizers belong to each operator, in the order of computation.

    A dense layer or a convolution has its input's and its weights' quantizer, a state its own; the input of a cell
    that has no dense layer in front is an operator by itself.
    """
    found: dict[str, set[str]] = {}
    for name in sorted(twin.quantizers, key=_place):
        found.setdefault(operator_of(name), set()).add(name)
    return {operator: frozenset(names) for operator, names in found.items()}


def operator_of(quantizer: str) -> str:
    """`layers.0.mixer.in_proj.act_scale` to `layers.0.in_proj`; `layers.0.mixer.ssm_scale` to `layers.0.ssm`."""
    end = next((part for part in _PARTS if quantizer.endswith(part)), "")
    stem = quantizer.removesuffix(end)
    return f"{stem.removesuffix('.mixer')}.norm" if stem.endswith(".mixer") else stem.replace(".mixer", "")


@torch.no_grad()
def stream_with_exact(
    twin: QuantizedTwin, frames: F32, reset_before: NDArray[np.bool_] | None, exact: frozenset[str]
) -> F64:
    """Decode (T, n_inputs) to (T, D) from zero states, with the quantizers `exact` left out."""
    outputs = np.zeros((len(frames), twin.spec.n_outputs))
    values, states = twin.values(exact), twin.initial_states(1)
    for start, stop, reset in segments(len(frames), reset_before, CHUNK):
        states = twin.initial_states(1) if reset else states
        decoded, states = twin.run(torch.from_numpy(frames[None, start:stop]), states, values)
        outputs[start:stop] = decoded[0].numpy()
    return outputs


def _place(quantizer: str) -> tuple[int, str]:
    if quantizer.startswith(("input", "tokenizer")):
        return 0, ""
    return (2, "") if quantizer.startswith("readout") else (1, quantizer.split(".")[1])
