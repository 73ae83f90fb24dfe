"""The parts of a report that its pictures are drawn from: traces, errors over time, step times, influences, a timeline.

Runs of before these parts existed lack them; their pages then say so in place of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.documents import Document

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Axes = tuple[tuple[float, ...], ...]
"""One row of values for each axis."""

WINDOW_S, MOST_POINTS, ERROR_BINS = 30.0, 600, 60
_DIGITS = 5


@dataclass(frozen=True)
class Traces:
    """The decoded traces of a whole test part: times_s (T,), each of shape (T, D)."""

    times_s: F64
    truth: F64
    decoded: dict[str, F64]


class TraceSection(Document):
    """A stretch of the test part, decoded and true."""

    times_s: tuple[float, ...]
    truth: Axes
    decoded: dict[str, Axes]

    @classmethod
    def of(cls, traces: Traces, window_s: float = WINDOW_S) -> TraceSection:
        """The middle of the test part."""
        shown = middle(traces.times_s, window_s)
        return cls(
            times_s=_short(traces.times_s[shown], digits=9),
            truth=_rows(traces.truth[shown]),
            decoded={form: _rows(values[shown]) for form, values in traces.decoded.items()},
        )

    def traces(self) -> Traces:
        """As arrays."""
        decoded = {form: np.array(rows).T for form, rows in self.decoded.items()}
        return Traces(np.array(self.times_s), np.array(self.truth).T, decoded)


class ScatterSection(Document):
    """Decoded against true values of one form, a sample of the scored frames, axis by axis."""

    form: str
    truth: Axes
    decoded: Axes

    @classmethod
    def of(cls, form: str, truth: F64, decoded: F64, most: int = MOST_POINTS) -> ScatterSection:
        """Frames at even distances."""
        chosen = np.unique(np.linspace(0, len(truth) - 1, min(most, len(truth))).round().astype(int))
        return cls(form=form, truth=_rows(truth[chosen]), decoded=_rows(decoded[chosen]))


class RocSection(Document):
    """How many of the frames in events are found at how many false ones, at every threshold, of each form."""

    outside: dict[str, tuple[float, ...]]
    """Share of the frames outside events that are at or above a threshold, by form, thresholds falling."""
    inside: dict[str, tuple[float, ...]]
    """The same of the frames inside."""

    @classmethod
    def of(cls, inside: Bool, decoded: Mapping[str, F64], most: int = MOST_POINTS) -> RocSection:
        """Of what each form gave the frames (T,)."""
        false, found = {}, {}
        for form, given in decoded.items():
            thresholds = np.quantile(given, np.linspace(1, 0, min(most, len(given))))
            below = (np.searchsorted(np.sort(given[kind]), thresholds, "left") for kind in (~inside, inside))
            sizes = (int((~inside).sum()), int(inside.sum()))
            false[form], found[form] = (_short((0.0, *(1 - n / k))) for n, k in zip(below, sizes, strict=True))
        return cls(outside=false, inside=found)


class ErrorSection(Document):
    """Root mean square error of each form in bins of time; None where no frame of a bin is scored.

    Of detectors the error of the probability, the root of Brier's score.
    """

    bin_s: float
    times_s: tuple[float, ...]
    """Middle of each bin, in the recording's time."""
    rmse: dict[str, tuple[tuple[float | None, ...], ...]]
    """By form, then axis, then bin; in the target's unit."""

    @classmethod
    def of(cls, traces: Traces, scored: Bool, n_bins: int = ERROR_BINS) -> ErrorSection:
        """Bins of equal length over the whole test part."""
        edges = np.linspace(traces.times_s[0], np.nextafter(traces.times_s[-1], np.inf), n_bins + 1)
        place = np.searchsorted(edges, traces.times_s, side="right") - 1
        rmse = {
            form: tuple(_binned((values - traces.truth)[:, d], place, scored, n_bins) for d in range(values.shape[1]))
            for form, values in traces.decoded.items()
        }
        return cls(bin_s=float(edges[1] - edges[0]), times_s=_short((edges[:-1] + edges[1:]) / 2, 9), rmse=rmse)


