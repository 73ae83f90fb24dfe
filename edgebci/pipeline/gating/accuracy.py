"""Losses of accuracy as checks: every artefact with its own of the baseline, every axis, and the mean over axes.

Where the weights are the same, the gain of every axis is one more check; see `edgebci.pipeline.gating.gain` for why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from edgebci.errors import InputError
from edgebci.gating_baseline import Predictions
from edgebci.gating_limits import GateConfig, Outcome
from edgebci.gating_result import Check, LossFound, needed_text
from edgebci.gating_statistics import FEWEST_SEEDS, Losses, auroc_losses, r2_losses
from edgebci.metrics import F64
from edgebci.pipeline.configuration import ComparisonConfig
from edgebci.pipeline.gating.candidate import Weights
from edgebci.pipeline.gating.gain import Gains, gain_changes
from edgebci.pipeline.scoring import TORCH_FORM

SEEDS = "students (torch)"
"""The artefact that holds every trained seed."""
MEAN = "mean over axes"


@dataclass(frozen=True)
class Noisy:
    """A figure with noise: its chance under no change, and what becomes of it once Holm has looked at all of them.

    `check` takes whether it was rejected and the level that the strictest test of the family was held against.
    """

    p: float
    check: Callable[[bool, float], Check]


def accuracy_figures(
    baseline: Predictions, candidate: Predictions, weights: Weights, config: GateConfig, margins: ComparisonConfig
) -> list[Noisy]:
    """Every axis of every artefact.

    Args:
        weights: the same: each artefact against its own; retrained: all seeds together, and each artefact of the
            candidate against the torch form that it was made from.

    Raises:
        InputError: the two decoded other frames, or an artefact is not in the baseline.
    """
    if not candidate.same_test_part(baseline):
        raise InputError(
            "the candidate decoded another test part than the baseline; paired figures need the same frames: take the "
            "recording and split of the baseline, or accept a new one with edgebci gate accept"
        )
    if weights == "same":
        return [
            one
            for name in config.artefacts
            for one in (
                *_pair(baseline, _of(baseline, name, "baseline"), candidate, name, margins.same_weights_margin),
                *_gains(baseline, candidate, name, config.gain),
            )
        ]
    return [
        *(
            one
            for name in ([SEEDS] if SEEDS in baseline.decoded else config.artefacts)
            for one in _retrained(baseline, candidate, name, margins.retrained_margin)
        ),
        *(
            one
            for name in config.artefacts
            if name in candidate.decoded and TORCH_FORM in candidate.decoded
            for one in _pair(
                candidate, candidate.decoded[TORCH_FORM], candidate, name, margins.same_weights_margin, " against torch"
            )
        ),
    ]


def losses(task: Predictions, references: F64, candidates: F64) -> Losses:
    """By the metric of the task; each side (S, T, D)."""
    if task.task == "detection":
        inside = task.truth[:, 0] > 0.5
        return auroc_losses(inside, [one[:, 0] for one in references], [one[:, 0] for one in candidates], task.rate_hz)
    return r2_losses(task.truth, list(references), list(candidates), task.rate_hz)


def _of(predictions: Predictions, name: str, whose: str) -> F64:
    if name not in predictions.decoded:
        raise InputError(
            f"the {whose} has no predictions of {name!r}, it has {', '.join(predictions.decoded)}; correct "
            "[gate] artefacts, or accept a new baseline with edgebci gate accept"
        )
    return predictions.decoded[name]


def _pair(
    task: Predictions, references: F64, candidate: Predictions, name: str, margin: float, against: str = ""
) -> list[Noisy]:
    """Both once, the first seed: the same weights."""
    found = losses(task, references[:1], _of(candidate, name, "candidate")[:1])
    return _figures(task, found, f"{name}{against}", margin, "same", (1, 1))


def _gains(baseline: Predictions, candidate: Predictions, name: str, limit: float) -> list[Noisy]:
    """Of every axis; an AUROC does not ask how large a trace is."""
    if baseline.task == "detection":
        return []
    before, after = (side.decoded[name][:1] for side in (baseline, candidate))
    lost = losses(baseline, before, after).value[0]
    found = gain_changes(before[0], after[0], baseline.rate_hz)
    p = p_wrong_gain(found, lost[None, : len(baseline.axes)], limit)[0]
    return [
        Noisy(float(p[k]), partial(_gain_check, found, float(lost[k]), k, f"{name}, {axis}: gain", limit))
        for k, axis in enumerate(baseline.axes)
    ]


def p_wrong_gain(found: Gains, lost: F64, limit: float) -> F64:
    """(R, D) chance of such a gain if it were within the limit; 1 where R² did not fall: better is let through."""
    return np.asarray(np.where(lost > 0, found.p_beyond(limit), 1.0))


def _gain_check(found: Gains, lost: float, k: int, name: str, limit: float, rejected: bool, _: float) -> Check:
    low, high = (float(end[0, k]) for end in found.interval())
    gain = float(np.exp(found.change[0, k]))
    beyond = abs(found.change[0, k]) > np.log1p(limit)
    said = "the same size" if low == gain == high == 1 else f"{gain:.4f} of the baseline's ({low:.4f} to {high:.4f})"
    better = ", and R² did not fall" if beyond and lost <= 0 else ""
    return Check(
        name=name,
        group="accuracy",
        outcome=Outcome.FAIL if rejected else Outcome.PASS,
        evidence="measured",
        unit="of the baseline's",
        baseline=1.0,
        candidate=gain,
        limit=None,
        sentence=(f"{said}{better}; the same weights may not change it by more than {limit:.0%} unless R² rises"),
    )


def _retrained(baseline: Predictions, candidate: Predictions, name: str, margin: float) -> list[Noisy]:
    sides = _of(baseline, name, "baseline"), _of(candidate, name, "candidate")
    return _figures(baseline, losses(baseline, *sides), name, margin, "retrained", (len(sides[0]), len(sides[1])))


def _figures(
    task: Predictions, found: Losses, name: str, margin: float, weights: Weights, n_seeds: tuple[int, int]
) -> list[Noisy]:
    axes = [*task.axes, MEAN] if len(task.axes) > 1 else list(task.axes)
    few = weights == "retrained" and min(n_seeds) < FEWEST_SEEDS
    p = found.p_worse()[0]
    return [
        Noisy(
            1.0 if few else float(p[k]),
            partial(_check, task, found, k, f"{name}, {axis}", margin, weights, n_seeds),
        )
        for k, axis in enumerate(axes)
    ]


def _check(
    task: Predictions,
    found: Losses,
    k: int,
    name: str,
    margin: float,
    weights: Weights,
    n_seeds: tuple[int, int],
    rejected: bool,
    level: float,
) -> Check:
    few = weights == "retrained" and min(n_seeds) < FEWEST_SEEDS
    passed = bool(found.not_inferior(margin)[0, k]) and not few
    outcome = Outcome.PASS if passed else Outcome.FAIL if rejected else Outcome.UNDECIDED
    more = float(found.minutes_needed(margin, level)[0, k])
    loss = LossFound(
        test="same weights" if weights == "same" else "retrained",
        metric="AUROC" if task.task == "detection" else "R²",
        loss=float(found.value[0, k]),
        standard_error=float(found.standard_error[0, k]),
        upper=float(found.upper()[0, k]),
        margin=margin,
        p_worse=float(found.p_worse()[0, k]),
        findable=float(found.findable(level)[0, k]),
        minutes=found.minutes,
        minutes_more=more if outcome is Outcome.UNDECIDED and more < float("inf") and not few else None,
        block_s=float(found.block_s[0]),
        n_blocks=int(found.n_blocks[0]),
        n_seeds=n_seeds,
    )
    return Check(
        name=name,
        group="accuracy",
        outcome=outcome,
        evidence="measured",
        unit=loss.metric,
        baseline=None,
        candidate=None,
        limit=margin,
        sentence=_few_sentence(n_seeds) if few else _sentence(loss, outcome),
        accuracy=loss,
    )


def _few_sentence(n_seeds: tuple[int, int]) -> str:
    return (
        f"retrained decoders need {FEWEST_SEEDS} seeds a side to be told apart from chance, the baseline has "
        f"{n_seeds[0]} and the candidate {n_seeds[1]}; name more in [student] seeds and accept a baseline of as many"
    )


def _sentence(loss: LossFound, outcome: Outcome) -> str:
    if loss.standard_error == 0:
        return "the same predictions, bit for bit"
    lost = f"loss {loss.loss:+.5f} {loss.metric}, at most {loss.upper:.5f}"
    could = f"a loss of {loss.findable:.4f} would have been found with 95 % power"
    if outcome is Outcome.PASS:
        return f"{lost}, margin {loss.margin:g}; {could}"
    if outcome is Outcome.FAIL:
        return f"{lost}, margin {loss.margin:g}: worse (p = {loss.p_worse:.1g}); {could}"
    return f"{lost}, margin {loss.margin:g}: {loss.minutes:.1f} minutes can't tell, {needed_text(loss.minutes_more)}"
