"""The end of a run: scores of all forms, verdicts, the bundle, the implants, and the report."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import edgebci
from edgebci.bundle import Accuracy, Bundle
from edgebci.checkpoint import Checkpoint, load_checkpoint
from edgebci.files import sha256, write_text
from edgebci.metrics import F64
from edgebci.pipeline import learning
from edgebci.pipeline.configuration import PipelineConfig
from edgebci.pipeline.device import DeviceResult, load_device
from edgebci.pipeline.exporting import graph_checks, load_bundle, load_outputs
from edgebci.pipeline.placement import decoder_load, put_into
from edgebci.pipeline.preparation import Prepared
from edgebci.pipeline.report_sections import pictures_of, quantization_of
from edgebci.pipeline.report_timeline import with_timeline
from edgebci.pipeline.scoring import TORCH_FORM, Alarms, TestPart, judge, residual_autocorrelation_s, score_forms
from edgebci.pipeline.split import gap_reasons_s
from edgebci.recordings import open_recording
from edgebci.reporting import Report
from edgebci.reporting.page import render
from edgebci.reporting.schema import (
    BaselineSection,
    DataSection,
    DecoderSection,
    FormScore,
    ImplantSection,
    SplitSection,
    StageSection,
)
from edgebci.reporting.sections import Pictures
from edgebci.reporting.sentences import DEVICE_FORM
from edgebci.workload import workload

RIDGE_GUIDANCE = {
    "regression": (
        " The students' loss also drew them towards what such a ridge, fitted without them, decodes of the training "
        "frames: they know the baseline."
    ),
    "detection": (
        " The students' loss also drew them towards what ridge regression on the same lags, fitted without them, "
        "decodes of the training frames."
    ),
}
REPORT_NAME, PAGE_NAME = "report.json", "report.html"


@dataclass(frozen=True)
class RunFolders:
    """Where the finished stages lie."""

    features: Path
    teacher: Path
    student: Path
    ridge: Path
    export: Path
    device: Path


@dataclass(frozen=True)
class Decoded:
    """Every decoder's output (K, D) over the test part."""

    forms: dict[str, F64]
    students: list[F64]
    ridge: F64
    ridge_text: str
    checkpoint: Checkpoint
    exported_seed: int
    bundle: Bundle
    device: DeviceResult
    alarms: Alarms | None
    """None where the task is regression."""


def conclude(
    config: PipelineConfig,
    root: Path,
    recording: Path,
    prepared: Prepared,
    folders: RunFolders,
    stages: tuple[StageSection, ...],
    command: str,
) -> Report:
    """Score, place and write report.json and report.html into `root`."""
    decoded = gather(config, prepared, folders)
    test = TestPart.of(prepared.data, prepared.usable)
    scores = score_forms(test, decoded.forms, config.comparison.seed, decoded.alarms)
    manifest = decoded.bundle.with_accuracy(_accuracy(scores, test, prepared.data.target_names)).manifest
    report = Report(
        name=config.name,
        created_utc=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        edgebci_version=edgebci.__version__,
        command=command,
        data=_data_section(config, recording, prepared, test, decoded),
        decoder=_decoder_section(config, folders, decoded),
        forms=scores,
        baseline=_baseline(test, decoded, config),
        graphs=graph_checks(manifest.float_agreement, manifest.quantized_agreement),
        bit_exactness=decoded.device.header.bit_exactness,
        firmware=decoded.device.header.firmware,
        implants=_implants(config, prepared, decoded),
        stages=stages,
        configuration=config.model_dump(mode="json", by_alias=True),
        pictures=_pictures(test, decoded),
        quantization=quantization_of(decoded.checkpoint, decoded.bundle, prepared),
        versions=manifest.versions,
        hashes=_hashes(config, recording, folders, decoded),
    )
    write_text(root / REPORT_NAME, report.model_dump_json(indent=2))
    render(report, root / PAGE_NAME)
    return report


def gather(config: PipelineConfig, prepared: Prepared, folders: RunFolders) -> Decoded:
    """Collect what every decoder says about the test part."""
    data, rows = prepared.data, slice(*prepared.data.test[0])
    checkpoints = {s: load_checkpoint(learning.student_path(folders.student, s)) for s in config.student.seeds}
    best = learning.best_seed(folders.student, config)
    students = {s: learning.predict_student(c, data) for s, c in checkpoints.items()}
    torch = {s: decoded[rows].astype(np.float64) for s, decoded in students.items()}
    graphs, bundle = load_outputs(folders.export), load_bundle(folders.export)
    device = load_device(folders.device)
    predicted, ridge = learning.load_ridge(folders.ridge)
    return Decoded(
        forms={TORCH_FORM: torch[best], **graphs, DEVICE_FORM: device.outputs.astype(np.float64)},
        students=list(torch.values()),
        ridge=predicted[rows].astype(np.float64),
        ridge_text=_baseline_text(config, ridge),
        checkpoint=checkpoints[best],
        exported_seed=best,
        bundle=bundle,
        device=device,
        alarms=Alarms.chosen(data, config.alarms, students[best], predicted) if data.task == "detection" else None,
    )


