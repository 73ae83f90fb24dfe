"""POSSM's step in floating point, in NumPy: what `PossmStepSpec` means, computed without torch.

It is the oracle of every other implementation of the step. One call per chunk; nothing has a batch axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.decoder_float import F64, no_tap, silu
from edgebci.operators.cell import within
from edgebci.operators.cells import cell_of
from edgebci.possm_spec import PossmStepSpec

States = dict[str, F64]


@dataclass(frozen=True)
class FloatPossmStep:
    """A step with float64 weights, by their names in `PossmStepSpec.parameter_shapes()`."""

    spec: PossmStepSpec
    parameters: dict[str, F64]

    @classmethod
    def of(cls, spec: PossmStepSpec, parameters: Mapping[str, NDArray[np.floating]]) -> FloatPossmStep:
        """Take the weights of a file in any floating type."""
        return cls(spec, {name: np.asarray(parameters[name], np.float64) for name in spec.parameter_shapes()})

    def initial_states(self) -> States:
        """All zero: the state at power-on and after a reset."""
        return {name: np.zeros(shape) for name, shape in self.spec.state_shapes().items()}

    def step(
        self, unit: NDArray[np.integer], time_step: NDArray[np.integer], mask: NDArray[np.bool_], states: States
    ) -> tuple[F64, States]:
        """One chunk.

        Args:
            unit: row of each token (N,); 0 in the one token of an empty chunk, units from 1.
            time_step: of each token within the chunk (N,).
            mask: which tokens are there (N,), at least one.
            states: of the stream before the chunk.

        Returns:
            Outputs (n_outputs,) in the target's unit, and the states after the chunk.
        """
        weights, following = self.parameters, dict(states)
        attention = softmax(weights["score"][unit[mask], time_step[mask]])
        x = weights["latent"] + attention @ weights["value"][unit[mask]]
        y = self._backbone(self._feed_forward(x, "encoder"), following)
        memory = np.concatenate([self._rms(y, "memory.norm")[None], states["memory"]])
        following["memory"] = memory[:-1]
        ages = softmax((weights["age"] * memory).sum(1))
        q = self._feed_forward(weights["query"] + weights["context.weight"] @ (ages @ memory), "decoder")
        outputs: F64 = weights["readout.weight"] @ q + weights["readout.bias"]
        return outputs, following

    def _backbone(self, x: F64, states: States) -> F64:
        """One step of all layers; replaces their entries of `states`."""
        if self.spec.backbone == "gru":
            for i in range(self.spec.n_layers):
                x = self._gru(i, x, states)
            return x
        x = self._dense(x, "input")
        for i in range(self.spec.n_layers):
            x = x + self._mixer(i, self._rms(x, f"layers.{i}.norm"), states)
        return x

    def _gru(self, i: int, x: F64, states: States) -> F64:
        weights, name, before = self.parameters, f"layers.{i}", states[f"hidden.{i}"]
        of_input = np.split(weights[f"{name}.weight_ih"] @ x + weights[f"{name}.bias_ih"], 3)
        of_hidden = np.split(weights[f"{name}.weight_hh"] @ before + weights[f"{name}.bias_hh"], 3)
        reset, update = (sigmoid(of_input[j] + of_hidden[j]) for j in (0, 1))
        new = np.tanh(of_input[2] + reset * of_hidden[2])
        states[f"hidden.{i}"] = (1 - update) * new + update * before
        return states[f"hidden.{i}"]

    def _mixer(self, i: int, normed: F64, states: States) -> F64:
        """One step of a cell of states; replaces its entries of `states`."""
        cell = cell_of(self.spec.backbone, self.spec.block)
        before = {name: states[f"{name}.{i}"] for name in cell.state_shapes()}
        y, after = cell.run(within(self.parameters, f"layers.{i}.mixer"), normed[None], before, no_tap)
        states |= {f"{name}.{i}": values for name, values in after.items()}
        result: F64 = y[0]
        return result

    def _feed_forward(self, x: F64, name: str) -> F64:
        hidden = silu(self._dense(self._rms(x, f"{name}.norm"), f"{name}.up"))
        return x + self._dense(hidden, f"{name}.down")

    def _dense(self, x: F64, name: str) -> F64:
        result: F64 = self.parameters[f"{name}.weight"] @ x + self.parameters[f"{name}.bias"]
        return result

    def _rms(self, x: F64, name: str) -> F64:
        result: F64 = x / np.sqrt(np.mean(x * x) + self.spec.norm_epsilon) * self.parameters[f"{name}.weight"]
        return result


def softmax(scores: F64) -> F64:
    """Positive weights (N,) that sum to 1."""
    raised = np.exp(scores - scores.max())
    result: F64 = raised / raised.sum()
    return result


def sigmoid(x: F64) -> F64:
    """1 / (1 + e^-x), without overflow."""
    result: F64 = 0.5 * (1.0 + np.tanh(0.5 * x))
    return result
