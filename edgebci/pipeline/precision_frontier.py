"""What a search of widths found: every assignment with its loss, cycles and bytes, and the one to export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.comparison import Interval
from edgebci.documents import Document
from edgebci.errors import VerificationError
from edgebci.export.calibration import Width
from edgebci.export.decay_report import DecayReport
from edgebci.reporting.frontier_figure import Candidate, frontier_svg

FRONTIER_JSON, FRONTIER_SVG = "precision.json", "precision.svg"


class Sensitivity(Document):
    """One tensor narrowed alone: noise in the output over its variance, and what that saves."""

    name: str
    bits: Width
    noise: float
    cycles_saved: float
    bytes_saved: int


class FrontierPoint(Document):
    """One assignment.

    Fields:
        name: of a uniform assignment, or what the last step narrowed.
        widths: of every tensor that has a choice.
        loss: the float decoder's R2 (mean over axes; in detection AUROC) minus this one's, on the validation frames,
            with its 95 % interval.
        noise: of the output, over its variance.
        cycles: of dense layers and states per step, from the target's table.
        weight_bytes, state_bytes: of the quantized decoder.
        efficient: no other point costs no more in cycles and in bytes and loses less.
    """

    name: str
    widths: dict[str, Width]
    loss: Interval
    noise: float
    cycles: float
    weight_bytes: int
    state_bytes: int
    efficient: bool = False

    @property
    def bytes(self) -> int:
        """Of weights and states."""
        return self.weight_bytes + self.state_bytes


class Frontier(Document):
    """What was tried, and what was chosen.

    Fields:
        core: whose cycles count. max_loss: what may be lost in R2.
        figure: of accuracy, R2 or AUROC. frames, float_accuracy, block_s: of the validation.
        decay: which states hold in int8; None where their widths are not searched.
        proven: the chosen point's upper bound is within `max_loss`.
    """

    schema_version: Literal["edgebci.precision_frontier/1"] = "edgebci.precision_frontier/1"
    core: str
    max_loss: float
    figure: str
    frames: int
    float_accuracy: float
    block_s: float
    decay: DecayReport | None
    sensitivities: tuple[Sensitivity, ...]
    points: tuple[FrontierPoint, ...]
    chosen_index: int
    proven: bool

    @property
    def chosen(self) -> FrontierPoint:
        """The assignment to export."""
        return self.points[self.chosen_index]

    def svg(self) -> str:
        """The picture: loss over cycles and over bytes."""
        rows = [
            Candidate(point.name, point.loss, point.cycles, point.bytes, point.efficient, i == self.chosen_index)
            for i, point in enumerate(self.points)
        ]
        return frontier_svg(rows, self.max_loss, self.core)

    def sentence(self) -> str:
        """One line to print."""
        point, verdict = self.chosen, "within" if self.proven else "not shown to be within"
        widths = {bits: [name for name, b in point.widths.items() if b == bits] for bits in (4, 8, 16)}
        shown = "; ".join(f"{bits} bits: {', '.join(names)}" for bits, names in widths.items() if names)
        return (
            f"{shown}; loses {point.loss.value:.4f} of {self.figure} ({point.loss.low:.4f} to {point.loss.high:.4f}, "
            f"{verdict} {self.max_loss:g}), {point.cycles:,.0f} cycles in dense layers and states, "
            f"{point.bytes:,} bytes"
        )


def choose(
    points: Sequence[FrontierPoint], max_loss: float, cost: Callable[[FrontierPoint], float]
) -> tuple[int, bool]:
    """Index of the point to export, and whether its upper bound is within `max_loss`.

    Raises:
        VerificationError: every point loses more.
    """
    proven = [i for i, point in enumerate(points) if point.loss.high <= max_loss]
    if proven:
        return min(proven, key=lambda i: cost(points[i])), True
    least = min(range(len(points)), key=lambda i: points[i].loss.value)
    if points[least].loss.value > max_loss:
        raise VerificationError(
            f"no widths lose {max_loss:g} or less: the best ({points[least].name}) loses "
            f"{points[least].loss.value:.4f} on the validation frames; allow more with --max-loss, or export fp32"
        )
    return least, False


def mark_efficient(points: Sequence[FrontierPoint]) -> list[FrontierPoint]:
    """The same points, each told whether no other is at least as good in noise, cycles and bytes, and better in one."""

    def figures(point: FrontierPoint) -> NDArray[np.float64]:
        return np.array([point.noise, point.cycles, point.bytes])

    def beaten(point: FrontierPoint) -> bool:
        mine = figures(point)
        return any((figures(other) <= mine).all() and (figures(other) < mine).any() for other in points)

    return [point.model_copy(update={"efficient": not beaten(point)}) for point in points]
