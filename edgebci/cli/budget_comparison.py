"""`edgebci budget --compare partitions`: where to split the work between implant and receiver."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebci.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from edgebci.pipeline.budget.order import BudgetOrder
    from edgebci.pipeline.budget.partition_study import PartitionPower, PartitionStudy, Winner


def compare_and_print(
    order: BudgetOrder,
    what: str,
    accuracy: Path | None,
    r2: Sequence[str],
    recordings: Sequence[Path],
    figure: Path | None,
    json: bool,
) -> None:
    """Compare partitions, and print the table of the order's radio and the winners on every radio."""
    from edgebci.errors import InputError
    from edgebci.pipeline.budget.accuracy import parse_r2
    from edgebci.pipeline.budget.accuracy_sources import read_measured
    from edgebci.pipeline.budget.partition_study import compare_partitions

    if what != "partitions":
        raise InputError(f"cannot compare {what!r}; give --compare partitions")
    measured = [*(read_measured(accuracy) if accuracy else ()), *map(parse_r2, r2)]
    study = compare_partitions(order, measured, recordings)
    if figure is not None:
        _draw(figure, study, order.radio)
    if json:
        print_json(study)
        return
    _print(study, order.radio)


def _print(study: PartitionStudy, radio: str) -> None:
    print_rows(
        "assumed: no public source was found for these",
        [(a.name, f"{a.typical:g} ({a.low:g} to {a.high:g}) {a.unit}; {a.source}") for a in study.assumed_inputs],
    )
    for one in study.coding:
        share = f"{one.coded_bits:.2f} of {one.bits} bits a sample, {one.ratio:.2f} to 1, measured"
        print_rows(f"lossless coding of {one.recording}", [(f"{one.signal} at {one.rate_hz:g} Hz", share)])
    for n in dict.fromkeys(row.n_channels for row in study.rows):
        rows = [row for row in study.rows if row.n_channels == n and row.radio == radio]
        print_rows(f"{n:,} channels over {radio}, modelled", [(row.partition, _power(row)) for row in rows])
    print_rows("how well each decodes", [("accuracy", study.accuracy)])
    print_rows("who wins", [(f"{w.n_channels:,} channels, {w.radio}, {w.noise}", _won(w)) for w in study.winners])
    print_rows("how it is compared", [("note", study.note)])


def _power(row: PartitionPower) -> str:
    sent = f"{row.payload_bits_per_s / 1e3:,.4g} kbit/s"
    if row.total is None:
        return f"{sent}: more than the link carries"
    many = f", {row.cores.typical:.1f} cores" if row.cores.typical > 1 else ""
    low, middle, high = (value / 1e3 for value in (row.total.low, row.total.typical, row.total.high))
    relaxed = f"; {row.relaxed_total.typical / 1e3:,.3g} mW with relaxed noise" if row.relaxed_total else ""
    doubt = ", if the link carries it" if row.carried == "depends" else ""
    accuracy = "" if row.r2 is None else f", R2 {row.r2:.3g}"
    return f"{sent}: {middle:,.3g} ({low:,.3g} to {high:,.3g}) mW{many}{relaxed}{doubt}{accuracy}"


def _won(winner: Winner) -> str:
    if winner.winner is None:
        return f"nobody: {winner.reason}"
    if winner.against is None or winner.ratio is None:
        return f"{winner.winner}: {winner.reason}"
    ratio = winner.ratio
    sure = "surely" if ratio.p97_5 < 1 else "by typical figures only"
    return (
        f"{winner.winner}, {sure}: {ratio.p50:.2f} ({ratio.p2_5:.2f} to {ratio.p97_5:.2f}) times the power of "
        f"{winner.against}; {winner.reason}"
    )


def _draw(path: Path, study: PartitionStudy, radio: str) -> None:
    from edgebci.files import write_text
    from edgebci.reporting.budget_figures import Curve, curves_svg

    names = dict.fromkeys(row.partition for row in study.rows)
    curves = []
    for name in names:
        rows = [(row, row.total) for row in study.rows if row.partition == name and row.radio == radio]
        points = [(row.n_channels, total.low, total.typical, total.high) for row, total in rows if total is not None]
        curves.append(Curve(name, [(n, low / 1e3, mid / 1e3, high / 1e3) for n, low, mid, high in points]))
    write_text(path, curves_svg(curves, "channels", f"modelled power over {radio} (mW); shaded: its range"))
