"""What int8 costs in R²: rounded after training and trained in the integers, on held-out streams, against the goals.

    int8 after training     loss of at most 0.005
    int8 in training        loss of at most 0.002

A loss is that of the mean R² over axes, of the integers that ship against the float decoder on the same frames, with a
paired block bootstrap (`edgebci.comparison`); a goal is reached where the upper end of the 95 % interval lies within
it. The integers run in the bit-exact reference, which the host twin and the emulated cores equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgebci.checkpoint import Checkpoint, load_checkpoint
from edgebci.comparison import Comparison, compare
from edgebci.decoder_float import FloatDecoder
from edgebci.decoding_data import DecodingData
from edgebci.documents import Document, load_json
from edgebci.errors import InputError
from edgebci.files import sha256, write_text
from edgebci.frame_stream import FrameStream, part_stream
from edgebci.metrics import F64, r2
from edgebci.pipeline.cache import run_stage, share, source_digest
from edgebci.pipeline.imports import package_digest, training_digest
from edgebci.pipeline.quantization_aware import Integers, quantize_after_training, quantize_in_training
from edgebci.pipeline.quantization_stream import Disturbance, disturbed
from edgebci.progress import Progress, part
from edgebci.quantization_error import Goal, goal, loss_bound
from edgebci.quantized_decoder import QuantizedDecoder

if TYPE_CHECKING:
    from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe

Way = Literal["int8 after training", "int8 in training"]
MARGINS: dict[Way, float] = {"int8 after training": 0.005, "int8 in training": 0.002}
"""Accepted loss in R², fixed beforehand."""
TABLE_NAME, ROWS_NAME, TRAINED_NAME = "quantization_losses.json", "losses.json", "trained.safetensors"
HELD_OUT, DISTURBED = "held-out", "held-out with drift and artefacts"
# Besides what trains: what rounds, and both forms of the arithmetic.
_SOURCES = (
    *("arithmetic.py", "decoder_float.py", "operators", "quantized_decoder.py"),
    *("export/calibration.py", "export/observers.py", "export/operators", "export/quantization.py"),
)


@dataclass(frozen=True, eq=False)
class Case:
    """One trained decoder and the session that it was trained on."""

    name: str
    """Of the decoder and the session, fit for a folder."""
    checkpoint: Path
    data: DecodingData


class LossRow(Document):
    """What one way to integers costs one decoder on one stream."""

    case: str
    cell: str
    way: Way
    stream: str
    seconds: float
    """Of frames that count."""
    r2_float: float
    r2_integers: float
    comparison: Comparison
    """Integers minus float."""
    upper_loss: float
    """Upper end of the 95 % interval of the loss."""
    goal: Goal
    start_kept: bool = False
    """Of training in the integers: no epoch was better on validation than what rounding after training gave."""


class LossRows(Document):
    """What is kept of one decoder."""

    schema_version: Literal["edgebci.quantization_rows/1"] = "edgebci.quantization_rows/1"
    rows: tuple[LossRow, ...]


class LossTable(Document):
    """All rows of a study."""

    schema_version: Literal["edgebci.quantization_losses/1"] = "edgebci.quantization_losses/1"
    size: str
    rows: tuple[LossRow, ...]
    margins: dict[str, float]
    disturbance: Disturbance
    absent: tuple[str, ...] = ()
    """What was not measured and why, a sentence each."""

    def reached(self, way: Way) -> bool:
        """Whether every decoder reached the goal on every stream."""
        return all(row.goal == "reached" for row in self.rows if row.way == way)


def measure_losses(
    cases: Sequence[Case],
    root: Path,
    recipe: QuantizationAwareRecipe,
    size: str,
    progress: Progress,
    disturbance: Disturbance | None = None,
) -> LossTable:
    """Quantize every decoder both ways and compare it with its float form; finished decoders are kept in `root`.

    A second process on the same folder takes the decoders that the first is not at.

    Args:
        cases: trained decoders with their prepared sessions; each is scored on the session's test part as it is, and
            with drift and artefacts laid over it.
        root: folder for what is kept, and for the table.
        recipe: of quantization-aware training.
        size: what the study is called.
        progress: of all.
        disturbance: None takes the defaults.

    Raises:
        InputError: there is no case, a case detects events, a session has no test part, or a checkpoint does not fit
            its session.
    """
    used = disturbance or Disturbance()
    if not cases:
        raise InputError("no decoder to quantize; give at least one checkpoint with its prepared session")
    for case in cases:
        _require_scored(case)
    shares = [part(progress, i / len(cases), (i + 1) / len(cases)) for i in range(len(cases))]
    measured = {
        case.name: partial(_kept_losses, case, root, recipe, used, each)
        for case, each in zip(cases, shares, strict=True)
    }
    share((root, rows_stage(name), measure) for name, measure in measured.items())
    rows = tuple(row for measure in measured.values() for row in measure())
    return write_table(LossTable(size=size, rows=rows, margins=dict(MARGINS), disturbance=used), root)


def rows_stage(case: str) -> str:
    """The folder that keeps what was measured of a decoder."""
    return f"{case}_losses"


def kept_rows(
    root: Path, case: str, inputs: list[str], measure: Callable[[], Sequence[LossRow]], module: str
) -> tuple[LossRow, ...]:
    """The rows of a decoder: read, if they were measured on the same `inputs` with what `module` imports as it is."""

    def work(folder: Path) -> None:
        write_text(folder / ROWS_NAME, LossRows(rows=tuple(measure())).model_dump_json(indent=1) + "\n")

    folder = run_stage(root, rows_stage(case), inputs, work, package_digest(module)).folder
    return load_json(folder / ROWS_NAME, LossRows).rows


def write_table(table: LossTable, root: Path) -> LossTable:
    """Keep it in `root`."""
    write_text(root / TABLE_NAME, table.model_dump_json(indent=1) + "\n")
    return table


def _require_scored(case: Case) -> None:
    require_regression(case.data, case.name)
    if not case.data.test:
        raise InputError(f"{case.name} has no test part; prepare the session with one")


def _kept_losses(
    case: Case, root: Path, recipe: QuantizationAwareRecipe, disturbance: Disturbance, progress: Progress
) -> tuple[LossRow, ...]:
    seen = [case.data.fingerprint("train", "validation", "test"), sha256(case.checkpoint)]
    inputs = [*seen, recipe.model_dump_json(), disturbance.model_dump_json()]
    return kept_rows(root, case.name, inputs, lambda: _losses(case, root, recipe, disturbance, progress), __name__)


def _losses(
    case: Case, root: Path, recipe: QuantizationAwareRecipe, disturbance: Disturbance, progress: Progress
) -> list[LossRow]:
    checkpoint = load_checkpoint(case.checkpoint)
    forms: dict[Way, Integers] = {
        "int8 after training": quantize_after_training(case.data, checkpoint),
        "int8 in training": _trained(case, root, recipe, part(progress, 0.0, 0.7)),
    }
    streams, rows = held_out_streams(case.data, disturbance), []
    for i, (name, stream) in enumerate(streams.items()):
        progress(0.7 + 0.3 * i / len(streams), f"{case.name}: {name}")
        exact = FloatDecoder.of(checkpoint.spec, checkpoint.parameters).stream(stream.frames, stream.reset_before)
        compared = partial(_row, case, checkpoint, name, stream, exact)
        rows += [compared(way, integers) for way, integers in forms.items()]
    return rows


def require_regression(data: DecodingData, name: str) -> None:
    """Refuse a detector, whose log odds have no R²."""
    if data.task == "detection":
        raise InputError(
            f"{name} detects events, losses are measured in R² of a quantity; compare detectors with edgebci evaluate"
        )


def held_out_streams(data: DecodingData, disturbance: Disturbance, seed: int = 0) -> Mapping[str, FrameStream]:
    """The test part as it is, and with drift and artefacts."""
    test = part_stream(data, "test")
    return {HELD_OUT: test, DISTURBED: disturbed(test, data.frame_rate_hz, disturbance, seed)}


def _row(
    case: Case, checkpoint: Checkpoint, name: str, stream: FrameStream, exact: F64, way: Way, integers: Integers
) -> LossRow:
    kept, rate_hz = stream.scored, case.data.frame_rate_hz
    counted = integers.decoder.stream(stream.frames, stream.reset_before).astype(np.float64)
    row = loss_row(
        case.name, checkpoint.spec.cell, way, name, (stream.truth[kept], exact[kept], counted[kept]), rate_hz
    )
    start_kept = way == "int8 in training" and integers.checkpoint.training.best_epoch == 0
    return row.model_copy(update={"start_kept": start_kept})


def loss_row(case: str, cell: str, way: Way, stream: str, decoded: tuple[F64, F64, F64], rate_hz: float) -> LossRow:
    """The row of one decoder on one stream; `decoded`: truth, and what the float form and the integers say, (T, D)."""
    truth, exact, counted = decoded
    found = compare(truth, [counted], exact, rate_hz, MARGINS[way])
    return LossRow(
        case=case,
        cell=cell,
        way=way,
        stream=stream,
        seconds=len(truth) / rate_hz,
        r2_float=float(r2(truth, exact).mean()),
        r2_integers=float(r2(truth, counted).mean()),
        comparison=found,
        upper_loss=loss_bound(found),
        goal=goal(found),
    )


def _trained(case: Case, root: Path, recipe: QuantizationAwareRecipe, progress: Progress) -> Integers:
    """Train in the integers, or read what an earlier call did."""
    from edgebci.training.quantization_aware.learning import integers_path

    def work(folder: Path) -> None:
        quantize_in_training(case.data, load_checkpoint(case.checkpoint), folder / TRAINED_NAME, recipe, None, progress)

    inputs = [case.data.fingerprint("train", "validation"), sha256(case.checkpoint), recipe.model_dump_json()]
    digest = source_digest(*_SOURCES) + training_digest("edgebci.training.quantization_aware.learning")
    out = run_stage(root, f"{case.name}_quantized", inputs, work, digest).folder / TRAINED_NAME
    return Integers(load_checkpoint(out), QuantizedDecoder.load(integers_path(out)))
