"""`--precision mixed` of a decoder of spikes: which width the weights of each dense layer shall have.

The search is that of `edgebci.pipeline.precision_search`, over weights alone: tables stay in int8, states as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgebci.errors import InputError
from edgebci.export.calibration import QuantizationRecipe, Width
from edgebci.export.possm_step import assemble_possm, observe_possm
from edgebci.export.possm_widths import possm_dense_names
from edgebci.export.widths import WEIGHT_WIDTHS
from edgebci.frame_stream import FrameStream
from edgebci.metrics import F64
from edgebci.pipeline.cycle_table import CycleTable, load_cycle_table
from edgebci.pipeline.precision_frontier import Frontier
from edgebci.pipeline.precision_scoring import Validation, Widths
from edgebci.pipeline.precision_search import Bench, frontier, sensitivities, with_greedy_way
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import PossmCheckpoint, PossmStepSpec
from edgebci.possm_stream import ChunkStream, FloatPossmStream
from edgebci.progress import Progress, part, silent


@dataclass(frozen=True)
class SpikeCost:
    """What the dense layers cost in an assignment."""

    spec: PossmStepSpec
    table: CycleTable
    int8_bytes: tuple[int, int]
    """Of all weights and tables, and of all states, of the uniform int8 form."""

    def cycles(self, widths: Mapping[str, Width]) -> float:
        """Per step, in dense layers."""
        names = possm_dense_names(self.spec)
        return sum(self.table.dense_cycles(rows, columns, widths[name]) for name, (rows, columns) in names.items())

    def bytes(self, widths: Mapping[str, Width]) -> tuple[int, int]:
        """Of all weights, and of all states; int4 weights fill whole bytes in each row."""
        weights, states = self.int8_bytes
        for name, (rows, columns) in possm_dense_names(self.spec).items():
            weights += rows * ((columns * widths[name] + 7) // 8) - rows * columns
        return weights, states

    def relative(self, widths: Mapping[str, Width]) -> float:
        """Cycles and bytes, each over those of the uniform int8 form, added."""
        plain: Widths = dict.fromkeys(widths, 8)
        return self.cycles(widths) / self.cycles(plain) + sum(self.bytes(widths)) / sum(self.bytes(plain))


def search_spikes(
    checkpoint: PossmCheckpoint,
    calibration: ChunkStream,
    validation: ChunkStream,
    max_loss: float,
    recipe: QuantizationRecipe | None = None,
    progress: Progress = silent,
) -> Frontier:
    """Search the widths of one decoder of spikes: training chunks calibrate, validation chunks decide.

    Raises:
        InputError: validation has no truth, or max_loss is not positive.
        VerificationError: every assignment loses more than `max_loss`.
    """
    if not max_loss > 0.0:
        raise InputError(f"--max-loss is {max_loss:g}, allowed are numbers above 0; 0.01 is usual")
    spec, parameters, recipe = checkpoint.spec, checkpoint.parameters, recipe or QuantizationRecipe()
    progress(0.0, "calibrating")
    seen = observe_possm(spec, parameters, calibration.chunks, recipe, calibration.reset_before)
    chunks, resets = validation.chunks, validation.reset_before

    def decode(widths: Widths, stop: int | None) -> F64:
        decoder = assemble_possm(seen, recipe.model_copy(update={"widths": widths}))
        return decoder.stream(chunks[:stop], resets[:stop]).astype(np.float64)

    exact = FloatPossmStream.of(spec, parameters).stream(chunks, resets)
    cost = SpikeCost(spec, load_cycle_table("cortex-m4f"), _bytes(assemble_possm(seen, recipe)))
    names = possm_dense_names(spec)
    widest: Widths = dict.fromkeys(names, 16)
    bench = Bench(decode, widest, _judge(validation, 1 / spec.chunk_s), exact, cost, max_loss)
    tried = [(name, bits) for name in names for bits in sorted(WEIGHT_WIDTHS)[:-1]]
    measured = sensitivities(bench, tried, part(progress, 0.05, 0.5))
    uniform: list[tuple[str, Widths]] = [(f"all int{bits}", dict.fromkeys(names, bits)) for bits in (16, 8, 4)]
    assignments = with_greedy_way(uniform, bench, measured)
    return frontier(bench, cost.table.core, measured, assignments, None, part(progress, 0.5, 1.0))


def _bytes(decoder: QuantizedPossmStep) -> tuple[int, int]:
    tensors, states = decoder.tensors().values(), decoder.initial_states().values()
    return sum(tensor.nbytes for tensor in tensors), sum(state.nbytes for state in states)


def _judge(stream: ChunkStream, rate_hz: float) -> Validation:
    """What compares outputs with the behaviour; it does not look at frames."""
    if stream.truth is None:
        raise InputError("the session has no target at the ends of its chunks; give another with --prepared")
    n = len(stream.chunks)
    frames = np.zeros((n, 1), np.float32)
    return Validation(FrameStream(frames, stream.reset_before, stream.truth, np.ones(n, bool)), rate_hz)
