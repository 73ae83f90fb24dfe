"""`edgebci data fetch`: public recordings, downloaded and converted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebci.cli.output import JsonFlag, print_json, print_rows, progress_bar


def fetch(
    corpus: Annotated[str, typer.Argument(help="makin or flint.")],
    session: Annotated[
        list[str] | None, typer.Option(help="Only this session; may be given several times. Default: all.")
    ] = None,
    to: Annotated[Path, typer.Option(help="Folder of the recordings.")] = Path("public"),
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder of files downloaded by hand (flint: the only way).")
    ] = None,
    keep_raw: Annotated[bool, typer.Option("--keep-raw", help="Keep the downloaded files, gigabytes each.")] = False,
    list_only: Annotated[bool, typer.Option("--list", help="Only say which sessions there are.")] = False,
    json: JsonFlag = False,
) -> None:
    """Download public recordings (Makin, Flint), check them and convert them; what is there is kept.

    An interrupted download goes on where it was.
    """
    from edgebci.public_recordings.fetching import fetch as fetch_recordings
    from edgebci.public_recordings.fetching import sessions_of

    if list_only:
        there = {name: (to / f"{name}.h5").exists() for name in sessions_of(corpus)}
        print_rows(f"{corpus}, in {to}", [(name, "there" if found else "-") for name, found in there.items()])
        return
    with progress_bar(f"fetch {corpus}") as progress:
        fetched = fetch_recordings(corpus, tuple(session or ()), to, source, keep_raw, progress)
    if json:
        print_json(fetched)
        return
    rows = [
        (s.session, f"{s.duration_s:.0f} s, {s.n_channels} channels, {s.n_units} units{', was there' * s.was_there}")
        for s in fetched.sessions
    ]
    print_rows(f"{corpus}, in {to}", rows)
