"""`edgebci broadband`: signals at 20 or 30 kS/s with spikes, and what an implant loses by sending less than them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar

if TYPE_CHECKING:
    from edgebci.pipeline.simulation.broadband import BroadbandReport
    from edgebci.synthetic.broadband import BroadbandSpec

broadband_app = typer.Typer(no_args_is_help=True, help="Broadband signals: sampling rate, and LFP against spikes.")

Seed = Annotated[int, typer.Option(min=0, help="A different world for each seed.")]
Channels = Annotated[int, typer.Option(min=1, max=1024, help="Channels of the synthetic array.")]
Seconds = Annotated[float, typer.Option(min=20.0, help="Length of the synthetic recording.")]
Rate = Annotated[float, typer.Option(help="Samples per second: 20000 to 30000, a multiple of 2000.")]


@broadband_app.command("write")
def write_broadband(
    out: Annotated[Path, typer.Argument(help="The .h5 recording to make.")],
    seed: Seed = 1,
    channels: Channels = 32,
    seconds: Seconds = 180.0,
    rate: Rate = 20_000.0,
) -> None:
    """Write a synthetic broadband recording: fields, hash and spike waveforms, without noise of a recorder."""
    from edgebci.synthetic.broadband import synthesize_broadband

    with progress_bar("broadband") as progress:
        info = synthesize_broadband(_spec(seed, channels, seconds, rate), out, progress)
    typer.echo(f"{out}: {info.n_channels} channels, {info.duration_s:g} s at {info.lfp_rate_hz:g} Hz")


@broadband_app.command("compare")
def compare_broadband(
    recording: Annotated[Path | None, typer.Argument(help="A broadband .h5; a synthetic world without.")] = None,
    sweep: Annotated[str, typer.Option(help="rate, signals, or both with a comma.")] = "rate,signals",
    behavior: Annotated[str, typer.Option(help="Series of the recording to decode.")] = "velocity",
    source_noise: Annotated[
        float | None, typer.Option(min=0.0, help="The recording's own noise in nV/√Hz; measured without.")
    ] = None,
    seed: Seed = 1,
    channels: Channels = 32,
    seconds: Seconds = 180.0,
    rate: Rate = 20_000.0,
    json: JsonFlag = False,
) -> None:
    """R² over the sampling rate, with and without anti-alias filter, and LFP against spiking-band power and spikes.

    Each condition has a front end of its own, with the same noise density, and the same decoder, ridge, fitted to it.

    Exit code 0: compared; 2: a recording that is too poor or too slow.
    """
    from edgebci.firmware_sim.electronics.conditions import SourceQuality
    from edgebci.firmware_sim.electronics.source import source_quality
    from edgebci.pipeline.simulation.broadband import broadband_file, explore, from_recording, from_world, listed
    from edgebci.recordings import open_recording

    wanted = listed(sweep)
    with progress_bar("broadband") as progress:
        if recording is None:
            report = explore(from_world(_spec(seed, channels, seconds, rate)), wanted, progress)
        else:
            with open_recording(broadband_file(recording)) as opened:
                quality = source_quality(opened, SourceQuality(noise_nv_per_rthz=source_noise))
                report = explore(from_recording(opened, behavior, quality), wanted, progress)
    if json:
        print_json(report)
        return
    _show(report)


def _spec(seed: int, channels: int, seconds: float, rate_hz: float) -> BroadbandSpec:
    from edgebci.documents import parse
    from edgebci.synthetic.broadband import FIELD_HZ, BroadbandSpec

    world = {"seed": seed, "n_channels": channels, "duration_s": seconds, "rate_hz": FIELD_HZ}
    return parse({"world": world, "rate_hz": rate_hz}, BroadbandSpec, "the broadband recording")


def _show(report: BroadbandReport) -> None:
    for sweep in report.sweeps:
        rows = []
        for point in sweep.points:
            value = f"R² {point.r2:.3f}" if point.r2 is not None else f"refused: {point.refused}"
            rows.append((f"{point.line}, {point.x:g}", value))
        rows += [(f"knee, {knee.line}", f"{knee.x:g}, with R² {knee.r2:.3f}") for knee in sweep.knees]
        title = f"{report.recording}, {report.n_channels} channels, {report.seconds:.0f} s: R² over {sweep.x_name}"
        print_rows(f"{title} (modelled)", rows)
