"""Post-training quantization of a flat graph, calibrated by rollout.

Dense layers with known weights get int8 weights (one scale per row) behind an int8 quantizer (one scale per tensor,
that with the least mean squared error on the samples); states get int16 with headroom. Everything else stays float32
between quantizers. A product of two computed tensors stays in float and counts against the share of int8.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.errors import InputError
from edgebci.export.calibration import INT16_MAX, QuantizationRecipe, Ranges, quantize_weight, scale_of
from edgebci.foreign.decoder import ForeignDecoder
from edgebci.foreign.functions import FUNCTIONS
from edgebci.foreign.graph import ForeignGraph, Node, Operand, State
from edgebci.operators.gru import HIDDEN_SCALE

LEAST_INT8_SHARE = 0.95
FEWEST_FRAMES = 32
"""Fewer say too little about ranges."""
LARGEST_GROWTH = 4.0
"""Of a state from the first half of the calibration to the second: beyond it, the headroom would not hold."""


def quantize_foreign(
    graph: ForeignGraph,
    frames: F32,
    recipe: QuantizationRecipe | None = None,
    reset_before: NDArray[np.bool_] | None = None,
) -> ForeignDecoder:
    """Quantize a float graph.

    Args:
        graph: of one step.
        frames: (T, n_inputs) as the decoder will see them, in order of time.
        recipe: None takes the defaults.
        reset_before: (T,) true where the states start anew.

    Raises:
        InputError: too few frames, values that are not finite, a state that never settles, or less than 95 % of the
            MACs in dense layers with known weights.
    """
    recipe = recipe or QuantizationRecipe()
    _check_recipe(recipe)
    check_frames(graph, frames)
    widest = max([graph.n_inputs, *(node.size for node in graph.nodes)])
    ranges = Ranges(max(1, len(frames) * widest // recipe.activation_samples))
    settling = _Settling(len(frames) // 2)
    with np.errstate(all="ignore"):
        outputs = ForeignDecoder(graph).stream(frames, reset_before, settling.beside(ranges))
    _check_outputs(graph, outputs)
    settling.check()
    quantizer = _Quantizer(graph, ranges.scales(recipe), dict(graph.constants))
    active = _of_activations(graph)
    states = tuple(_state(state, ranges.largest[state.name], recipe, active) for state in graph.states)
    quantized = replace(graph, nodes=tuple(quantizer.nodes()), constants=quantizer.constants, states=states)
    _check_share(quantized)
    return ForeignDecoder(_with_used_constants(quantized))


def check_frames(graph: ForeignGraph, frames: F32) -> None:
    """Raise InputError where calibration frames do not fit the model, are few, or not finite."""
    if frames.ndim != 2 or frames.shape[1] != graph.n_inputs:
        ports = ", ".join(f"{port.name} {list(port.shape)}" for port in graph.inputs)
        raise InputError(
            f"calibration frames have shape {frames.shape} where the model takes {graph.n_inputs} values a frame "
            f"({ports}); give (frames, {graph.n_inputs}), or name its states with --state INPUT=OUTPUT"
        )
    if len(frames) < FEWEST_FRAMES:
        raise InputError(
            f"{len(frames)} calibration frames are too few to know ranges from, needed are {FEWEST_FRAMES}; give a "
            "minute of training data"
        )
    if not np.isfinite(frames).all():
        first = int(np.argmin(np.isfinite(frames).all(axis=1)))
        raise InputError(
            f"calibration frame {first} holds NaN or infinity, allowed are finite numbers; compute the frames again"
        )


def check_finite(outputs: F32) -> None:
    """Raise InputError where a model's outputs (T, n_outputs) are not finite."""
    if not np.isfinite(outputs).all():
        step = int(np.argmin(np.isfinite(outputs).all(axis=1)))
        raise InputError(
            f"the model gives NaN or infinity, first on calibration frame {step}, needed are finite values; normalise "
            "the frames as in training"
        )


def _check_outputs(graph: ForeignGraph, outputs: F32) -> None:
    check_finite(outputs)
    still = [name for name, same in zip(graph.output_names, np.ptp(outputs, axis=0) == 0, strict=True) if same]
    if still:
        raise InputError(
            f"the outputs {', '.join(still)} never change over {len(outputs)} calibration frames, so what quantization "
            "costs them cannot be told; give frames of the recording that the model was trained on"
        )


def _check_recipe(recipe: QuantizationRecipe) -> None:
    if recipe.widths or recipe.smoothing:
        raise InputError(
            "a model made elsewhere has int8 weights and int16 states, without smoothing; leave widths and smoothing "
            "out of the recipe"
        )


