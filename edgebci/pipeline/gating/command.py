"""What `edgebci gate` and `edgebci gate accept` do, from paths to a result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from edgebci.errors import InputError
from edgebci.gating_baseline import Baseline, OpenedBaseline, open_baseline, read_predictions
from edgebci.gating_limits import GateConfig, ModelLimits
from edgebci.gating_result import GateResult
from edgebci.pipeline.configuration import ComparisonConfig, PipelineConfig, load_pipeline
from edgebci.pipeline.gating.acceptance import accept
from edgebci.pipeline.gating.candidate import Candidate, Weights
from edgebci.pipeline.gating.decision import gate
from edgebci.progress import Progress, part

CORNERS = get_args(ModelLimits.model_fields["corner"].annotation)


@dataclass(frozen=True)
class GateOrder:
    """What was asked for.

    Fields:
        pipeline: its TOML; not read where predictions are given.
        recording: in place of the pipeline's own.
        out: folder of all runs.
        as_built: take a finished run as it is.
        predictions: HDF5 file of one's own, in place of a pipeline.
        retrained: of predictions: the weights are new.
        corner: of the implant's model, in place of the pipeline's; None: as that says.
    """

    pipeline: Path
    baseline: Path
    recording: Path | None = None
    out: Path = Path("runs")
    as_built: bool = False
    predictions: Path | None = None
    retrained: bool = False
    corner: str | None = None

    @property
    def repair(self) -> str:
        """The command that makes a new baseline."""
        source = f"--predictions {self.predictions}" if self.predictions else f"--pipeline {self.pipeline}"
        return f'edgebci gate accept {source} --baseline {self.baseline} --why "..."'


def run_gate(order: GateOrder, progress: Progress) -> GateResult:
    """Open the baseline, take or make the candidate, compare, decide.

    Raises:
        InputError: the baseline is missing, older or damaged; the pipeline is wrong; the two can't be compared.
    """
    baseline = open_baseline(order.baseline, f"make a new one with {order.repair}")
    config = None if order.predictions else load_pipeline(order.pipeline, order.recording)
    limits = _limits(order, config, baseline)
    candidate = _candidate(order, config, part(progress, 0.0, 0.8))
    weights: Weights | None = None
    if order.predictions:
        weights = "retrained" if order.retrained else "same"
    margins = config.comparison if config else ComparisonConfig()
    return gate(baseline, candidate, limits, margins, weights, part(progress, 0.8, 1.0))


def run_accept(order: GateOrder, why: str, keep_bundle: bool, progress: Progress) -> Baseline:
    """Make what the pipeline builds now, or the predictions, the baseline.

    Raises:
        InputError: the pipeline is wrong, or no reason was given.
    """
    if not why.strip():
        raise InputError("the reason is empty, and whoever reads the baseline needs one; say it with --why '...'")
    config = None if order.predictions else load_pipeline(order.pipeline, order.recording)
    return accept(order.baseline, _candidate(order, config, progress), why, keep_bundle)


def _limits(order: GateOrder, config: PipelineConfig | None, baseline: OpenedBaseline) -> GateConfig:
    limits = config.gate if config else GateConfig(artefacts=tuple(baseline.predictions.decoded))
    if order.corner is None:
        return limits
    if order.corner not in CORNERS:
        raise InputError(f"the corner is {order.corner!r}; allowed are {' and '.join(CORNERS)}: choose one of them")
    model = ModelLimits.model_validate(limits.model.model_dump() | {"corner": order.corner})
    return limits.model_copy(update={"model": model})


def _candidate(order: GateOrder, config: PipelineConfig | None, progress: Progress) -> Candidate:
    if order.predictions is not None:
        return Candidate(name=order.predictions.stem, predictions=read_predictions(order.predictions))
    if config is None:
        raise InputError("neither a pipeline nor predictions were given; give one of them")
    from edgebci.pipeline.gating.from_run import as_built, rebuilt

    root = order.out / config.name
    if order.as_built:
        return as_built(config, root)
    return rebuilt(config, root, f"edgebci run {order.pipeline}", progress)
