"""From a baseline and a candidate to a decision: every figure that both have, and Holm over those with noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import edgebci
from edgebci.gating_baseline import OpenedBaseline
from edgebci.gating_limits import GateConfig
from edgebci.gating_result import Check, GateResult, decide
from edgebci.gating_statistics import holm
from edgebci.pipeline.configuration import ComparisonConfig
from edgebci.pipeline.gating.accuracy import Noisy, accuracy_figures
from edgebci.pipeline.gating.candidate import Candidate, Weights
from edgebci.pipeline.gating.exact import counter_checks, implant_checks
from edgebci.pipeline.gating.step_times import interleave, time_figures
from edgebci.progress import Progress, silent

NO_OLD_BUNDLE = (
    "times of a step were not gated: the old bundle is not here, and a time means nothing without the old one beside "
    "it on the same machine"
)
NO_BUNDLE = "times of a step were not gated: the candidate came without a bundle"


def gate(
    baseline: OpenedBaseline,
    candidate: Candidate,
    config: GateConfig,
    margins: ComparisonConfig,
    weights: Weights | None = None,
    progress: Progress = silent,
) -> GateResult:
    """Compare a candidate with the baseline and decide.

    Args:
        weights: whether the decoder was retrained; None: its checkpoint says so.
        progress: told how far the timing is.

    Raises:
        InputError: the two can't be compared.
    """
    known = baseline.document.measured
    weights = weights or candidate.weights_against(known)
    noisy = accuracy_figures(baseline.predictions, candidate.predictions, weights, config, margins)
    notes = [f"weights are {'those of the baseline' if weights == 'same' else 'new: seeds are compared'}"]
    old = baseline.bundle_folder
    if old is not None and candidate.bundle is not None:
        noisy += time_figures(interleave(old, candidate.bundle, config.times.rounds, progress), config.times)
    else:
        notes.append(NO_OLD_BUNDLE if old is None else NO_BUNDLE)
    counted = candidate.measured.counters if candidate.measured else None
    exact = counter_checks(known.counters, counted, config.counters)
    if candidate.measured is not None:
        exact += implant_checks(known, candidate.measured, config.model)
    checks = [*judged(noisy, config.level), *exact]
    return GateResult(
        name=candidate.name,
        edgebci_version=edgebci.__version__,
        decision=decide(checks),
        baseline_bundle=known.bundle_id,
        candidate_bundle=candidate.bundle_id,
        level=config.level,
        checks=tuple(checks),
        notes=tuple(notes),
    )


def judged(noisy: Sequence[Noisy], level: float) -> list[Check]:
    """Holm over all figures with noise; each is told the level that the smallest p was held against."""
    if not noisy:
        return []
    rejected = holm(np.array([[one.p for one in noisy]]), level)[0]
    return [one.check(bool(worse), level / len(noisy)) for one, worse in zip(noisy, rejected, strict=True)]
