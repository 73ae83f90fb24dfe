"""The state of every random generator that training draws from, so that a run can be taken up inside an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

_TORCH, _CUDA = "random/torch", "random/cuda"


@dataclass(frozen=True, eq=False)
class Randomness:
    """What the next draws depend on."""

    generator: dict[str, JsonValue]
    """Of numpy, as its bit generator names it."""
    tensors: dict[str, Tensor]
    """Of torch, as bytes: on the CPU, and on the GPU where one is used."""

    @staticmethod
    def now(rng: np.random.Generator, device: torch.device) -> Randomness:
        """The state at this moment."""
        tensors = {_TORCH: torch.get_rng_state()}
        if device.type == "cuda":
            tensors[_CUDA] = torch.cuda.get_rng_state(device)
        return Randomness(dict(rng.bit_generator.state), tensors)

    def restore(self, rng: np.random.Generator, device: torch.device) -> None:
        """Draw from here on as if nothing had been drawn since."""
        rng.bit_generator.state = cast(dict[str, Any], self.generator)
        torch.set_rng_state(self.tensors[_TORCH])
        if device.type == "cuda":
            torch.cuda.set_rng_state(self.tensors[_CUDA], device)
