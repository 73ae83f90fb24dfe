"""The stages of a run in their order: what each depends on, and what is kept when it is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgebci.documents import Document
from edgebci.files import sha256
from edgebci.pipeline import learning
from edgebci.pipeline.cache import Stage, run_stage
from edgebci.pipeline.conclusion import RunFolders, conclude
from edgebci.pipeline.configuration import PipelineConfig, RecordingConfig
from edgebci.pipeline.device import run_device
from edgebci.pipeline.exporting import export_student, load_bundle
from edgebci.pipeline.learning import student_spec
from edgebci.pipeline.placement import check_placements
from edgebci.pipeline.preparation import Prepared, load_prepared, prepare
from edgebci.pipeline.source import obtain, read_part, recording_path
from edgebci.progress import Progress, part
from edgebci.reporting.schema import Report, StageSection

# Share of the progress bar, about the share of the time that the quickstart takes on 2 cores.
SHARES = {
    "recording": 0.16,
    "features": 0.1,
    "teacher": 0.22,
    "student": 0.25,
    "ridge": 0.06,
    "export": 0.08,
    "device": 0.11,
    "report": 0.02,
}


class _Run:
    """Runs stages one after the other and remembers them."""

    def __init__(self, root: Path, progress: Progress) -> None:
        self.root, self.stages = root, list[Stage]()
        self._progress = progress

    def stage(self, name: str, inputs: list[str], work: Callable[[Path, Progress], None]) -> Stage:
        start = sum(SHARES[stage.name] for stage in self.stages)
        report = part(self._progress, start, start + SHARES[name])
        report(0.0, name)
        done = run_stage(
            self.root, name, inputs, lambda folder: work(folder, lambda f, note: report(f, f"{name}: {note}"))
        )
        self.stages.append(done)
        return done


def run_pipeline(config: PipelineConfig, root: Path, command: str, progress: Progress) -> Report:
    """Run every stage whose inputs changed, in the folder `root`, and write the report.

    Args:
        config: the whole configuration.
        root: the run's folder; a folder for each stage, bundle/, report.json and report.html.
        command: how the user asked for it, for the report.
        progress: of the whole run.
    """
    run = _Run(root, progress)
    source = run.stage("recording", [_source_identity(config.recording)], lambda f, p: obtain(config.recording, f, p))
    path = recording_path(config.recording, source.folder)
    features = run.stage(
        "features",
        [source.fingerprint, _json(config.recording, config.split, config.features, config.training.ridge)],
        lambda folder, p: prepare(path, config, folder, p),
    )
    prepared = load_prepared(features.folder)
    check_placements(config.implants, config.firmware.core, prepared.front_end, student_spec(prepared.data, config))
    trained = _train(run, features, prepared, config)
    exported, device = _deploy(run, trained, path, prepared, config)
    teacher, student, ridge = (stage.folder for stage in trained)
    folders = RunFolders(features.folder, teacher, student, ridge, exported.folder, device.folder)
    stages = tuple(StageSection(name=s.name, seconds=s.seconds, was_kept=s.was_kept) for s in run.stages)
    progress(1 - SHARES["report"], "report")
    return conclude(config, root, path, prepared, folders, stages, command)


def _train(run: _Run, features: Stage, prepared: Prepared, config: PipelineConfig) -> tuple[Stage, Stage, Stage]:
    data, recipe = prepared.data, config.training
    common = [features.fingerprint, str(recipe.seed), str(recipe.threads)]
    teacher = run.stage(
        "teacher", [*common, _json(recipe.teacher)], lambda f, p: learning.train_teacher(data, config, f, p)
    )
    student = run.stage(
        "student",
        [*common, teacher.fingerprint, _json(config.student, recipe.student, recipe.ridge)],
        lambda f, p: learning.distill_students(data, teacher.folder / learning.TEACHER_NAME, config, f, p),
    )
    ridge = run.stage("ridge", [*common, _json(recipe.ridge)], lambda f, p: learning.fit_ridge(data, config, f, p))
    return teacher, student, ridge


def _deploy(
    run: _Run, trained: tuple[Stage, Stage, Stage], recording: Path, prepared: Prepared, config: PipelineConfig
) -> tuple[Stage, Stage]:
    _, student, _ = trained
    best = learning.best_seed(student.folder, config)
    chosen = learning.student_path(student.folder, best)
    exported = run.stage(
        "export",
        [student.fingerprint, _json(config.quantization, config.firmware)],
        lambda folder, p: export_student(chosen, recording, prepared, config, folder, p),
    )

    def on_device(folder: Path, progress: Progress) -> None:
        counts, missing = read_part(recording, prepared.front_end.spec, *prepared.test_samples())
        run_device(load_bundle(exported.folder), config.firmware.core, counts, missing, folder, progress)

    return exported, run.stage("device", [exported.fingerprint], on_device)


def _source_identity(source: RecordingConfig) -> str:
    return source.model_dump_json() + (sha256(source.path) if source.path else "")


def _json(*documents: Document) -> str:
    return "\n".join(document.model_dump_json() for document in documents)