def _baseline_text(config: PipelineConfig, fitted: learning.RidgeHeader) -> str:
    detects = config.recording.task == "detection"
    name, where = (
        ("Logistic regression", "on validation")
        if detects
        else ("Ridge", "by contiguous folds inside the training part")
    )
    guidance = RIDGE_GUIDANCE[config.recording.task] if config.training.student.ridge_weight else ""
    return (
        f"{name} on the same features: {fitted.n_lags} lags over {fitted.lag_window_s:g} s, penalty "
        f"{fitted.penalty:g} a frame, chosen {where}.{guidance}"
    )


def _pictures(test: TestPart, decoded: Decoded) -> Pictures:
    baseline = "logistic" if test.detects else "ridge"
    return pictures_of(test, {DEVICE_FORM: decoded.forms[DEVICE_FORM], baseline: decoded.ridge})


def _hashes(config: PipelineConfig, recording: Path, folders: RunFolders, decoded: Decoded) -> dict[str, str]:
    student = learning.student_path(folders.student, decoded.exported_seed)
    return {
        "recording": sha256(config.recording.path or recording),
        "checkpoint": sha256(student),
        "bundle": decoded.bundle.manifest.bundle_id,
    }


def _baseline(test: TestPart, decoded: Decoded, config: PipelineConfig) -> BaselineSection:
    return judge(
        test, decoded.forms, decoded.students, decoded.ridge, decoded.ridge_text, config.comparison, decoded.alarms
    )


def _accuracy(scores: tuple[FormScore, ...], test: TestPart, axes: tuple[str, ...]) -> tuple[Accuracy, ...]:
    return tuple(_accuracy_of(form, int(test.scored.sum()), axes) for form in scores)


def _accuracy_of(form: FormScore, n_frames: int, axes: tuple[str, ...]) -> Accuracy:
    if form.detection is not None:
        return Accuracy(form=form.name, n_frames=n_frames, r2={}, pearson_r={}, auroc=form.main.value)
    found = form.regression
    return Accuracy(
        form=form.name,
        n_frames=n_frames,
        r2={axis: interval.value for axis, interval in zip(axes, found.r2, strict=True)},
        pearson_r={axis: interval.value for axis, interval in zip(axes, found.pearson_r, strict=True)},
        r2_interval_95={axis: (i.low, i.high) for axis, i in zip(axes, found.r2, strict=True)},
    )


def _data_section(
    config: PipelineConfig, recording: Path, prepared: Prepared, test: TestPart, decoded: Decoded
) -> DataSection:
    with open_recording(recording) as opened:
        info = opened.info
    source = config.recording
    return DataSection(
        source=f"file {source.path.name}" if source.path else "synthetic (edgebci's generator)",
        sha256=sha256(source.path or recording),
        subject_id=info.subject_id,
        session_id=info.session_id,
        duration_s=info.duration_s,
        n_channels=info.n_channels,
        n_good_channels=int(prepared.front_end.good_channels.sum()),
        lfp_rate_hz=info.lfp_rate_hz,
        frame_rate_hz=config.features.frame_rate_hz,
        n_features=prepared.front_end.n_features,
        target=source.target,
        target_unit=prepared.data.target_unit,
        axes=prepared.data.target_names,
        n_test_frames=len(test.truth),
        n_scored_frames=int(test.scored.sum()),
        notes=info.notes,
        split=_split_section(config, prepared, residual_autocorrelation_s(test, decoded.forms[TORCH_FORM])),
    )


def _split_section(config: PipelineConfig, prepared: Prepared, residual_s: float) -> SplitSection:
    reasons = gap_reasons_s(config)
    return SplitSection(
        train_s=prepared.part_s("train"),
        validation_s=prepared.part_s("validation"),
        test_s=prepared.part_s("test"),
        gap_s=max(reasons.values()),
        gap_reasons_s=reasons,
        residual_autocorrelation_s=residual_s,
    )


def _decoder_section(config: PipelineConfig, folders: RunFolders, decoded: Decoded) -> DecoderSection:
    checkpoint = decoded.checkpoint
    counts = workload(checkpoint.spec)
    return DecoderSection(
        n_parameters=sum(p.size for p in checkpoint.parameters.values()),
        macs_per_step=counts.macs,
        int8_mac_share=counts.int8_share,
        weight_bytes=counts.weight_bytes,
        state_bytes=counts.state_bytes,
        teacher_parameters=learning.teacher_size(folders.teacher),
        seeds=config.student.seeds,
        exported_seed=decoded.exported_seed,
    )


def _implants(config: PipelineConfig, prepared: Prepared, decoded: Decoded) -> tuple[ImplantSection, ...]:
    firmware = decoded.device.header.firmware
    load = decoder_load(config.firmware.core, firmware, prepared.front_end, decoded.checkpoint.spec.n_outputs)
    return tuple(with_timeline(put_into(placement, load), placement, load) for placement in config.implants)
