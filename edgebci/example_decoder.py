"""A decoder with plausible random weights: for tests, and for timing where accuracy does not matter."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.block_spec import Shape
from edgebci.decoder_spec import DecoderSpec


def random_parameters(spec: DecoderSpec, seed: int) -> dict[str, F32]:
    """Weights drawn as Mamba-2 is initialised, by their names in a checkpoint.

    dt_bias gives log-uniform steps in [0.001, 0.1], A is uniform in [1, 16] (arXiv 2405.21060 and its code): decays
    from 0.2 to 0.999 per step. Norm weights spread around 1 so that no scale is trivial. S4D begins as the paper's
    S4D-Lin (arXiv 2206.11893), with steps of the same range.
    """
    return draw_parameters(spec.parameter_shapes(), seed)


def draw_parameters(shapes: Mapping[str, Shape], seed: int) -> dict[str, F32]:
    """Weights of the given shapes, each drawn by what its name says that it is."""
    rng = np.random.default_rng(seed)
    return {name: _draw(name, shape, rng).astype(np.float32) for name, shape in shapes.items()}


def random_frames(spec: DecoderSpec, n_frames: int, seed: int) -> F32:
    """(n_frames, n_inputs) of standardised, slowly varying, mutually correlated features, as band powers are."""
    rng = np.random.default_rng(seed)
    latents = rng.standard_normal((n_frames, 6))
    for t in range(1, n_frames):
        latents[t] = 0.95 * latents[t - 1] + np.sqrt(1 - 0.95**2) * latents[t]
    mixed = latents @ rng.standard_normal((6, spec.n_inputs)) / np.sqrt(6)
    frames: F32 = (0.7 * mixed + 0.7 * rng.standard_normal((n_frames, spec.n_inputs))).astype(np.float32)
    return frames


def _draw(
    name: str, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    start = _start_of_dynamics(name, shape, rng)
    if start is not None:
        return start
    if name.endswith(("norm.weight", ".D")):
        return rng.uniform(0.6, 1.4, shape)
    if "bias" in name.rpartition(".")[2]:
        return rng.uniform(-0.2, 0.2, shape)
    bound = 1.0 / math.sqrt(math.prod(shape[1:]))  # inputs of variance 1 stay so
    return rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), shape) * bound


def _start_of_dynamics(
    name: str, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
    """What decides the time constants, or None for other tensors."""
    of_s4d, last = len(shape) == 2, name.rpartition(".")[2]
    starts: dict[str, Callable[[], NDArray[np.float64]]] = {
        "A_imag": lambda: np.pi * np.tile(np.arange(float(shape[-1])), (shape[0], 1)),
        "A_log": lambda: np.full(shape, np.log(0.5)) if of_s4d else np.log(rng.uniform(1.0, 16.0, shape)),
        "dt_log": lambda: np.log(_steps(shape, rng)),
        "dt_bias": lambda: _inverse_softplus(_steps(shape, rng)),
        "C": lambda: rng.standard_normal(shape) * np.sqrt(0.5),
    }
    return starts[last]() if last in starts else None


def _steps(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    steps: NDArray[np.float64] = np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), shape))
    return steps


def _inverse_softplus(dt: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = dt + np.log(-np.expm1(-dt))
    return result
