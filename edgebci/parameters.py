"""Which of a decoder's tensors go into its parameter block, and how a block's tensors go back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.features.front_end import FrontEnd
from edgebci.operators.dense import QuantizedDense, dense_tensors
from edgebci.parameter_block import ParameterBlock

MEAN, SD, READOUT = "normalization.mean", "normalization.sd", "readout"

Tensors = dict[str, NDArray[Any]]


def normalization_tensors(front_end: FrontEnd) -> Tensors:
    """Statistics (G * kinds,) of the good channels, kind by kind: those of dead ones are never used."""
    used = _used(front_end)
    return {MEAN: front_end.mean[used], SD: front_end.sd[used]}


def with_normalization(front_end: FrontEnd, block: ParameterBlock) -> FrontEnd:
    """The front end with the block's statistics; its channels stay as they are."""
    mean, sd, used = front_end.mean.copy(), front_end.sd.copy(), _used(front_end)
    mean[used], sd[used] = block.tensors[MEAN], block.tensors[SD]
    return replace(front_end, mean=mean, sd=sd)


def quantized_readout_tensors(readout: QuantizedDense) -> Tensors:
    """The int8 readout with its scales, by the names that it has in the ONNX graph."""
    return dense_tensors(READOUT, readout)


def float_readout_tensors(parameters: Mapping[str, NDArray[Any]]) -> Tensors:
    """The float32 readout of a checkpoint."""
    return {f"{READOUT}.{part}": np.asarray(parameters[f"{READOUT}.{part}"], np.float32) for part in ("weight", "bias")}


def _used(front_end: FrontEnd) -> NDArray[np.bool_]:
    return np.tile(front_end.good_channels, len(front_end.spec.kinds))
