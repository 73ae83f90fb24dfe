"""`edgebci calibrate BUNDLE`: a new session's normalisation and readout, as a parameter block; the rest stays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgebci.bundle import FLOAT_ONNX, Accuracy, Bundle, Recalibration, open_bundle, write_parameters
from edgebci.decoding_data import DecodingData, Floats
from edgebci.detection import Events
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.export.calibration import quantize_dense
from edgebci.export.readout_input import float_readout_input, quantized_readout_input
from edgebci.files import sha256
from edgebci.frame_stream import part_stream
from edgebci.metrics import F64
from edgebci.operators.dense import QuantizedDense
from edgebci.parameters import READOUT, Tensors, normalization_tensors, quantized_readout_tensors
from edgebci.pipeline.behavior_choice import behavior_for
from edgebci.pipeline.bundle_kinds import manifest_of
from edgebci.pipeline.configuration import PreparationConfig, RecordingConfig, check_recording_path
from edgebci.pipeline.evaluation.calibration_session import CalibrationSession
from edgebci.pipeline.export_scoring import TestTruth
from edgebci.pipeline.source import obtain, recording_path
from edgebci.pipeline.target import LOG_ODDS
from edgebci.progress import Progress, part
from edgebci.radio_cost import RadioCost, radio_costs
from edgebci.recordings import open_recording
from edgebci.training.baselines.logistic import fit_logistic
from edgebci.training.recipe import RidgeRecipe
from edgebci.training.ridge import fit_ridge


class BundleOrder(Document):
    """What to calibrate, and on how much."""

    bundle: Path
    recording: Path
    target: str | None = None
    """Name of the behaviour series, or of the events' intervals; None: the one that the bundle decodes."""
    calibration_s: float
    """From the beginning of the session."""
    lfp: str | None = None
    ridge: RidgeRecipe = RidgeRecipe()


class BundleCalibration(Document):
    """What came of it."""

    bundle: Path
    recording: str
    calibration_s: float
    test_s: float
    penalty: float
    """Of the readout's change."""
    before: Accuracy
    """On the rest of the session, with the block that stood there."""
    after: Accuracy
    block_bytes: int
    radio: tuple[RadioCost, ...]
    """What sending the block to an implant costs: modelled."""


def calibrate_bundle(order: BundleOrder, folder: Path, progress: Progress) -> BundleCalibration:
    """Rewrite the parameter block of a bundle; nothing else of it changes.

    Args:
        order: what to do.
        folder: for a recording that has to be converted first.
        progress: of all of it.

    Raises:
        InputError: the bundle has no block, or the recording is not of its array, rate and target.
    """
    bundle = _opened(order.bundle)
    check_recording_path(order.recording)
    front_end, spec = bundle.front_end(), bundle.manifest.spec
    source = RecordingConfig(
        path=order.recording,
        lfp=order.lfp,
        target=order.target or behavior_for(order.recording, spec.output_names, spec.output_unit),
        task="detection" if spec.output_unit == LOG_ODDS else "regression",
    )
    config = PreparationConfig(recording=source, features=front_end.spec)
    obtain(source, folder, part(progress, 0.0, 0.2))
    with open_recording(recording_path(source, folder)) as recording:
        session = CalibrationSession.of(recording, config, front_end, order.calibration_s)
        fitted = session.refit_normalization(front_end, part(progress, 0.2, 0.4))
        old, new = (session.data(each, part(progress, 0.4, 0.8)) for each in (front_end, fitted))
    _require_target(order.recording, spec.output_names, new)
    progress(0.8, "readout")
    readout = _Readout.of(bundle)
    changed, penalty = readout.refitted(new, order.ridge)
    before, after = _accuracy("before", readout, old), _accuracy("after", changed, new)
    manifest = write_parameters(
        bundle.folder,
        bundle.manifest,
        normalization_tensors(fitted) | changed.tensors(),
        Recalibration(
            recording=order.recording.name,
            recording_sha256=sha256(order.recording),
            n_frames=len(new.rows("train")),
            penalty=penalty,
        ),
    )
    progress(1.0, "parameters written")
    size = manifest.parameters.size_bytes if manifest.parameters else 0
    return BundleCalibration(
        bundle=bundle.folder,
        recording=order.recording.name,
        calibration_s=session.calibration_frames / new.frame_rate_hz,
        test_s=len(new.rows("test")) / new.frame_rate_hz,
        penalty=penalty,
        before=before,
        after=after,
        block_bytes=size,
        radio=radio_costs(size),
    )


