"""From your own NWB file to a decoder on an emulated chip: what `edgebci init` and `edgebci run` do, from Python.

.venv/bin/python examples/your_own_nwb.py session.nwb               # minutes to an hour, by its length
.venv/bin/python examples/your_own_nwb.py session.nwb --quick       # tiny networks, to see that the file is understood
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edgebci.pipeline.configuration import PipelineConfig, StudentConfig
from edgebci.pipeline.initial_pipeline import write_initial_pipeline
from edgebci.pipeline.run import run_pipeline
from edgebci.progress import silent
from edgebci.reporting.verdicts import verdicts
from edgebci.training.recipe import Optimiser, RidgeRecipe, StudentRecipe, TeacherRecipe, TrainingRecipe


def quickened(config: PipelineConfig) -> PipelineConfig:
    """The same pipeline with networks and trainings so small that the result is worth nothing."""
    short = Optimiser(learning_rate=2e-3, epochs=1, window_frames=64)
    training = TrainingRecipe(
        threads=1,
        teacher=TeacherRecipe(d_model=8, n_layers=1, d_state=4, headdim=8, optimiser=short),
        student=StudentRecipe(optimiser=short),
        ridge=RidgeRecipe(lags=2, folds=2, gap_s=1.0),
    )
    student = StudentConfig(d_model=8, n_layers=1, d_state=4, headdim=8)
    return config.model_copy(update={"training": training, "student": student})


def main() -> None:
    """Write the pipeline beside the runs, run it, and print what the report says first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--target", help="the behaviour to decode; without it, the one that fits")
    parser.add_argument("--lfp", help="name of the ElectricalSeries, where there are several")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    pipeline = arguments.out / f"{arguments.recording.stem}.toml"
    config = write_initial_pipeline(arguments.recording, pipeline, arguments.target, arguments.lfp)
    chosen = quickened(config) if arguments.quick else config
    root = arguments.out / config.name
    report = run_pipeline(chosen, root, f"your_own_nwb.py {arguments.recording.name}", silent)
    for one in verdicts(report):
        print(f"{one.mark} {one.answer:12} {one.question} {one.why}")  # noqa: T201 (an example prints)
    print(f"{pipeline} is yours to change; the report: {root / 'report.html'}")  # noqa: T201


if __name__ == "__main__":
    main()
