"""A trained decoder on new sessions: normalisation and readout refitted to the first minutes, scored on the rest.

Three forms are scored on the same frames: `before`, the decoder with the front end that it was trained with;
`renormalised`, with a front end fitted to the calibration part; `after`, with a readout fitted to it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import edgebci
from edgebci.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgebci.decoder_float import FloatDecoder
from edgebci.decoding_data import DecodingData, Floats
from edgebci.detection import AlarmRule
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.features.front_end import FrontEnd
from edgebci.files import sha256, write_text
from edgebci.pipeline.configuration import ComparisonConfig, PreparationConfig, RecordingConfig, check_recording_path
from edgebci.pipeline.evaluation.calibration_result import CalibratedSession, Calibration, FormScore
from edgebci.pipeline.evaluation.calibration_session import CalibrationSession
from edgebci.pipeline.evaluation.scoring import Judge
from edgebci.pipeline.source import obtain, recording_path
from edgebci.pipeline.target import LOG_ODDS
from edgebci.progress import Progress, part
from edgebci.recordings import open_recording
from edgebci.training.recipe import RidgeRecipe

RESULT_NAME, PICTURE_NAME, DECODER_NAME = "calibration.json", "calibration.svg", "decoder.safetensors"


class Order(Document):
    """What to calibrate, and on how much."""

    checkpoint: Path
    """Of a causal decoder."""
    front_end: Path
    """Folder of the front end that it was trained with."""
    target: str
    """Name of the behaviour series, or of the events' intervals."""
    calibration_s: float
    """From the beginning of each session."""
    lfp: str | None = None
    """Name of the ElectricalSeries, where NWB files have several."""
    ridge: RidgeRecipe = RidgeRecipe()
    comparison: ComparisonConfig = ComparisonConfig()
    alarms: AlarmRule = AlarmRule()


def calibrate(order: Order, recordings: Sequence[Path], out: Path, progress: Progress) -> Calibration:
    """Calibrate the decoder on each recording by itself.

    Writes calibration.json and calibration.svg to `out`, and into a folder of each recording's name decoder.safetensors
    with its front end beside it: together they can be exported, or calibrated again.

    Raises:
        InputError: decoder, front end, target and recordings do not fit each other, or a recording is too short.
    """
    checkpoint, front_end = load_checkpoint(order.checkpoint), FrontEnd.load(order.front_end)
    _require_same_features(order, checkpoint, front_end)
    names = _names(recordings)
    for path in recordings:
        check_recording_path(path)
    sessions = [
        _calibrate_one(
            order, checkpoint, front_end, path, out / name, part(progress, i / len(names), (i + 1) / len(names))
        )
        for i, (path, name) in enumerate(zip(recordings, names, strict=True))
    ]
    result = Calibration(
        edgebci_version=edgebci.__version__,
        checkpoint=order.checkpoint.name,
        checkpoint_sha256=sha256(order.checkpoint),
        axes=checkpoint.spec.output_names,
        metric="AUROC" if _detects(checkpoint) else "R²",
        margin=order.comparison.retrained_margin,
        sessions=tuple(sessions),
    )
    write_text(out / RESULT_NAME, result.model_dump_json(indent=1) + "\n")
    write_text(out / PICTURE_NAME, _picture(result))
    return result


def _calibrate_one(
    order: Order, checkpoint: Checkpoint, front_end: FrontEnd, path: Path, folder: Path, progress: Progress
) -> CalibratedSession:
    from edgebci.training.recalibration import refit_readout

    config = PreparationConfig(
        recording=RecordingConfig(
            path=path, lfp=order.lfp, target=order.target, task="detection" if _detects(checkpoint) else "regression"
        ),
        features=front_end.spec,
    )
    obtain(config.recording, folder, part(progress, 0.0, 0.2))
    with open_recording(recording_path(config.recording, folder)) as recording:
        session = CalibrationSession.of(recording, config, front_end, order.calibration_s)
        fitted = session.fit_front_end(part(progress, 0.2, 0.4))
        old = session.data(front_end, part(progress, 0.4, 0.6))
        new = session.data(fitted, part(progress, 0.6, 0.8))
        subject = recording.info.subject_id
    _require_same_target(order, checkpoint, new)
    progress(0.8, f"{path.stem}: readout")
    calibrated = refit_readout(checkpoint, new, order.ridge)
    save_checkpoint(folder / DECODER_NAME, calibrated)
    fitted.save(folder)
    decoded = {
        "before": _predict(checkpoint, old),
        "renormalised": _predict(checkpoint, new),
        "after": _predict(calibrated, new),
    }
    judge = Judge(new, order.alarms, order.comparison.seed)
    return CalibratedSession(
        session=path.stem,
        subject=subject,
        calibration_s=session.calibration_frames / new.frame_rate_hz,
        test_s=len(new.rows("test")) / new.frame_rate_hz,
        forms=tuple(
            FormScore(form=form, regression=judge.regression([one]), detection=judge.detection([one]))
            for form, one in decoded.items()
        ),
        gain=judge.compare([decoded["after"]], [decoded["before"]], order.comparison.retrained_margin),
        folder=folder.name,
    )


def _detects(checkpoint: Checkpoint) -> bool:
    return checkpoint.spec.output_unit == LOG_ODDS


def _predict(checkpoint: Checkpoint, data: DecodingData) -> Floats:
    decoder = FloatDecoder.of(checkpoint.spec, checkpoint.parameters)
    return decoder.stream(data.frames, data.reset_before).astype(np.float32)


def _names(recordings: Sequence[Path]) -> list[str]:
    names = [path.stem for path in recordings]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"two recordings are called {twice!r}; rename one, as results are kept by name")
    return names


def _require_same_features(order: Order, checkpoint: Checkpoint, front_end: FrontEnd) -> None:
    if checkpoint.spec.n_inputs != front_end.n_features:
        raise InputError(
            f"{order.checkpoint} takes {checkpoint.spec.n_inputs} features, the front end in {order.front_end} gives "
            f"{front_end.n_features}; give the folder of the front end that the decoder was trained with"
        )


def _require_same_target(order: Order, checkpoint: Checkpoint, data: DecodingData) -> None:
    wanted, found = checkpoint.spec.output_names, data.target_names
    if wanted != found:
        raise InputError(
            f"{order.checkpoint} decodes {', '.join(wanted)}, {order.target!r} is {', '.join(found)}; give the target "
            "that the decoder was trained for with --target"
        )


def _picture(result: Calibration) -> str:
    from edgebci.reporting.calibration_figure import calibration_svg

    names = [form.form for form in result.sessions[0].forms]
    forms = [(name, [session.form(name).accuracy for session in result.sessions]) for name in names]
    return calibration_svg([session.session for session in result.sessions], forms, result.metric)