class CycleDistribution(Document):
    """Modelled cycles of the steps of the test stream at zero wait states: a histogram and its quantiles."""

    edges: tuple[float, ...]
    """Of the bins, one more than there are counts."""
    counts: tuple[int, ...]
    p50: float
    p99: float
    p999: float
    worst: float

    @classmethod
    def of(cls, cycles: F64, n_bins: int = 40) -> CycleDistribution:
        """Of one number for each step."""
        low, high = float(cycles.min()), float(cycles.max())
        counts, edges = np.histogram(cycles, bins=n_bins, range=(low, high if high > low else low + 1))
        p50, p99, p999 = np.quantile(cycles, [0.5, 0.99, 0.999]).tolist()
        return cls(edges=tuple(edges.tolist()), counts=tuple(counts.tolist()), p50=p50, p99=p99, p999=p999, worst=high)


class TornadoBar(Document):
    """What one input does to a result while all others are typical; in the result's unit."""

    input: str
    at_low: float
    at_high: float


class Event(Document):
    """Something that takes time in one lane of a timeline."""

    lane: str
    start_ms: float
    stop_ms: float
    note: str = ""


class TimelineSection(Document):
    """What happens when, over a few frames of one implant; modelled."""

    period_ms: float
    events: tuple[Event, ...]
    source: str
    """What simulated it."""


class TransportSection(Document):
    """From the last sample of a frame to its output at the receiver, over some minutes of one implant; modelled."""

    edges_ms: tuple[float, ...]
    """Of the bins, one more than there are counts; both are empty where no output arrived."""
    counts: tuple[int, ...]
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    worst_ms: float | None
    n_lost: int
    """Outputs that never arrived."""
    seconds: float
    budget_ms: float
    """From neural activity to its effect; the decoder's own lag counts as well."""

    @classmethod
    def of(cls, arrived_ms: F64, n_lost: int, seconds: float, budget_ms: float, n_bins: int = 60) -> TransportSection:
        """Of the latency (N,) of each output that arrived."""
        named = {"n_lost": n_lost, "seconds": seconds, "budget_ms": budget_ms}
        if not len(arrived_ms):
            nothing = dict.fromkeys(("p50_ms", "p99_ms", "p999_ms", "worst_ms"))
            return cls.model_validate({"edges_ms": (), "counts": (), **nothing, **named})
        counts, edges = np.histogram(arrived_ms, bins=n_bins, range=(0.0, float(arrived_ms.max())))
        p50, p99, p999 = np.quantile(arrived_ms, [0.5, 0.99, 0.999]).tolist()
        quantiles = {"p50_ms": p50, "p99_ms": p99, "p999_ms": p999, "worst_ms": float(arrived_ms.max())}
        shown = {"edges_ms": _short(edges), "counts": tuple(counts.tolist())}
        return cls.model_validate(shown | quantiles | named)


class Pictures(Document):
    """What the accuracy pictures are drawn from."""

    traces: TraceSection
    scatter: ScatterSection | None = None
    """None in detection."""
    errors: ErrorSection
    roc: RocSection | None = None
    """Of detection."""


def middle(times_s: F64, window_s: float) -> slice:
    """The rows in the middle of ascending times."""
    centre = times_s[len(times_s) // 2]
    start, stop = np.searchsorted(times_s, [centre - window_s / 2, centre + window_s / 2])
    return slice(int(start), int(stop))


def _binned(error: F64, place: NDArray[np.int64], scored: Bool, n_bins: int) -> tuple[float | None, ...]:
    sums = np.bincount(place[scored], weights=error[scored] ** 2, minlength=n_bins)
    counts = np.bincount(place[scored], minlength=n_bins)
    return tuple(float(f"{np.sqrt(s / n):.{_DIGITS}g}") if n else None for s, n in zip(sums, counts, strict=True))


def _rows(values: F64) -> Axes:
    return tuple(_short(column) for column in values.T)


def _short(values: F64 | Sequence[float], digits: int = _DIGITS) -> tuple[float, ...]:
    """Few digits: a picture needs no more, and a report stays small."""
    return tuple(float(f"{value:.{digits}g}") for value in np.asarray(values).tolist())
