"""A recording far larger than memory is converted and streamed in little of it; the proof does it with 10 GB."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

N_CHANNELS = 96
N_SAMPLES = 6_550_000  # 1.8 hours at 1 kS/s; 5.03 GB of float64, and more than is allowed even as int16
RATE_HZ = 1000.0
SIGNAL = 20_000  # samples of signal at the start, in the middle and at the end; telemetry was lost in between
MEMORY_KB = 1_000_000

# A process of its own: its largest resident memory, VmHWM, counts nothing of the tests before.
CONVERT_AND_RUN = """
import json, re, sys
from pathlib import Path
import numpy as np
from edgebci.features.specification import Band, FeatureSpec
from edgebci.features.stream import FeatureStream
from edgebci.recordings import open_recording
from edgebci.recordings.conversion import convert

info = convert(Path(sys.argv[1]), Path(sys.argv[2]))
seen, finite, checksum, frames = 0, 0, 0.0, 0
spec = FeatureSpec(rate_hz=1000.0, bands=(Band(low_hz=12.0, high_hz=30.0), Band(low_hz=70.0, high_hz=200.0)))
features = FeatureStream(spec, np.array(info.good_channels))
with open_recording(Path(sys.argv[2])) as recording:
    for start, lfp_uv in recording.lfp_chunks():
        assert start == seen
        seen += len(lfp_uv)
        if not np.isnan(lfp_uv[0, 0]) or not np.isnan(lfp_uv[-1, 0]):
            present = ~np.isnan(lfp_uv)
            finite += int(present.sum())
            checksum += float(np.abs(lfp_uv[present]).sum(dtype=np.float64))
            frames += int(features.push(spec.adc.counts(lfp_uv), ~present.all(axis=1)).valid.sum())
    dropout = recording.intervals("dropout").tolist()
peak_kb = int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
result = dict(seen=seen, finite=finite, checksum=checksum, dropout=dropout, peak_kb=peak_kb)
result |= dict(channels=info.n_channels, frames=frames)
sys.stdout.write(json.dumps(result))
"""


def signal() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(0).normal(0, 50, (SIGNAL, N_CHANNELS))


def make_sparse(path: Path) -> None:
    """Replace the LFP by 5 GB of which three stretches were recorded; HDF5 stores no chunk of the rest."""
    with h5py.File(path, "a") as file:
        group = file["processing/ecephys/LFP/lfp"]
        attributes = dict(group["data"].attrs)
        del group["data"]
        data = group.create_dataset(
            "data", (N_SAMPLES, N_CHANNELS), "float64", chunks=(10_000, N_CHANNELS), fillvalue=np.nan
        )
        data.attrs.update(attributes)
        for start in (0, N_SAMPLES // 2, N_SAMPLES - SIGNAL):
            data[start : start + SIGNAL] = signal()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_a_5_gb_recording_is_converted_and_run_in_less_than_1_gb_of_memory(
    make_nwb: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_nwb(lfp=np.zeros((1, N_CHANNELS)), rate_hz=RATE_HZ, speed=np.zeros(N_SAMPLES // 20))
    make_sparse(path)
    assert N_SAMPLES * N_CHANNELS * 2 > 1024 * MEMORY_KB
    done = subprocess.run(
        [sys.executable, "-c", CONVERT_AND_RUN, str(path), str(tmp_path / "out.h5")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["peak_kb"] < MEMORY_KB
    assert (result["seen"], result["channels"]) == (N_SAMPLES, N_CHANNELS)
    assert result["finite"] == 3 * SIGNAL * N_CHANNELS
    # Of three times 20 s at 50 frames a second, all but the start-up after each pause.
    assert 2500 < result["frames"] < 3 * 20 * 50
    # Each value is rounded to float32 once: 6e-8 relative.
    assert result["checksum"] == pytest.approx(3 * np.abs(signal()).sum(), rel=1e-6)
    middle = N_SAMPLES // 2 / RATE_HZ
    lost = [[20.0, middle], [middle + 20.0, N_SAMPLES / RATE_HZ - 20.0]]
    assert np.allclose(result["dropout"], lost)
    # What was never recorded takes no disk either.
    assert (tmp_path / "out.h5").stat().st_size < 60e6
