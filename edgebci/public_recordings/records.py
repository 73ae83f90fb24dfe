"""Which public records hold which sessions; what Zenodo says of a record's files."""

from __future__ import annotations

import functools
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field

from edgebci.documents import Document, load_toml, nearest
from edgebci.errors import InputError

TIMEOUT_S = 60


class MakinRecords(Document):
    """The table `makin.toml`."""

    schema_version: Literal["edgebci.public_records/1"] = Field(alias="schema")
    server: str
    license: str
    citation: str
    behavior_record: int
    sessions: tuple[str, ...]
    broadband_records: tuple[int, ...]
    """In the probable order of the sessions; what a record holds is read from its own list of files."""

    def require(self, session: str) -> None:
        """Refuse a session that is not in the table."""
        if session not in self.sessions:
            raise InputError(f"no session {session!r} of Makin; {nearest(session, list(self.sessions))}")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a public record, with the MD5 that the record states."""

    name: str
    url: str
    size_bytes: int
    md5: str


def makin_records() -> MakinRecords:
    """Read the table that comes with edgebci."""
    return load_toml(Path(__file__).with_name("makin.toml"), MakinRecords)


def makin_files(records: MakinRecords, session: str) -> tuple[RemoteFile, RemoteFile]:
    """Behaviour with spikes (.mat) and broadband (.nwb) of a session.

    Raises:
        InputError: unknown session, no network, or no record that holds it.
    """
    records.require(session)
    behavior = record_files(records.server, records.behavior_record).get(f"{session}.mat")
    if behavior is None:
        raise InputError(f"record {records.behavior_record} has no {session}.mat any more; look at {records.server}")
    return behavior, _broadband(records, session)


def _broadband(records: MakinRecords, session: str) -> RemoteFile:
    first = records.sessions.index(session)
    order = sorted(range(len(records.broadband_records)), key=lambda i: abs(i - first))
    for i in order:
        found = record_files(records.server, records.broadband_records[i]).get(f"{session}.nwb")
        if found is not None:
            return found
    raise InputError(f"none of {len(order)} broadband records has {session}.nwb; look at {records.server}")


@functools.cache
def record_files(server: str, record: int) -> dict[str, RemoteFile]:
    """The files of a Zenodo record by name, as its REST interface lists them.

    Raises:
        InputError: the server cannot be reached, or its answer is not a list of files with MD5.
    """
    address = f"{server}/api/records/{record}"
    try:
        request = urllib.request.Request(address, headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            content = json.load(answer)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise InputError(unreachable(address, error)) from error
    except json.JSONDecodeError as error:
        raise InputError(f"{address} did not answer with JSON; try again later") from error
    try:
        return {file["key"]: _remote_file(address, file) for file in content["files"]}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{address} does not list its files with size and MD5; the server's interface has changed, so download "
            "the files by hand and convert them with --from"
        ) from error


def unreachable(address: str, error: Exception) -> str:
    """One sentence for an address that did not answer."""
    place = urlsplit(address)
    host = f"{place.scheme}://{place.netloc}"
    if isinstance(error, urllib.error.HTTPError):
        return f"{host} answered {error.code} ({error.reason}) for {place.path}; try again later"
    reason = getattr(error, "reason", None) or error
    return f"cannot reach {host} ({reason}); connect to the network, or give a folder of downloaded files with --from"


def _remote_file(address: str, file: dict[str, Any]) -> RemoteFile:
    kind, _, digest = file["checksum"].partition(":")
    if kind != "md5" or len(digest) != 32:
        raise ValueError(kind)
    links = file.get("links", {})
    url = links.get("self") or links.get("content") or f"{address}/files/{quote(file['key'])}/content"
    return RemoteFile(file["key"], url, int(file["size"]), digest)
