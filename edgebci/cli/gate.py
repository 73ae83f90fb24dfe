"""`edgebci gate`: fail a pull request whose decoder got worse, larger, slower or hungrier."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, progress_bar

if TYPE_CHECKING:
    from edgebci.gating_result import GateResult
    from edgebci.pipeline.gating.command import GateOrder
    from edgebci.pipeline.gating.self_test import SelfTest

gate_app = typer.Typer(
    invoke_without_command=True,
    help=(
        "Fail a pull request whose decoder got worse, larger, slower or hungrier than a baseline.\n\n"
        "Exit code 0: no worse; 1: worse; 2: wrong input or a baseline that is not whole; 3: the test data can't tell, "
        "and it says by about how many more minutes they would."
    ),
)

SELF_TEST_NAME = "gate.self_test.json"

PipelineOption = Annotated[Path, typer.Option("--pipeline", help="The pipeline TOML; its table gate holds the limits.")]
BaselineOption = Annotated[Path, typer.Option("--baseline", help="baseline.json, with its files beside it.")]
RecordingOption = Annotated[
    Path | None, typer.Option("--recording", help="Use this recording (.nwb or .h5) in place of the pipeline's own.")
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder of all runs, as edgebci run has it.")]
AsBuiltFlag = Annotated[
    bool, typer.Option("--as-built", help="Take what an earlier run left in --out; do not run what changed.")
]
PredictionsOption = Annotated[
    Path | None,
    typer.Option("--predictions", help="Judge test predictions of your own (HDF5), without a pipeline."),
]


@gate_app.callback()
def gate(
    context: typer.Context,
    pipeline: PipelineOption = Path("edgebci.toml"),
    baseline: BaselineOption = Path("baseline.json"),
    recording: RecordingOption = None,
    out: OutOption = Path("runs"),
    as_built: AsBuiltFlag = False,
    predictions: PredictionsOption = None,
    retrained: Annotated[
        bool, typer.Option("--retrained", help="With --predictions: the weights are new; compares all seeds.")
    ] = False,
    corner: Annotated[
        str | None,
        typer.Option("--corner", help="Of the implant's model: worst or typical; else as the pipeline says."),
    ] = None,
    reports: Annotated[
        Path | None, typer.Option("--reports", help="Write JSON, JUnit XML, the comment and badges into this folder.")
    ] = None,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Measure the gate itself, on thousands of simulated pull requests.")
    ] = False,
    requests: Annotated[int, typer.Option("--requests", help="With --self-test: pull requests of each kind.")] = 2000,
    json: JsonFlag = False,
) -> None:
    """Compare a decoder with the baseline, decide, and write what was asked for."""
    if context.invoked_subcommand is not None:
        return
    from edgebci.pipeline.gating.command import GateOrder, run_gate
    from edgebci.pipeline.gating.outputs import tell_github, write_outputs

    order = GateOrder(pipeline, baseline, recording, out, as_built, predictions, retrained, corner)
    if self_test:
        _self_test(order, requests, reports, json)
        return
    with progress_bar("gate") as progress:
        result = run_gate(order, progress)
    if reports is not None:
        write_outputs(result, reports)
    for line in tell_github(result, pipeline, os.environ):
        typer.echo(line, err=json)
    if json:
        print_json(result)
    else:
        _print(result)
    raise typer.Exit(result.exit_code)


@gate_app.command()
def accept(
    why: Annotated[str, typer.Option("--why", help="The reason, kept in the baseline's history.")],
    pipeline: PipelineOption = Path("edgebci.toml"),
    baseline: BaselineOption = Path("baseline.json"),
    recording: RecordingOption = None,
    out: OutOption = Path("runs"),
    as_built: AsBuiltFlag = False,
    predictions: PredictionsOption = None,
    keep_bundle: Annotated[
        bool,
        typer.Option("--keep-bundle/--no-bundle", help="Keep the bundle beside it; without it times are not gated."),
    ] = True,
) -> None:
    """Make what the pipeline builds now the baseline, and say why."""
    from edgebci.pipeline.gating.command import GateOrder, run_accept

    order = GateOrder(pipeline, baseline, recording, out, as_built, predictions)
    with progress_bar("accept") as progress:
        document = run_accept(order, why, keep_bundle, progress)
    kept = [str(baseline), document.predictions.name, *([document.bundle.name] if document.bundle else [])]
    typer.echo(f"{', '.join(kept)}: accepted, {document.history[-1].why}; commit them together")


def _self_test(order: GateOrder, requests: int, reports: Path | None, json: bool) -> None:
    from edgebci.files import make_folder, write_text
    from edgebci.pipeline.gating.self_test_source import run_self_test

    with progress_bar("gate self-test") as progress:
        found = run_self_test(order, requests, progress)
    if reports is not None:
        make_folder(reports)
        write_text(reports / SELF_TEST_NAME, found.model_dump_json(indent=2) + "\n")
    if json:
        print_json(found)
    else:
        _print_self_test(found)
    raise typer.Exit(0 if found.reached else 1)


def _print_self_test(found: SelfTest) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"gate self-test on residuals of {found.source}", title_justify="left")
    for heading in ("pull request", "truth", "minutes", "of", "refused", "undecided", "passed"):
        table.add_column(heading)
    for one in found.kinds:
        shares = (f"{n / one.requests:.1%}" for n in (one.failed, one.undecided, one.passed))
        truth = "no change" if one.truth == "no change" else f"loss of {found.loss:g} R²"
        table.add_row(escape(one.name), truth, f"{one.minutes:g}", f"{one.requests:,}", *shares)
    console = Console()
    console.print(table)
    for line in (*found.notes, *found.sentences()):
        console.print(escape(line), highlight=False)


def _print(result: GateResult) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"gate {result.name}", title_justify="left")
    for heading in ("", "check", "found"):
        table.add_column(heading)
    for check in result.checks:
        table.add_row(check.outcome, escape(check.name), escape(check.sentence))
    console = Console(soft_wrap=not os.isatty(1))
    console.print(table)
    for note in result.notes:
        console.print(escape(note), highlight=False)
    if result.findable is not None:
        console.print(f"smallest loss found with 95 % power: {result.findable:.4f}", highlight=False)
    console.print(escape(result.sentence()), style="bold", highlight=False)
