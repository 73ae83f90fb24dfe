"""`--precision mixed`: which width each tensor shall have, by accuracy on validation frames, cycles and bytes.

Weights may have 4, 8 or 16 bits, states 8 or 16. (No layer stays in float: between two dense layers of the integer
forms there is always a quantizer, and what int16 weights lose is below what that leaves.) The search is greedy over
what was measured:

0. The decay report of the calibration frames says which states hold in int8; the others stay in int16.
1. Every narrower width of every tensor is tried alone, all else in 16 bits, and its sensitivity is the noise that it
   adds to the output on the first of the validation frames, over the output's variance.
2. From all tensors in 16 bits on, the step with the least sensitivity for what it saves is taken again and again; what
   is saved is cycles and bytes, each over those of the uniform int8 form. A step that saves nothing is never taken.
3. Every assignment on the way, and the uniform ones, is scored against the behaviour: the loss in R2 (in detection:
   AUROC) to the float decoder, with its paired block-bootstrap interval.

Chosen is, of the assignments whose upper bound of the loss is within `max_loss`, the one that costs least. Where no
bound is, the choice is that with the least loss among those whose loss itself is within it, and it is not proven.
Test frames are never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgebci.decoder_float import F64, FloatDecoder, Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.export.calibration import QuantizationRecipe, Width
from edgebci.export.decay_report import DecayReport, decay_report
from edgebci.export.quantization import assemble, observe
from edgebci.export.settling import longest_stretch
from edgebci.export.widths import choices, state_names, uniform
from edgebci.frame_stream import FrameStream
from edgebci.pipeline.cycle_table import CycleTable, load_cycle_table
from edgebci.pipeline.precision_frontier import Frontier, FrontierPoint, Sensitivity, choose, mark_efficient
from edgebci.pipeline.precision_scoring import Cost, Validation, Widths, complete
from edgebci.progress import Progress, part, silent

DECAY_FRAMES = 2000
"""Of the decay report: every step of them is computed alone, twice."""
SENSITIVITY_FRAMES = 3000
"""Scored frames of each sensitivity: noise is a mean of squares, which a minute tells to a few percent."""
_UNIFORM: dict[str, tuple[Width, Width]] = {
    "all int16": (16, 16),
    "all int8, states int16": (8, 16),
    "all int4, states int16": (4, 16),
}


class Weighed(Protocol):
    """What an assignment costs."""

    def cycles(self, widths: Mapping[str, Width]) -> float:
        """Per step."""
        ...

    def bytes(self, widths: Mapping[str, Width]) -> tuple[int, int]:
        """Of all weights, and of all states."""
        ...

    def relative(self, widths: Mapping[str, Width]) -> float:
        """Cycles and bytes, each over those of the uniform int8 form, added."""
        ...


@dataclass(frozen=True, eq=False)
class Bench:
    """What every assignment is tried with.

    Fields:
        decode: what the quantized decoder of an assignment says to the validation frames, or to the first so many.
        widest: every tensor as wide as it may be.
        validation: what assignments are compared on. exact: what the float decoder says to it.
        cost: in cycles and bytes. max_loss: that is accepted.
    """

    decode: Callable[[Widths, int | None], F64]
    widest: Widths
    validation: Validation
    exact: F64
    cost: Weighed
    max_loss: float

    def noise(self, widths: Widths) -> float:
        """That an assignment adds to the output, on the first frames that are scored."""
        scored = np.flatnonzero(self.validation.stream.scored)[:SENSITIVITY_FRAMES]
        stop = int(scored[-1]) + 1
        return self.validation.noise(self.decode(widths, stop), self.exact[:stop])

    def point(self, name: str, widths: Widths) -> tuple[FrontierPoint, float]:
        """An assignment with all its figures, and the length of the bootstrap's blocks (s)."""
        decoded = self.decode(widths, None)
        loss, block_s = self.validation.loss(decoded, self.exact, self.max_loss)
        weight_bytes, state_bytes = self.cost.bytes(widths)
        point = FrontierPoint(
            name=name,
            widths=widths,
            loss=loss,
            noise=self.validation.noise(decoded, self.exact),
            cycles=self.cost.cycles(widths),
            weight_bytes=weight_bytes,
            state_bytes=state_bytes,
        )
        return point, block_s


