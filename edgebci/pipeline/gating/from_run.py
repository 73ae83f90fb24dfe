"""The candidate that a finished run of a pipeline left in its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgebci.documents import load_json, parse
from edgebci.errors import InputError
from edgebci.files import sha256
from edgebci.gating_baseline import ImplantFigures, Measured, Predictions
from edgebci.gating_limits import Counters
from edgebci.pipeline import learning
from edgebci.pipeline.conclusion import REPORT_NAME, Decoded, RunFolders, gather
from edgebci.pipeline.configuration import PipelineConfig
from edgebci.pipeline.exporting import BUNDLE_FOLDER
from edgebci.pipeline.gating.accuracy import SEEDS
from edgebci.pipeline.gating.candidate import Candidate
from edgebci.pipeline.placement import OUTPUT_BITS
from edgebci.pipeline.preparation import load_prepared
from edgebci.pipeline.run import run_pipeline
from edgebci.pipeline.scoring import TestPart
from edgebci.progress import Progress
from edgebci.reporting.schema import ImplantSection, Report, Span

STAGES = ("features", "teacher", "student", "ridge", "export", "device")


def rebuilt(config: PipelineConfig, root: Path, command: str, progress: Progress) -> Candidate:
    """Run what changed of the pipeline, and take what it made."""
    return _taken(config, root, run_pipeline(config, root, command, progress))


def as_built(config: PipelineConfig, root: Path) -> Candidate:
    """Take what an earlier run left, as it is.

    Raises:
        InputError: there is no finished run, or it was made from another pipeline.
    """
    missing = [name for name in (*STAGES, REPORT_NAME) if not (root / name).exists()]
    if missing:
        raise InputError(
            f"{root} holds no finished run of {config.name}, {', '.join(missing)} missing; run edgebci run first, or "
            "leave out --as-built"
        )
    report = load_json(root / REPORT_NAME, Report)
    made = parse(report.configuration, PipelineConfig, str(root / REPORT_NAME))
    # What a run does not read may change without a new one.
    if made.model_copy(update={name: getattr(config, name) for name in ("gate", "comparison", "alarms")}) != config:
        raise InputError(
            f"the run in {root} was made from another pipeline than the one given; leave out --as-built to run it again"
        )
    return _taken(config, root, report)


def _taken(config: PipelineConfig, root: Path, report: Report) -> Candidate:
    prepared = load_prepared(root / "features")
    decoded = gather(config, prepared, RunFolders(*(root / name for name in STAGES)))
    test = TestPart.of(prepared.data, prepared.usable)
    kept = test.scored
    forms = {name: found[kept][None] for name, found in decoded.forms.items()}
    return Candidate(
        name=config.name,
        predictions=Predictions(
            task=prepared.data.task,
            rate_hz=config.features.frame_rate_hz,
            axes=prepared.data.target_names,
            times_s=test.times_s[kept],
            truth=test.truth[kept],
            decoded={**forms, SEEDS: np.stack([one[kept] for one in decoded.students])},
        ),
        measured=_measured(config, root, report, decoded),
        bundle=root / "export" / BUNDLE_FOLDER,
    )


def _measured(config: PipelineConfig, root: Path, report: Report, decoded: Decoded) -> Measured:
    student = learning.student_path(root / "student", decoded.exported_seed)
    return Measured(
        bundle_id=decoded.bundle.manifest.bundle_id,
        checkpoint_sha256=sha256(student),
        recording_sha256=report.data.sha256,
        frame_rate_hz=config.features.frame_rate_hz,
        counters=counters_of(report),
        implants=tuple(map(_implant, report.implants)),
    )


def counters_of(report: Report) -> Counters:
    """The counted figures of a report."""
    firmware, decoder = report.firmware, report.decoder
    return Counters(
        instructions_per_step=firmware.instructions_per_step,
        macs_per_step=decoder.macs_per_step,
        flash_bytes=firmware.flash_bytes,
        ram_bytes=firmware.ram_bytes,
        state_bytes=decoder.state_bytes,
        stack_bytes=firmware.stack_bytes,
        radio_bits_per_step=OUTPUT_BITS * len(report.data.axes),
    )


def _implant(section: ImplantSection) -> ImplantFigures:
    return ImplantFigures(
        implant=f"{section.implant} with {section.compute} and {section.radio}",
        power_uw=_three(section.total_uw),
        rise_c=_three(section.temperature_rise_c) if section.temperature_rise_c else None,
        limit_c=section.temperature_limit_c,
        latency_us=_three(section.latency_us),
        deadline_us=section.deadline_us,
    )


def _three(span: Span) -> tuple[float, float, float]:
    return span.low, span.typical, span.high
