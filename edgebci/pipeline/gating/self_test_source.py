"""What the self-test of the gate is made of: predictions and a decoder of a finished run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebci.arithmetic import F32
from edgebci.bundle import MANIFEST
from edgebci.documents import Document, load_json
from edgebci.errors import InputError
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.files import sha256, write_text
from edgebci.frame_stream import part_stream
from edgebci.gating_baseline import read_predictions
from edgebci.gating_limits import GateConfig
from edgebci.metrics import F64
from edgebci.pipeline.cache import run_stage
from edgebci.pipeline.configuration import ComparisonConfig, load_pipeline
from edgebci.pipeline.exporting import load_bundle
from edgebci.pipeline.gating.command import GateOrder
from edgebci.pipeline.gating.from_run import as_built, rebuilt
from edgebci.pipeline.gating.populations import Pool
from edgebci.pipeline.gating.self_test import MINUTES, Asked, SelfTest, self_test
from edgebci.pipeline.gating.step_times import FormTimes, interleave
from edgebci.pipeline.imports import package_digest
from edgebci.pipeline.preparation import load_prepared
from edgebci.progress import Progress, part

FOLDER = "gate_self_test"
"""In the folder of a run: what is finished of it."""
_TIMES_NAME = "times.json"
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
        return _of_predictions(order.predictions, order.out, requests, minutes, progress)
    config = load_pipeline(order.pipeline, order.recording)
    if config.recording.task == "detection":
        raise InputError(f"{order.pipeline} detects, and the self-test simulates losses in R²; give it a regression's")
    root = order.out / config.name
    if order.as_built:
        candidate = as_built(config, root)
    else:
        candidate = rebuilt(config, root, f"edgebci run {order.pipeline}", part(progress, 0.0, 0.1))
    pool = Pool.of(candidate.predictions, config.gate.artefacts, without_a_channel(root))
    kept, times = root / FOLDER, _Times(rows=())
    if candidate.bundle is not None:
        times = _kept_times(candidate.bundle, kept, part(progress, 0.1, 0.15))
    asked = Asked(pool, times.arrays(), config.gate, config.comparison, requests, minutes)
    return self_test(config.name, asked, kept, part(progress, 0.15, 1.0))


class _FormTimes(Document):
    form: str
    before_us: tuple[float, ...]
    after_us: tuple[float, ...]


class _Times(Document):
    """What was measured once, so that a self-test that goes on goes on with the same."""

    rows: tuple[_FormTimes, ...]

    def arrays(self) -> tuple[FormTimes, ...]:
        return tuple(FormTimes(one.form, np.array(one.before_us), np.array(one.after_us)) for one in self.rows)


def _kept_times(bundle: Path, root: Path, progress: Progress) -> _Times:
    def work(folder: Path) -> None:
        rows = interleave(bundle, bundle, ROUNDS, progress)
        times = [_FormTimes(form=r.form, before_us=tuple(r.before_us), after_us=tuple(r.after_us)) for r in rows]
        write_text(folder / _TIMES_NAME, _Times(rows=tuple(times)).model_dump_json(indent=1) + "\n")

    inputs = [sha256(bundle / MANIFEST), str(ROUNDS)]
    stage = run_stage(root, "times", inputs, work, package_digest(interleave.__module__))
    return load_json(stage.folder / _TIMES_NAME, _Times)


def _of_predictions(path: Path, out: Path, requests: int, minutes: tuple[float, ...], progress: Progress) -> SelfTest:
    stored = read_predictions(path)
    if stored.task == "detection":
        raise InputError(f"{path} is of a detector, and the self-test simulates losses in R²; give it a regression's")
    limits = GateConfig(artefacts=tuple(stored.decoded))
    pool = Pool.of(stored, limits.artefacts)
    asked = Asked(pool, (), limits, ComparisonConfig(), requests, minutes)
    return self_test(path.stem, asked, out / path.stem / FOLDER, progress)


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