def _opened(folder: Path) -> Bundle:
    kind, _ = manifest_of(folder)
    if kind != "frames":
        raise InputError(
            f"{folder} is a bundle of {'spikes' if kind == 'spikes' else 'a model made elsewhere'}, which has no "
            "normalisation of ours to refit; calibrate a bundle of frames"
        )
    bundle = open_bundle(folder)
    if bundle.manifest.parameters is None:
        raise InputError(f"{folder} was written before bundles had a parameter block; export the decoder again")
    return bundle


@dataclass(frozen=True)
class _Readout:
    """A bundle with one readout, in the form that its target runs."""

    bundle: Bundle
    weight: F64
    """(D, width)."""
    bias: F64
    """(D,)."""

    @classmethod
    def of(cls, bundle: Bundle) -> _Readout:
        """That of the block."""
        if bundle.manifest.quantized_agreement is not None:
            dense = bundle.quantized_decoder().readout
            return cls(bundle, _effective(dense), dense.bias.astype(np.float64))
        block = bundle.parameters()
        tensors = block.tensors if block else {}
        weight, bias = (np.asarray(tensors[f"{READOUT}.{part}"], np.float64) for part in ("weight", "bias"))
        return cls(bundle, weight, bias)

    def refitted(self, data: DecodingData, recipe: RidgeRecipe) -> tuple[_Readout, float]:
        """This readout plus a penalised change, from the training part; and the penalty."""
        seen, alone = self.seen(data), recipe.model_copy(update={"lags": 1})
        said = self.said(seen).astype(np.float32)
        if data.task == "detection":
            change = fit_logistic(replace(data, frames=seen, feature_channels=None), alone, said)
        else:
            left = np.where(data.valid[:, None], data.targets - said, 0.0).astype(np.float32)
            change = fit_ridge(replace(data, frames=seen, targets=left, feature_channels=None), alone)
        return replace(self, weight=self.weight + change.weight[0].T, bias=self.bias + change.bias), change.penalty

    def seen(self, data: DecodingData) -> Floats:
        """(K, width) what it sees of every frame."""
        resets = np.zeros(len(data.frames), bool) if data.reset_before is None else data.reset_before
        if self.bundle.manifest.quantized_agreement is not None:
            return quantized_readout_input(self.bundle.quantized_decoder(), data.frames, resets)
        return float_readout_input(self.bundle.folder / FLOAT_ONNX, data.frames, resets)

    def said(self, seen: Floats) -> F64:
        """(K, D) what it makes of that, as it is stored."""
        dense = self._quantized()
        weight = self.weight if dense is None else _effective(dense)
        return np.asarray(seen @ weight.T + self.bias)

    def tensors(self) -> Tensors:
        """As the block holds them."""
        dense = self._quantized()
        if dense is not None:
            return quantized_readout_tensors(dense)
        return {f"{READOUT}.weight": self.weight.astype(np.float32), f"{READOUT}.bias": self.bias.astype(np.float32)}

    def _quantized(self) -> QuantizedDense | None:
        """By the activation scale and the width of the readout that was exported; None in a bundle of floats."""
        if self.bundle.manifest.quantized_agreement is None:
            return None
        own = self.bundle.quantized_decoder().readout
        return quantize_dense(self.weight, self.bias, own.act_scale, own.bits)


def _effective(dense: QuantizedDense) -> F64:
    """(D, width) the weights that its integers stand for."""
    return np.asarray(dense.weight * dense.weight_scale[:, None].astype(np.float64), np.float64)


def _accuracy(form: str, readout: _Readout, data: DecodingData) -> Accuracy:
    stream, rows = part_stream(data, "test"), data.rows("test")
    events = None
    if data.task == "detection":
        events = Events.of(data.targets[rows, 0] > 0, data.times_s[rows], data.frame_rate_hz)
    truth = TestTruth(stream.truth[stream.scored], stream.scored, data.target_names, data.frame_rate_hz, events)
    start, stop = data.test[0]
    return truth.accuracy(form, readout.said(readout.seen(data))[start:stop])


def _require_target(recording: Path, wanted: tuple[str, ...], data: DecodingData) -> None:
    if wanted != data.target_names:
        raise InputError(
            f"the bundle decodes {', '.join(wanted)}, what was named in {recording} is "
            f"{', '.join(data.target_names)}; name the target that the decoder was trained for with --target"
        )
