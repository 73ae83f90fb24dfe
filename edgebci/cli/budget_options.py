"""The options of `edgebci budget`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Implant = Annotated[str, typer.Option(help="A shipped implant, or the .toml of your own.")]
Compute = Annotated[str, typer.Option(help="A compute part, or the .toml of your own.")]
Radio = Annotated[str, typer.Option(help="A radio, or the .toml of your own.")]
Decoder = Annotated[
    Path | None, typer.Option(help="A bundle's folder, or a decoder's sizes as in examples/edge_student.toml.")
]
Measured = Annotated[
    Path | None, typer.Option(help="What edgebci run-on-target --json printed for the bundle, on the same core.")
]
Cycles = Annotated[float | None, typer.Option(min=0, help="Cycles of one frame, where you know them.")]
ClockMhz = Annotated[float | None, typer.Option(help="One of the chip's clocks.")]
Send = Annotated[str, typer.Option(help="What leaves the implant: decoded, features or samples.")]
Years = Annotated[float, typer.Option(min=0, help="How long the battery has been in use.")]
Limit = Annotated[list[str] | None, typer.Option(help="Such as temperature_rise_c=1.0; may be repeated.")]
Channels = Annotated[int | None, typer.Option(min=1, help="Without a decoder: channels.")]
Macs = Annotated[int | None, typer.Option(min=0, help="Without a decoder: MACs of one step.")]
RateHz = Annotated[float, typer.Option(help="Without a decoder: samples a second.")]
FrameRateHz = Annotated[float, typer.Option(help="Without a decoder: steps a second.")]
Bands = Annotated[int, typer.Option(min=0, help="Without a decoder: band-power features of a channel.")]
Outputs = Annotated[int, typer.Option(min=1, help="Without a decoder: decoded axes.")]
Compare = Annotated[
    str | None, typer.Option(help="partitions: where to split the work, for 32 to 10,000 channels on every radio.")
]
Accuracy = Annotated[
    Path | None, typer.Option(help="With --compare: measured R2: report.json of a run, simulation.json, or a .toml.")
]
R2 = Annotated[list[str] | None, typer.Option(help="The same typed, such as lfp-decoded=0.61; repeatable.")]
Recording = Annotated[
    list[Path] | None, typer.Option(help="With --compare: measure on it what lossless coding saves; repeatable.")
]
Solve = Annotated[
    str | None, typer.Option(help="channels, rate_hz, bits or clock_hz: the largest that surely keeps all limits.")
]
Against = Annotated[
    list[str] | None, typer.Option(help="The same in another implant of like scope beside it; repeatable.")
]
Board = Annotated[
    str | None, typer.Option(help="A board outside, such as jetson-orin-nano: its step, estimated and not judged.")
]
BoardMeasured = Annotated[
    Path | None, typer.Option(help="What benchmark.py wrote on that board, in place of the estimate.")
]
Html = Annotated[Path | None, typer.Option(help="Write a page with sliders that works offline.")]
Figure = Annotated[
    Path | None, typer.Option(help="Draw, as SVG: what spreads the power; with --compare, power over channels.")
]
MeasureCycles = Annotated[
    Path | None, typer.Option(help="Emulate small programs on every core and write cycles per count (minutes).")
]
