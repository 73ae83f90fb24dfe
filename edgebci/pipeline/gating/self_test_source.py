"""What the self-test of the gate is made of: predictions and a decoder of a finished run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebci.arithmetic import F32
from edgebci.errors import InputError
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.frame_stream import part_stream
from edgebci.gating_baseline import read_predictions
from edgebci.gating_limits import GateConfig
from edgebci.metrics import F64
from edgebci.pipeline.configuration import ComparisonConfig, load_pipeline
from edgebci.pipeline.exporting import load_bundle
from edgebci.pipeline.gating.command import GateOrder
from edgebci.pipeline.gating.from_run import as_built, rebuilt
from edgebci.pipeline.gating.populations import Pool
from edgebci.pipeline.gating.self_test import MINUTES, SelfTest, self_test
from edgebci.pipeline.gating.step_times import FormTimes, interleave
from edgebci.pipeline.preparation import load_prepared
from edgebci.progress import Progress, part

ROUNDS = 400
"""Of the bundle against itself, from which every simulated pull request takes as many as the gate would."""


def run_self_test(
    order: GateOrder, requests: int, progress: Progress, minutes: tuple[float, ...] = MINUTES
) -> SelfTest:
    """Take residuals from a run, or from stored predictions, and measure the gate on them.

    Raises:
        InputError: no requests were asked for, or the pipeline or the predictions can't be read.
    """
    if requests < 1:
        raise InputError(f"{requests} pull requests of each kind were asked for; ask for at least 1, or leave 2,000")
    if order.predictions is not None:
        return _of_predictions(order.predictions, requests, minutes, progress)
    config = load_pipeline(order.pipeline, order.recording)
    if config.recording.task == "detection":
        raise InputError(f"{order.pipeline} detects, and the self-test simulates losses in R²; give it a regression's")
    root = order.out / config.name
    if order.as_built:
        candidate = as_built(config, root)
    else:
        candidate = rebuilt(config, root, f"edgebci run {order.pipeline}", part(progress, 0.0, 0.1))
    pool = Pool.of(candidate.predictions, config.gate.artefacts, without_a_channel(root))
    times: tuple[FormTimes, ...] = ()
    if candidate.bundle is not None:
        times = interleave(candidate.bundle, candidate.bundle, ROUNDS, part(progress, 0.1, 0.15))
    rest = part(progress, 0.15, 1.0)
    return self_test(config.name, pool, times, config.gate, config.comparison, requests, minutes, rest)


def _of_predictions(path: Path, requests: int, minutes: tuple[float, ...], progress: Progress) -> SelfTest:
    stored = read_predictions(path)
    if stored.task == "detection":
        raise InputError(f"{path} is of a detector, and the self-test simulates losses in R²; give it a regression's")
    limits = GateConfig(artefacts=tuple(stored.decoded))
    pool = Pool.of(stored, limits.artefacts)
    return self_test(path.stem, pool, (), limits, ComparisonConfig(), requests, minutes, progress)


def without_a_channel(root: Path) -> F64:
    """What the float decoder of a run decodes less (T, D) when the channel dies that its output follows most.

    A dead channel is at the normalised mean, 0, in all its features.
    """
    prepared, bundle = load_prepared(root / "features"), load_bundle(root / "export")
    stream, runner = part_stream(prepared.data, "test"), OnnxStepRunner(bundle.float_onnx)
    decoded = runner.stream(stream.frames, stream.reset_before)
    n_channels = prepared.front_end.n_channels
    frames = stream.frames.copy()
    for feature in range(_strongest(stream.frames, decoded, n_channels), frames.shape[1], n_channels):
        frames[:, feature] = 0
    changed = runner.stream(frames, stream.reset_before) - decoded
    return np.asarray(changed[stream.scored], np.float64)


def _strongest(frames: F32, decoded: F32, n_channels: int) -> int:
    """The channel whose features correlate most with the decoded trace; they lie kind by kind, channels within."""
    centred = frames - frames.mean(axis=0), decoded - decoded.mean(axis=0)
    spread = [np.sqrt((one**2).sum(axis=0)) for one in centred]
    correlation = np.abs(centred[0].T @ centred[1]) / np.maximum(np.outer(*spread), 1e-12)
    return int(correlation.max(axis=1).reshape(-1, n_channels).max(axis=0).argmax())
