"""A recording much larger than memory: how much memory converting and streaming it takes."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import pynwb
from pynwb.behavior import BehavioralTimeSeries
from pynwb.ecephys import LFP, ElectricalSeries

from edgebci.documents import Document, load_json
from edgebci.files import write_text
from edgebci.pipeline.proof.claim import CannotMeasureError, Place, available_cores
from edgebci.pipeline.proof.figure import Figure
from edgebci.progress import Progress
from edgebci.recordings import open_recording
from edgebci.recordings.conversion import convert

N_CHANNELS, RATE_HZ, N_BYTES = 96, 1000.0, 10_000_000_000
N_SAMPLES = -(-N_BYTES // (8 * N_CHANNELS))
RECORDED = 20_000
"""Samples at the start, in the middle and at the end that hold a signal; what lies between takes no disk."""
STATUS = Path("/proc/self/status")
_CHILD = (
    "import sys; from pathlib import Path; from edgebci.pipeline.proof.large_recording_claim import convert_and_stream"
)


class Streamed(Document):
    """What the process that did it found."""

    schema_version: Literal["edgebci.streamed/1"] = "edgebci.streamed/1"
    n_samples: int
    peak_bytes: int


def measure_large_recording(place: Place, progress: Progress) -> tuple[Figure, ...]:
    """Convert and stream ten sparse gigabytes in a process of its own, so that nothing else counts.

    Raises:
        CannotMeasureError: this system does not tell the peak of a process's memory.
    """
    if not STATUS.exists():
        raise CannotMeasureError("peak memory is read from /proc, which this system lacks")
    paths = [place.folder / name for name in ("large.nwb", "large.h5", "streamed.json")]
    progress(0.0, "writing a sparse file")
    write_sparse_nwb(paths[0])
    progress(0.1, "converting and streaming")
    call = f"{_CHILD}; convert_and_stream(*map(Path, sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", call, *map(str, paths)], check=True)
    streamed = load_json(paths[2], Streamed)
    for path in paths[:2]:
        path.unlink()
    return (
        Figure(
            name="peak_memory",
            label=f"peak resident memory of converting and streaming {N_BYTES / 1e9:g} GB",
            value=streamed.peak_bytes / 1e9,
            unit="GB",
            evidence="measured",
            note=f"{N_CHANNELS} channels, most of it a gap; {available_cores()} cores; at most 1 GB is allowed",
        ),
        Figure(name="samples", label="samples streamed", value=streamed.n_samples, evidence="counted", headline=False),
    )


def convert_and_stream(path_in: Path, path_out: Path, result: Path) -> None:
    """Convert, read every sample of the result, and write down how much memory that took at most."""
    convert(path_in, path_out)
    n_samples = 0
    with open_recording(path_out) as recording:
        for _, lfp_uv in recording.lfp_chunks():
            n_samples += len(lfp_uv)
    peak = re.search(r"VmHWM:\s*(\d+) kB", STATUS.read_text(encoding="utf-8"))
    streamed = Streamed(n_samples=n_samples, peak_bytes=1024 * int(peak[1]) if peak else 0)
    write_text(result, streamed.model_dump_json())


def write_sparse_nwb(path: Path) -> None:
    """Write an NWB file of `N_BYTES` of LFP, of which HDF5 stores three short stretches."""
    with warnings.catch_warnings():
        # pynwb warns of style while an object is not yet in a file.
        warnings.simplefilter("ignore")
        with pynwb.NWBHDF5IO(str(path), "w") as io:
            io.write(_session())
    random = np.random.default_rng(0)
    with h5py.File(path, "a") as file:
        group = file["processing/ecephys/LFP/lfp"]
        attributes = dict(group["data"].attrs)
        del group["data"]
        shape, chunks = (N_SAMPLES, N_CHANNELS), (10_000, N_CHANNELS)
        data = group.create_dataset("data", shape, "float64", chunks=chunks, fillvalue=np.nan)
        data.attrs.update(attributes)
        for start in (0, N_SAMPLES // 2, N_SAMPLES - RECORDED):
            data[start : start + RECORDED] = random.normal(0.0, 50.0, (RECORDED, N_CHANNELS))


def _session() -> pynwb.NWBFile:
    content = pynwb.NWBFile("a recording larger than memory", "large", datetime(2020, 1, 1, tzinfo=UTC))
    device = content.create_device(name="recorder")
    group = content.create_electrode_group(name="array", description="-", location="M1", device=device)
    for _ in range(N_CHANNELS):
        content.add_electrode(group=group, location="M1")
    region = content.create_electrode_table_region(region=list(range(N_CHANNELS)), description="all")
    lfp = ElectricalSeries("lfp", np.zeros((1, N_CHANNELS)), region, rate=RATE_HZ, conversion=1e-6)
    content.create_processing_module("ecephys", "-").add(LFP(electrical_series=lfp, name="LFP"))
    speed = pynwb.TimeSeries(name="speed", data=np.zeros(round(N_SAMPLES / RATE_HZ)), unit="cm/s", rate=1.0)
    content.create_processing_module("behavior", "-").add(BehavioralTimeSeries(time_series=speed, name="tracking"))
    return content
