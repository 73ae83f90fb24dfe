"""Test predictions of a decoder that did not come from a pipeline, from arrays to a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.gating_baseline import Predictions, open_baseline
from edgebci.gating_limits import GateConfig
from edgebci.gating_result import GateResult
from edgebci.metrics import F64
from edgebci.pipeline.configuration import ComparisonConfig
from edgebci.pipeline.gating.acceptance import accept
from edgebci.pipeline.gating.candidate import Candidate
from edgebci.pipeline.gating.decision import gate

NAME = "own predictions"


def predictions_of(
    truth: NDArray[Any],
    predictions: Mapping[str, NDArray[Any] | Sequence[NDArray[Any]]],
    times_s: NDArray[Any],
    axes: Sequence[str] | None = None,
    detection: bool = False,
) -> Predictions:
    """Put arrays (T,) or (T, D) together, for several seeds a list of them.

    Raises:
        InputError: they do not fit together.
    """
    times = np.asarray(times_s, np.float64)
    if times.ndim != 1 or len(times) < 2 or not (np.diff(times) > 0).all():
        raise InputError("times_s must hold at least two ascending times in seconds; give one for each frame")
    columns = _columns(truth)
    names = tuple(axes) if axes is not None else tuple(f"axis {k}" for k in range(columns.shape[-1]))
    if not predictions:
        raise InputError("no predictions were given; give those of at least one decoder")
    seeds = {name: [given] if isinstance(given, np.ndarray) else list(given) for name, given in predictions.items()}
    return Predictions(
        task="detection" if detection else "regression",
        rate_hz=float(1 / np.median(np.diff(times))),
        axes=names,
        times_s=times,
        truth=columns,
        decoded={name: _stacked(name, given) for name, given in seeds.items()},
    )


def gate_predictions(path: Path, given: Predictions, why: str | None, retrained: bool) -> GateResult:
    """Compare with the baseline at `path`; with a reason, make these the baseline first.

    Raises:
        InputError: there is no baseline like that, or it is of another test part.
    """
    candidate = Candidate(NAME, given)
    if why is not None:
        accept(path, candidate, why, keep_bundle=False)
    baseline = open_baseline(path, 'make a new one with pytest --edgebci-accept "why"')
    limits = GateConfig(artefacts=tuple(baseline.predictions.decoded))
    return gate(baseline, candidate, limits, ComparisonConfig(), "retrained" if retrained else "same")


def _columns(trace: NDArray[Any]) -> F64:
    found = np.asarray(trace, np.float64)
    return found[:, None] if found.ndim == 1 else found


def _stacked(name: str, seeds: Sequence[NDArray[Any]]) -> F64:
    try:
        return np.stack([_columns(one) for one in seeds])
    except ValueError as error:
        raise InputError(
            f"the seeds of {name!r} have different shapes; decode one test part with all of them"
        ) from error
