"""`--precision mixed`: which width each tensor shall have, by accuracy on validation frames, cycles and bytes.

Weights may have 4, 8 or 16 bits, states 8 or 16. (No layer stays in float: between two dense layers of the integer
forms there is always a quantizer, and what int16 weights lose is below what that leaves.) The search is greedy over
what was measured:

1. Every narrower width of every tensor is tried alone, all else in 16 bits, and its sensitivity is the noise that it
   adds to the output on the validation frames, over the output's variance.
2. From all tensors in 16 bits on, the step with the least sensitivity for what it saves is taken again and again; what
   is saved is cycles and bytes, each over those of the uniform int8 form. A step that saves nothing is never taken.
3. Every assignment on the way, and the uniform ones, is scored against the behaviour: the loss in R2 to the float
   decoder, with its paired block-bootstrap interval.

Chosen is, of the assignments whose upper bound of the loss is within `max_loss`, the one that costs least. Where no
bound is, the choice is that with the least loss among those whose loss itself is within it, and it is not proven.
Test frames are never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgebci.comparison import Interval, compare
from edgebci.decoder_float import F64, FloatDecoder, Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.export.calibration import QuantizationRecipe, Width
from edgebci.export.quantization import Observation, assemble, observe
from edgebci.export.widths import choices, dense_names, state_names, uniform
from edgebci.frame_stream import FrameStream
from edgebci.metrics import r2
from edgebci.pipeline.cycle_table import CycleTable, load_cycle_table
from edgebci.pipeline.precision_frontier import Frontier, FrontierPoint, Sensitivity, choose, mark_efficient
from edgebci.progress import Progress, part, silent
from edgebci.workload import workload

Widths = dict[str, Width]
_UNIFORM: dict[str, tuple[Width, Width]] = {
    "all int16": (16, 16),
    "all int8, states int16": (8, 16),
    "all int8, states int8": (8, 8),
    "all int4, states int16": (4, 16),
}


@dataclass(frozen=True)
class _Cost:
    """What the tensors that have a choice cost in an assignment."""

    spec: DecoderSpec
    table: CycleTable

    def cycles(self, widths: Mapping[str, Width]) -> float:
        """Per step."""
        spec, shapes = self.spec, self.spec.state_shapes()
        dense = sum(
            self.table.dense_cycles(rows, columns, widths[name]) for name, (rows, columns) in dense_names(spec).items()
        )
        return dense + sum(
            self.table.state_cycles(spec.cell, int(np.prod(shapes[name])), widths[name]) for name in state_names(spec)
        )

    def bytes(self, widths: Mapping[str, Width]) -> tuple[int, int]:
        """Of all weights, and of all states; int4 weights fill whole bytes in each row."""
        spec, counted = self.spec, workload(self.spec)
        weights, states = counted.weight_bytes, counted.state_bytes
        for name, (rows, columns) in dense_names(spec).items():
            weights += rows * ((columns * widths[name] + 7) // 8) - rows * columns
        for name in state_names(spec):
            states += int(np.prod(spec.state_shapes()[name])) * (widths[name] - 16) // 8
        return weights, states

    def relative(self, widths: Mapping[str, Width]) -> float:
        """Cycles and bytes, each over those of the uniform int8 form, added."""
        plain = _complete(self.spec, {})
        return self.cycles(widths) / self.cycles(plain) + sum(self.bytes(widths)) / sum(self.bytes(plain))


@dataclass(frozen=True)
class _Validation:
    """The frames on which assignments are scored, and what the float decoder says to them."""

    stream: FrameStream
    exact: F64
    rate_hz: float
    max_loss: float

    def decoded(self, seen: Observation, recipe: QuantizationRecipe, widths: Mapping[str, Width]) -> F64:
        decoder = assemble(seen, recipe.model_copy(update={"widths": dict(widths)}))
        return decoder.stream(self.stream.frames, self.stream.reset_before).astype(np.float64)

    def noise(self, decoded: F64) -> float:
        """Mean over outputs of squared noise over variance."""
        counted = self.stream.scored
        return float(np.mean(np.mean((decoded - self.exact)[counted] ** 2, axis=0) / self.exact[counted].var(axis=0)))

    def loss(self, decoded: F64) -> tuple[Interval, float]:
        """Of R2 to the float decoder, and the length of the blocks (s)."""
        counted = self.stream.scored
        found = compare(
            self.stream.truth[counted], [decoded[counted]], self.exact[counted], self.rate_hz, self.max_loss
        )
        difference = found.difference
        return Interval(value=-difference.value, low=-difference.high, high=-difference.low), found.block_s


def search(
    spec: DecoderSpec,
    parameters: Parameters,
    calibration: FrameStream,
    validation: FrameStream,
    rate_hz: float,
    max_loss: float,
    recipe: QuantizationRecipe | None = None,
    table: CycleTable | None = None,
    progress: Progress = silent,
) -> Frontier:
    """Search the widths of one decoder.

    Args:
        spec, parameters: of the float decoder.
        calibration: training frames, from which scales come.
        validation: frames with behaviour on which assignments are compared; never those of the test.
        rate_hz: frames per second.
        max_loss: loss in R2 that is accepted, fixed beforehand.
        recipe: what else may be chosen; its widths are ignored. None takes the defaults.
        table: cycles of the target; None is that of the Cortex-M4F.
        progress: told how far it is.

    Raises:
        InputError: frames do not fit, validation has no scored frame, or max_loss is not positive.
        VerificationError: every assignment loses more than `max_loss`.
    """
    _check(validation, max_loss)
    recipe, cost = recipe or QuantizationRecipe(), _Cost(spec, table or load_cycle_table("cortex-m4f"))
    progress(0.0, "calibrating")
    seen = observe(spec, parameters, calibration.frames, recipe, calibration.reset_before)
    exact = FloatDecoder.of(spec, parameters).stream(validation.frames, validation.reset_before)
    scored = _Validation(validation, exact, rate_hz, max_loss)
    sensitivities = _sensitivities(spec, seen, recipe, scored, cost, part(progress, 0.05, 0.5))
    assignments = _assignments(spec, sensitivities, cost)
    points, block_s = _scored(assignments, seen, recipe, scored, cost, part(progress, 0.5, 1.0))
    index, proven = choose(points, max_loss, lambda point: cost.relative(point.widths))
    return Frontier(
        core=cost.table.core,
        max_loss=max_loss,
        frames=int(validation.scored.sum()),
        float_r2=_float_r2(scored),
        block_s=block_s,
        sensitivities=tuple(sensitivities),
        points=tuple(points),
        chosen_index=index,
        proven=proven,
    )


def _check(validation: FrameStream, max_loss: float) -> None:
    if not validation.scored.any():
        raise InputError("no validation frame is scored, needed are minutes; give the checkpoint a validation part")
    if not max_loss > 0.0:
        raise InputError(f"--max-loss is {max_loss:g}, allowed are numbers above 0; 0.01 is usual")


def _complete(spec: DecoderSpec, widths: Mapping[str, Width]) -> Widths:
    """The width of every tensor that has a choice."""
    plain: Widths = dict.fromkeys(dense_names(spec), 8)
    return plain | dict.fromkeys(state_names(spec), 16) | dict(widths)


def _widest(spec: DecoderSpec) -> Widths:
    return _complete(spec, uniform(spec, 16, 16))


def _sensitivities(
    spec: DecoderSpec,
    seen: Observation,
    recipe: QuantizationRecipe,
    scored: _Validation,
    cost: _Cost,
    progress: Progress,
) -> list[Sensitivity]:
    """Each tensor narrowed alone, all else in 16 bits."""
    widest = _widest(spec)
    least, cycles, size = scored.noise(scored.decoded(seen, recipe, widest)), cost.cycles(widest), cost.bytes(widest)
    tried = [(name, bits) for name, allowed in choices(spec).items() for bits in sorted(allowed)[:-1]]
    found = []
    for k, (name, bits) in enumerate(tried):
        progress(k / len(tried), f"{name} in int{bits}")
        widths = widest | {name: bits}
        noise = scored.noise(scored.decoded(seen, recipe, widths)) - least
        saved = cycles - cost.cycles(widths), sum(size) - sum(cost.bytes(widths))
        found.append(
            Sensitivity(name=name, bits=bits, noise=max(noise, 0.0), cycles_saved=saved[0], bytes_saved=saved[1])
        )
    return found


def _assignments(spec: DecoderSpec, sensitivities: Sequence[Sensitivity], cost: _Cost) -> list[tuple[str, Widths]]:
    """The uniform ones, then those on the greedy way, without repetition."""
    found = [(name, _complete(spec, uniform(spec, *pair))) for name, pair in _UNIFORM.items()]
    for name, widths in greedy_way(_widest(spec), sensitivities, cost.relative):
        if widths not in [seen for _, seen in found]:
            found.append((name, widths))
    return found


def greedy_way(
    widest: Widths, sensitivities: Sequence[Sensitivity], cost: Callable[[Widths], float]
) -> list[tuple[str, Widths]]:
    """Assignments from `widest` on, each narrower in one tensor: the least noise for what it saves comes first.

    A step may skip a width; it is taken only where it lowers `cost`.
    """
    noise = {(one.name, one.bits): one.noise for one in sensitivities}
    widths = dict(widest)
    way: list[tuple[str, Widths]] = []
    while True:
        steps = []
        for (name, bits), added in noise.items():
            saved = cost(widths) - cost(widths | {name: bits})
            if bits < widths[name] and saved > 0.0:
                steps.append(((added - noise.get((name, widths[name]), 0.0)) / saved, name, bits))
        if not steps:
            return way
        _, name, bits = min(steps)
        widths = widths | {name: bits}
        way.append((f"{name} to int{bits}", widths))


def _scored(
    assignments: Sequence[tuple[str, Widths]],
    seen: Observation,
    recipe: QuantizationRecipe,
    scored: _Validation,
    cost: _Cost,
    progress: Progress,
) -> tuple[list[FrontierPoint], float]:
    points, longest = [], 0.0
    for k, (name, widths) in enumerate(assignments):
        progress(k / len(assignments), name)
        decoded = scored.decoded(seen, recipe, widths)
        loss, block_s = scored.loss(decoded)
        weight_bytes, state_bytes = cost.bytes(widths)
        longest = max(longest, block_s)
        points.append(
            FrontierPoint(
                name=name,
                widths=widths,
                loss=loss,
                noise=scored.noise(decoded),
                cycles=cost.cycles(widths),
                weight_bytes=weight_bytes,
                state_bytes=state_bytes,
            )
        )
    return mark_efficient(points), longest


def _float_r2(scored: _Validation) -> float:
    counted = scored.stream.scored
    return float(r2(scored.stream.truth[counted], scored.exact[counted]).mean())
