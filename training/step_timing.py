"""The decoder in torch, step by step, to time the generated C against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgebci.checkpoint import load_checkpoint
from edgebci.training.causal_decoder import from_checkpoint


class TorchStepper:
    """One stream through a checkpoint's decoder, one thread, without gradients."""

    def __init__(self, checkpoint: Path) -> None:
        """Build it; raises InputError where the file is no checkpoint of a decoder."""
        self._network = from_checkpoint(load_checkpoint(checkpoint)).requires_grad_(requires_grad=False)
        self.reset()

    def reset(self) -> None:
        """All states to zero, as at power-on."""
        self._states: list[Any] = self._network.initial_states(1)

    def step(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        """Decode one frame (n_inputs,)."""
        with torch.inference_mode():
            output, self._states = self._network.step(torch.from_numpy(frame).unsqueeze(0), self._states)
        result: NDArray[np.float32] = output[0].numpy()
        return result


def one_thread() -> None:
    """What every contender of a timing run computes on."""
    torch.set_num_threads(1)
