"""From public files to a folder of recordings: what is there already is kept, session by session."""

from __future__ import annotations

from pathlib import Path

from edgebci.documents import Document, nearest
from edgebci.errors import InputError
from edgebci.progress import Progress, part, silent
from edgebci.public_recordings import flint
from edgebci.public_recordings.download import download
from edgebci.public_recordings.makin import convert_makin
from edgebci.public_recordings.records import makin_files, makin_records
from edgebci.recordings import open_recording

RAW = "raw"
"""Folder of downloaded files, beside the recordings."""


class FetchedSession(Document):
    """One recording."""

    session: str
    path: str
    duration_s: float
    n_channels: int
    n_units: int
    was_there: bool


class Fetched(Document):
    """All recordings that were asked for."""

    corpus: str
    sessions: tuple[FetchedSession, ...]


def sessions_of(corpus: str) -> tuple[str, ...]:
    """Every session of `makin` or `flint`.

    Raises:
        InputError: there is no such corpus.
    """
    known = {"makin": lambda: makin_records().sessions, "flint": lambda: flint.SESSIONS}
    if corpus not in known:
        raise InputError(f"no public recordings {corpus!r}; {nearest(corpus, list(known))}")
    return known[corpus]()


def fetch(
    corpus: str,
    sessions: tuple[str, ...],
    folder: Path,
    source: Path | None = None,
    keep_raw: bool = False,
    progress: Progress = silent,
) -> Fetched:
    """Make a recording of each session in `folder`; those that are there stay.

    Args:
        corpus: makin or flint.
        sessions: their names; none: all.
        folder: gets <session>.h5, and meanwhile what is downloaded in its subfolder raw.
        source: folder of files that the user downloaded; Flint's can't be had otherwise.
        keep_raw: keep what was downloaded; broadband is some gigabytes for each session.
        progress: of everything.

    Raises:
        InputError: an unknown session, no network, damaged files, no space, or files laid out otherwise.
    """
    every = sessions_of(corpus)
    for session in sessions:
        if session not in every:
            raise InputError(f"no session {session!r} of {corpus}; {nearest(session, list(every))}")
    wanted, fetched = sessions or every, []
    for i, session in enumerate(wanted):
        share = part(progress, i / len(wanted), (i + 1) / len(wanted))
        fetched.append(_fetch_one(corpus, session, folder, source, keep_raw, share))
    return Fetched(corpus=corpus, sessions=tuple(fetched))


def _fetch_one(
    corpus: str, session: str, folder: Path, source: Path | None, keep_raw: bool, progress: Progress
) -> FetchedSession:
    out = folder / f"{session}.h5"
    was_there = out.exists()
    if not was_there and corpus == "makin":
        _fetch_makin(session, out, source, keep_raw, progress)
    elif not was_there:
        _convert_flint(session, out, source, progress)
    with open_recording(out) as recording:
        info = recording.info
    return FetchedSession(
        session=session,
        path=str(out),
        duration_s=info.duration_s,
        n_channels=info.n_channels,
        n_units=info.n_units,
        was_there=was_there,
    )


def _fetch_makin(session: str, out: Path, source: Path | None, keep_raw: bool, progress: Progress) -> None:
    if source is not None:
        convert_makin(source / f"{session}.mat", source / f"{session}.nwb", out, progress=progress)
        return
    raw = out.parent / RAW
    behavior, broadband = makin_files(makin_records(), session)
    mat = download(behavior, raw, part(progress, 0.0, 0.1))
    nwb = download(broadband, raw, part(progress, 0.1, 0.7))
    convert_makin(mat, nwb, out, progress=part(progress, 0.7, 1.0))
    if not keep_raw:
        for file in (mat, nwb):
            file.unlink()


def _convert_flint(session: str, out: Path, source: Path | None, progress: Progress) -> None:
    if source is None:
        raise InputError(
            f"Flint's recordings need an account: accept the terms at {flint.WHERE}, download {flint.FILES[0]} to "
            f"{flint.FILES[-1]}, and name their folder with --from"
        )
    day = session.split("_")[1]
    found = {one.name: one for one in flint.flint_sessions(source / f"Flint_2012_{day}.mat")}
    if session not in found:
        raise InputError(f"Flint_2012_{day}.mat holds {', '.join(found)} but no {session}; name one of those")
    flint.convert_flint(found[session], out, progress=progress)