def search(
    spec: DecoderSpec,
    parameters: Parameters,
    calibration: FrameStream,
    validation: Validation,
    max_loss: float,
    recipe: QuantizationRecipe | None = None,
    table: CycleTable | None = None,
    progress: Progress = silent,
) -> Frontier:
    """Search the widths of one decoder.

    Args:
        spec, parameters: of the float decoder.
        calibration: training frames, from which scales come.
        validation: what assignments are compared on.
        max_loss: loss in R2 (in detection: AUROC) that is accepted, fixed beforehand.
        recipe: what else may be chosen; its widths are ignored. None takes the defaults.
        table: cycles of the target; None is that of the Cortex-M4F.
        progress: told how far it is.

    Raises:
        InputError: frames do not fit, or max_loss is not positive.
        VerificationError: every assignment loses more than `max_loss`.
    """
    if not max_loss > 0.0:
        raise InputError(f"--max-loss is {max_loss:g}, allowed are numbers above 0; 0.01 is usual")
    progress(0.0, "calibrating")
    recipe, cost = recipe or QuantizationRecipe(), Cost(spec, table or load_cycle_table("cortex-m4f"))
    seen = observe(spec, parameters, calibration.frames, recipe, calibration.reset_before)
    exact = FloatDecoder.of(spec, parameters).stream(validation.stream.frames, validation.stream.reset_before)

    def decode(widths: Widths, stop: int | None) -> F64:
        decoder, stream = assemble(seen, recipe.model_copy(update={"widths": widths})), validation.stream
        return decoder.stream(stream.frames[:stop], stream.reset_before[:stop]).astype(np.float64)

    bench = Bench(decode, complete(spec, uniform(spec, 16, 16)), validation, exact, cost, max_loss)
    decay = _decay(spec, parameters, calibration, recipe, part(progress, 0.05, 0.15))
    measured = sensitivities(bench, narrower(spec, decay), part(progress, 0.15, 0.5))
    assignments = _assignments(bench, spec, measured, decay.widths())
    return frontier(bench, cost.table.core, measured, assignments, decay, part(progress, 0.5, 1.0))


def frontier(
    bench: Bench,
    core: str,
    measured: Sequence[Sensitivity],
    assignments: Sequence[tuple[str, Widths]],
    decay: DecayReport | None,
    progress: Progress,
) -> Frontier:
    """Score every assignment and choose one; raises VerificationError where every one loses too much."""
    validation = bench.validation
    points, block_s = _scored(bench, assignments, progress)
    index, proven = choose(points, bench.max_loss, lambda point: bench.cost.relative(point.widths))
    return Frontier(
        core=core,
        figure=validation.figure,
        max_loss=bench.max_loss,
        frames=int(validation.stream.scored.sum()),
        float_accuracy=validation.accuracy(bench.exact),
        block_s=block_s,
        decay=decay,
        sensitivities=tuple(measured),
        points=tuple(points),
        chosen_index=index,
        proven=proven,
    )


def sensitivities(bench: Bench, tried: Sequence[tuple[str, Width]], progress: Progress) -> list[Sensitivity]:
    """Each tensor narrowed alone, all else in 16 bits."""
    cost, widest = bench.cost, bench.widest
    least, found = bench.noise(widest), []
    for k, (name, bits) in enumerate(tried):
        progress(k / len(tried), f"{name} in int{bits}")
        widths = widest | {name: bits}
        found.append(
            Sensitivity(
                name=name,
                bits=bits,
                noise=max(bench.noise(widths) - least, 0.0),
                cycles_saved=cost.cycles(widest) - cost.cycles(widths),
                bytes_saved=sum(cost.bytes(widest)) - sum(cost.bytes(widths)),
            )
        )
    return found


def narrower(spec: DecoderSpec, decay: DecayReport) -> list[tuple[str, Width]]:
    """Every width below the widest that a tensor may have; int8 for a state only where the decay report allows it."""
    held = decay.widths()
    found = [(name, bits) for name, allowed in choices(spec).items() for bits in sorted(allowed)[:-1]]
    return [(name, bits) for name, bits in found if name not in state_names(spec) or name in held]


def _decay(
    spec: DecoderSpec, parameters: Parameters, calibration: FrameStream, recipe: QuantizationRecipe, progress: Progress
) -> DecayReport:
    stretch = longest_stretch(calibration.frames, calibration.reset_before)
    return decay_report(spec, parameters, stretch[:DECAY_FRAMES], recipe, progress)


def _assignments(
    bench: Bench, spec: DecoderSpec, measured: Sequence[Sensitivity], held: Widths
) -> list[tuple[str, Widths]]:
    """The uniform ones, then those on the greedy way, without repetition."""
    found = [(name, complete(spec, uniform(spec, *pair))) for name, pair in _UNIFORM.items()]
    if held:
        found.append(("all int8, states int8 where they hold", complete(spec, held)))
    return with_greedy_way(found, bench, measured)


def with_greedy_way(
    found: list[tuple[str, Widths]], bench: Bench, measured: Sequence[Sensitivity]
) -> list[tuple[str, Widths]]:
    """The assignments, then those on the greedy way that are not among them."""
    for name, widths in greedy_way(bench.widest, measured, bench.cost.relative):
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
    bench: Bench, assignments: Sequence[tuple[str, Widths]], progress: Progress
) -> tuple[list[FrontierPoint], float]:
    """All points, told which are efficient, and the longest block (s)."""
    points, longest = [], 0.0
    for k, (name, widths) in enumerate(assignments):
        progress(k / len(assignments), name)
        point, block_s = bench.point(name, widths)
        points.append(point)
        longest = max(longest, block_s)
    return mark_efficient(points), longest
