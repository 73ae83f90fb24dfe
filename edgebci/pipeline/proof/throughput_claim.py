"""How fast the Mamba-2 core trains, beside others of the same interleaved run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebci.pipeline.proof.claim import Place
from edgebci.pipeline.proof.figure import Figure, slug
from edgebci.progress import Progress

if TYPE_CHECKING:
    from edgebci.training.throughput import Row, Throughput

ROUNDS = 24
LEAST_TIMES = {"transformers": 1.6, "quadratic": 4.0}
"""What was asked for, at both sizes, of contenders whose names begin so."""


def measure_throughput(_place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Tokens per second of our core at both sizes, and how many times as fast as each other it is."""
    from edgebci.training.throughput import OURS, SIZES, measure

    result = measure(tuple(SIZES), ROUNDS, progress=progress)
    each = (_ours(row, result) if row.name == OURS else _other(row) for row in result.rows)
    return (*each, *(_bound(size, result) for size in SIZES))


def _ours(row: Row, result: Throughput) -> Figure:
    return Figure(
        name=f"{row.size}_tokens_per_s",
        label=f"tokens trained per second, {_what(row)}",
        value=row.tokens_per_s,
        low=row.slowest_tokens_per_s,
        high=row.fastest_tokens_per_s,
        unit="tokens/s",
        evidence="measured",
        note=f"float32, {result.threads} threads, length {result.frames}, median of {result.rounds} rounds",
    )


def _other(row: Row) -> Figure:
    return Figure(
        name=f"{row.size}_times_{slug(row.name)}",
        label=f"times as fast as {row.name}, {row.size}",
        value=row.ours_is_faster,
        unit="times",
        evidence="measured",
        note=f"{row.tokens_per_s:,.0f} tokens/s{verdict(row.name, row.ours_is_faster)}",
    )


def verdict(contender: str, times: float) -> str:
    """What is said of a goal, if one was set."""
    asked = [least for name, least in LEAST_TIMES.items() if contender.startswith(name)]
    return f"; the goal, {asked[0]:g} times, is {'reached' if times >= asked[0] else 'MISSED'}" if asked else ""


def _bound(size: str, result: Throughput) -> Figure:
    """What the claim of a number of times the quadratic form can be at most: all but the scan is the same in both."""
    from edgebci.training.throughput import NO_SCAN, QUADRATIC

    ratio = {row.name: row.ours_is_faster for row in result.rows if row.size == size}
    return Figure(
        name=f"{size}_most_times_quadratic",
        label=f"times as fast as {QUADRATIC} that a scan of no cost would be, {size}",
        value=ratio[QUADRATIC] / ratio[NO_SCAN],
        unit="times",
        evidence="measured",
        note="the rest of the block takes the same time with either",
    )


def _what(row: Row) -> str:
    from edgebci.training.throughput import SIZES

    size = SIZES[row.size]
    return f"{row.size}: 2 layers, d_model {size.spec.d_model}, d_state {size.spec.d_state}, batch {size.batch}"
