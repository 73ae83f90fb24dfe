"""`edgebci data`: look at recordings, convert them, make synthetic ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

if TYPE_CHECKING:
    from edgebci.recordings import RecordingInfo

data_app = typer.Typer(no_args_is_help=True, help="Look at recordings, convert them, make synthetic ones.")

RecordingFile = Annotated[Path, typer.Argument(help="A recording: .nwb, or .h5 in temporaldata's layout.")]
OutFile = Annotated[Path, typer.Argument(help="The recording to write (.h5).")]
LfpOption = Annotated[str | None, typer.Option("--lfp", help="Name of the ElectricalSeries, where there are several.")]


@data_app.command()
def info(file: RecordingFile, lfp: LfpOption = None, json: JsonFlag = False) -> None:
    """Say what a recording holds (.nwb, or .h5 in temporaldata's layout) without reading its samples."""
    from edgebci.recordings.conversion import describe
    from edgebci.recordings.model import NwbOptions

    _show(describe(file, NwbOptions(lfp=lfp)), str(file), json)


@data_app.command()
def convert(file: RecordingFile, out: OutFile, lfp: LfpOption = None, json: JsonFlag = False) -> None:
    """Convert an NWB file to a recording in temporaldata's layout, with a table of what can't be trusted."""
    from edgebci.recordings.conversion import convert as convert_recording
    from edgebci.recordings.model import NwbOptions

    with progress_bar("convert") as progress:
        described = convert_recording(file, out, NwbOptions(lfp=lfp), progress=progress)
    _show(described, str(out), json)


@data_app.command()
def synth(
    out: OutFile,
    spec: Annotated[Path | None, typer.Option("--spec", help="TOML with the generator's constants.")] = None,
    seed: Annotated[int | None, typer.Option(help="A different world for each.")] = None,
    subject: Annotated[int | None, typer.Option(help="Array, maps and units belong to the subject.")] = None,
    session: Annotated[int | None, typer.Option(help="Units turn over from one session to the next.")] = None,
    duration_s: Annotated[float | None, typer.Option(help="Length in seconds.")] = None,
    channels: Annotated[int | None, typer.Option(help="Channels of LFP.")] = None,
    json: JsonFlag = False,
) -> None:
    """Make a synthetic recording whose truth is known."""
    from edgebci.documents import load_toml, parse
    from edgebci.synthetic import SyntheticSpec, synthesize

    given = {"seed": seed, "subject": subject, "session": session, "duration_s": duration_s, "n_channels": channels}
    base = load_toml(spec, SyntheticSpec) if spec else SyntheticSpec()
    changes = {name: value for name, value in given.items() if value is not None}
    wanted = parse(base.model_dump() | changes, SyntheticSpec, "the options")
    with progress_bar("synthesize") as progress:
        described = synthesize(wanted, out, progress)
    _show(described, str(out), json)


def _show(info: RecordingInfo, title: str, as_json: bool) -> None:
    if as_json:
        print_json(info)
        return
    good = sum(info.good_channels)
    rows = [
        ("subject, session", f"{info.subject_id}, {info.session_id}"),
        ("LFP", f"{info.n_channels} channels ({good} good) at {info.lfp_rate_hz:g} Hz"),
        ("time", f"{info.start_s:.3f} to {info.end_s:.3f} s ({info.duration_s:.1f} s)"),
        ("sorted units", str(info.n_units)),
    ]
    rows += [
        (f"behaviour {b.name}", _behavior_row(b.n_dims, b.unit, b.rate_hz, b.start_s, b.end_s)) for b in info.behavior
    ]
    rows += [(f"intervals {i.name}", f"{i.count}, {i.total_s:.1f} s in all") for i in info.intervals]
    rows += [("note", note) for note in info.notes]
    print_rows(title, rows)


def _behavior_row(n_dims: int, unit: str, rate_hz: float | None, start_s: float, end_s: float) -> str:
    rate = f"at {rate_hz:g} Hz" if rate_hz else "at irregular times"
    return f"{n_dims} ax{'i' if n_dims == 1 else 'e'}s in {unit} {rate}, {start_s:.1f} to {end_s:.1f} s"
