"""Small files in the formats of the public recordings, as MATLAB and the laboratories' software write them."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from edgebci.public_recordings import download
from edgebci.public_recordings.records import RemoteFile, record_files

CONTENT = bytes(range(256)) * 4096  # 1 MiB
F64 = NDArray[np.float64]
BROADBAND_HZ = 24414.0625
V_PER_COUNT = 3.05185e-7
MATLAB_HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + b" " * 8 + b"\x00\x02IM"


@dataclass(frozen=True)
class MakinWorld:
    """What the files of a Makin session were made from."""

    times_s: F64
    cursor_mm: F64
    target_mm: F64
    spikes_s: dict[tuple[int, int], F64]
    """By (channel, rank)."""
    broadband_s: F64
    broadband_uv: F64
    """(T, C), before rounding to counts."""


def makin_world(seed: int = 0, seconds: float = 6.0, n_channels: int = 4) -> MakinWorld:
    """A cursor that circles, slow LFP that follows its velocity, targets that jump once a second."""
    rng = np.random.default_rng(seed)
    times_s = 100.0 + np.arange(round(seconds * 250)) / 250
    cursor = 50 * np.stack([np.sin(3 * times_s), np.cos(2 * times_s)], axis=1)
    target = np.floor(times_s)[:, None] * np.array([1.0, -2.0])
    broadband_s = 99.9 + np.arange(round((seconds + 0.2) * BROADBAND_HZ)) / BROADBAND_HZ
    slow = np.stack([np.cos(3 * broadband_s), -np.sin(2 * broadband_s)], axis=1)
    mixture = 100 * rng.standard_normal((2, n_channels))
    noise = 5 * rng.standard_normal((len(broadband_s), n_channels))
    offsets = 3000.0 * rng.standard_normal(n_channels)
    spikes = {
        (channel, rank): np.sort(rng.uniform(times_s[0], times_s[-1], 20))
        for channel in range(n_channels)
        for rank in (0, 1)
        if (channel, rank) != (1, 1)
    }
    return MakinWorld(times_s, cursor, target, spikes, broadband_s, slow @ mixture + noise + offsets)


def write_makin_mat(path: Path, world: MakinWorld, n_ranks: int = 3) -> None:
    """MATLAB v7.3: HDF5 behind a header of 512 bytes, arrays transposed, cells as references into #refs#."""
    n_channels = world.broadband_uv.shape[1]
    with h5py.File(path, "w", userblock_size=512) as file:
        held = file.create_group("#refs#")
        for name, values in (
            ("t", world.times_s[:, None]),
            ("cursor_pos", world.cursor_mm),
            ("target_pos", world.target_mm),
            ("finger_pos", np.c_[world.cursor_mm / 10, world.cursor_mm[:, :1] / 10]),
        ):
            file[name] = values.T
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
        cells: list[NDArray[np.generic]] = [
            np.array([[ord(c)] for c in f"M1 {i + 1:03d}"], dtype=np.uint16) for i in range(n_channels)
        ]
        _write_cells(file, held, "chan_names", [cells], "char")
        spikes: list[list[NDArray[np.generic]]] = [
            [world.spikes_s.get((channel, rank), np.empty(0))[None, :] for channel in range(n_channels)]
            for rank in range(n_ranks)
        ]
        _write_cells(file, held, "spikes", spikes, "double")
        _write_cells(file, held, "wf", spikes, "double")
    with path.open("r+b") as raw:
        raw.write(MATLAB_HEADER)


def _write_cells(
    file: h5py.File, held: h5py.Group, name: str, rows: list[list[NDArray[np.generic]]], matlab_class: str
) -> None:
    references = np.empty((len(rows), len(rows[0])), dtype=h5py.ref_dtype)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            # An empty cell holds its dimensions instead of numbers, and only this attribute says so.
            stored = held.create_dataset(f"{name}{i}_{j}", data=cell if cell.size else np.zeros(2, dtype=np.uint64))
            stored.attrs["MATLAB_class"] = np.bytes_(matlab_class)
            if not cell.size:
                stored.attrs["MATLAB_empty"] = np.uint8(1)
            references[i, j] = stored.ref
    file.create_dataset(name, data=references, dtype=h5py.ref_dtype).attrs["MATLAB_class"] = np.bytes_("cell")


def write_broadband_nwb(path: Path, world: MakinWorld) -> None:
    """NWB 1.0.6: int16 counts (samples, channels) with volts per count, and the time of every sample."""
    counts = np.rint(world.broadband_uv * 1e-6 / V_PER_COUNT).astype(np.int16)
    with h5py.File(path, "w") as file:
        file["nwb_version"] = "NWB-1.0.6"
        group = file.create_group("acquisition/timeseries/broadband")
        group.attrs["neurodata_type"] = "TimeSeries"
        data = group.create_dataset("data", data=counts, chunks=(4096, 1), compression="gzip", compression_opts=1)
        data.attrs["conversion"], data.attrs["unit"] = V_PER_COUNT, "volt"
        group.create_dataset("timestamps", data=world.broadband_s[:, None])
        file.create_dataset("general/extracellular_ephys/electrode_map", data=np.zeros((counts.shape[1], 3)))