@dataclass
class _Settling:
    """The largest magnitude of each state in both halves of a stream."""

    half: int
    first: dict[str, float] = field(default_factory=dict)
    second: dict[str, float] = field(default_factory=dict)
    _steps: dict[str, int] = field(default_factory=dict)

    def beside(self, ranges: Ranges) -> Any:
        """A tap that shows both what it sees."""

        def tap(name: str, values: NDArray[Any]) -> None:
            ranges(name, values)
            if name.endswith(".next"):
                self._take(name.removesuffix(".next"), values)

        return tap

    def _take(self, name: str, values: NDArray[Any]) -> None:
        start = self._steps.get(name, 0)
        self._steps[name] = start + len(values)
        cut = min(max(self.half - start, 0), len(values))
        for seen, part in ((self.first, values[:cut]), (self.second, values[cut:])):
            seen[name] = max(seen.get(name, 0.0), float(np.abs(part).max(initial=0.0)))

    def check(self) -> None:
        """Raise InputError where a state goes on growing."""
        for name, before in self.first.items():
            after = self.second[name]
            if not after <= LARGEST_GROWTH * max(before, 1e-6):
                raise InputError(
                    f"the state {name!r} never settles: up to {before:.3g} in the first half of the calibration and "
                    f"{after:.3g} in the second, allowed is {LARGEST_GROWTH:g} times as much; give more frames, or a "
                    "model whose state is bounded"
                )


def _state(state: State, largest: NDArray[np.float64], recipe: QuantizationRecipe, active: set[str]) -> State:
    """int16; what comes from sigmoid or tanh has an absolute error, so its counts are no finer than those of a GRU."""
    scale = scale_of(np.asarray(largest.max() * recipe.state_headroom), INT16_MAX)
    finest = HIDDEN_SCALE if state.following in active else 0.0
    return replace(state, type="int16", scale=float(max(scale, finest)))


def _of_activations(graph: ForeignGraph) -> set[str]:
    """Tensors that come from sigmoid or tanh element by element."""
    found: set[str] = set()
    for node in graph.nodes:
        elementwise = node.operator in FUNCTIONS or node.operator == "join"
        if node.operator in ("sigmoid", "tanh") or (elementwise and found.intersection(node.reads)):
            found.add(node.output)
    return found


@dataclass
class _Quantizer:
    """Puts quantizers before dense layers."""

    graph: ForeignGraph
    scales: dict[str, F32]
    constants: dict[str, NDArray[Any]]
    _done: dict[tuple[str, bytes], tuple[str, F32]] = field(default_factory=dict)

    def nodes(self) -> list[Node]:
        """All nodes, each dense layer of known weights with its quantizer before it."""
        result: list[Node] = []
        for node in self.graph.nodes:
            known = node.operator == "dense" and node.operands[1].tensor in self.graph.constants
            result += self._dense(node) if known else [node]
        return result

    def _dense(self, node: Node) -> list[Node]:
        x, weight, bias = node.operands
        key = (x.tensor, b"" if x.index is None else x.index.tobytes())
        before: list[Node] = []
        if key not in self._done:
            scale, output = self.scales[f"{node.name}.input"], f"{node.name}.q"
            inverse = self._constant(f"{output}.inverse_scale", np.float32(1.0) / scale.reshape(1))
            _, groups, _, columns = node.sizes
            before = [Node(output, "quantize", (x, inverse), output, node.sizes[0] * groups * columns)]
            self._done[key] = output, scale
        q, scale = self._done[key]
        rows = node.sizes[1] * node.sizes[2]
        integers, weight_scale = quantize_weight(
            self.graph.constants[weight.tensor].reshape(rows, -1).astype(np.float64)
        )
        parts = {"weight_int8": integers, "scale": scale * weight_scale}
        operands = (Operand(q), *(self._constant(f"{node.name}.{name}", array) for name, array in parts.items()), bias)
        return [*before, replace(node, operator="dense_int8", operands=operands)]

    def _constant(self, name: str, values: NDArray[Any]) -> Operand:
        self.constants[name] = values
        return Operand(name)


def _with_used_constants(graph: ForeignGraph) -> ForeignGraph:
    used = {name for node in graph.nodes for name in node.reads}
    return replace(graph, constants={name: v for name, v in graph.constants.items() if name in used})


def _check_share(graph: ForeignGraph) -> None:
    share = graph.int8_macs / graph.macs if graph.macs else 0.0
    if share < LEAST_INT8_SHARE:
        raise InputError(
            f"{share:.1%} of the {graph.macs:,} MACs would be int8, --precision int8 means at least "
            f"{LEAST_INT8_SHARE:.0%}; products of two computed tensors stay in float: use --precision fp32"
        )