def flint_trial(
    start_s: float, seconds: float, seed: int, scale: float = 1e-4, n_channels: int = 5
) -> dict[str, object]:
    """One Trial: behaviour at 100 Hz, LFP at 2 kHz of all channels but the second, spikes in seconds."""
    rng = np.random.default_rng(seed)
    times_s = start_s + np.arange(round(seconds * 100)) / 100
    fast_s = start_s + np.arange(round(seconds * 2000)) / 2000
    lfp = [np.cos(3 * fast_s) * (channel + 1) + 0.1 * rng.standard_normal(len(fast_s)) for channel in range(n_channels)]
    neurons = np.zeros((n_channels, 1), dtype=[("Spike", object), ("LFP", object)])
    for channel in range(n_channels):
        neurons[channel, 0]["Spike"] = np.sort(rng.uniform(times_s[0], times_s[-1], 7))[:, None]
        neurons[channel, 0]["LFP"] = np.empty((0, 0)) if channel == 1 else scale * lfp[channel][:, None]
    velocity = np.stack([np.cos(3 * times_s), np.sin(3 * times_s), np.zeros(len(times_s))], axis=1)
    return {
        "Time": times_s[:, None],
        "HandVel": velocity,
        "HandPos": velocity * 2,
        "TargetPos": np.where(np.arange(len(times_s))[:, None] < 10, np.nan, velocity),
        "Neuron": neurons,
        "Condition": "Good",
    }


def write_flint_mat(path: Path, sessions: list[list[dict[str, object]]]) -> None:
    """MATLAB v5: Subject (n, 1) of Trial (m, 1)."""
    subjects = np.zeros((len(sessions), 1), dtype=[("Trial", object)])
    for i, trials in enumerate(sessions):
        fields = [(name, object) for name in trials[0]]
        records = np.zeros((len(trials), 1), dtype=fields)
        for j, trial in enumerate(trials):
            for name, value in trial.items():
                records[j, 0][name] = value
        subjects[i, 0]["Trial"] = records
    savemat(path, {"Subject": subjects}, do_compression=True)


@pytest.fixture(scope="session")
def world() -> MakinWorld:
    return makin_world()


@pytest.fixture
def makin_pair(tmp_path: Path, world: MakinWorld) -> tuple[Path, Path]:
    """A session's .mat and .nwb."""
    mat, nwb = tmp_path / "indy_20160622_01.mat", tmp_path / "indy_20160622_01.nwb"
    write_makin_mat(mat, world)
    write_broadband_nwb(nwb, world)
    return mat, nwb


@pytest.fixture
def edit_hdf5() -> Callable[[Path, Callable[[h5py.File], None]], None]:
    """Change an HDF5 file in place."""

    def edit(path: Path, change: Callable[[h5py.File], None]) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return edit


@dataclass
class Served:
    """A server on this computer, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    records: dict[int, list[str]] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off."""
    knows_ranges: bool = True

    def remote(self, name: str, md5: str | None = None) -> RemoteFile:
        content = self.files[name]
        digest = md5 or hashlib.md5(content).hexdigest()
        return RemoteFile(name, f"{self.address}/files/{name}", len(content), digest)


class _Handler(BaseHTTPRequestHandler):
    served: Served

    def do_GET(self) -> None:
        if self.path.startswith("/api/records/"):
            self._record(int(self.path.rpartition("/")[2]))
        elif self.path.startswith("/files/"):
            self._file(self.path.rpartition("/")[2])

    def log_message(self, *_: object) -> None:
        pass

    def _record(self, number: int) -> None:
        if number not in self.served.records:
            self.send_error(404)
            return
        listed = [
            {
                "key": name,
                "size": len(self.served.files[name]),
                "checksum": f"md5:{hashlib.md5(self.served.files[name]).hexdigest()}",
                "links": {"self": f"{self.served.address}/files/{name}"},
            }
            for name in self.served.records[number]
        ]
        self._answer(200, json.dumps({"files": listed}).encode())

    def _file(self, name: str) -> None:
        content, wanted = self.served.files[name], self.headers.get("Range")
        self.served.ranges.append(wanted)
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and self.served.knows_ranges else 0
        cut = self.served.cut_after.pop(0) if self.served.cut_after else None
        self._answer(206 if start else 200, content[start:], cut)

    def _answer(self, status: int, body: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = True


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on this computer needs no time to recover."""
    monkeypatch.setattr(download, "PAUSE_S", 0.0)


@pytest.fixture
def served() -> Iterator[Served]:
    state = Served(files={"a.mat": CONTENT})
    handler = type("Handler", (_Handler,), {"served": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()
    record_files.cache_clear()
