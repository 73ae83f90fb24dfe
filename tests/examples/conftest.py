"""Examples as their readers run them, on data so small that they take seconds."""

from __future__ import annotations

import runpy
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pynwb
import pytest
from pynwb.behavior import BehavioralTimeSeries
from pynwb.ecephys import LFP, ElectricalSeries

from tests.exporting import few_steps

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
RATE_HZ, SECONDS = 100.0, 90


def run_example(name: str, *arguments: object) -> None:
    """Run an example as a program of its own, in this process."""
    before = sys.argv
    sys.argv = [name, *map(str, arguments)]
    try:
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    finally:
        sys.argv = before


@pytest.fixture(scope="session")
def own_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs after `your_own_nwb.py session.nwb --quick`."""
    folder = tmp_path_factory.mktemp("own")
    with few_steps():
        run_example("your_own_nwb.py", _nwb(folder / "session.nwb"), "--out", folder / "runs", "--quick")
    return folder / "runs"


def _nwb(path: Path) -> Path:
    with warnings.catch_warnings():
        # pynwb warns of style while an object is not yet in a file.
        warnings.simplefilter("ignore")
        content = _content()
        with pynwb.NWBHDF5IO(path, "w") as file:
            file.write(content)
    return path


def _content() -> pynwb.NWBFile:
    random = np.random.default_rng(0)
    content = pynwb.NWBFile(
        session_description="noise", identifier="1", session_start_time=datetime(2026, 1, 1, tzinfo=UTC), session_id="1"
    )
    device = content.create_device(name="array")
    group = content.create_electrode_group(name="shank", description="d", location="M1", device=device)
    for _ in range(2):
        content.add_electrode(group=group, location="M1")
    counts = random.normal(0, 100, (int(SECONDS * RATE_HZ), 2)).astype(np.int16)
    electrodes = content.create_electrode_table_region(region=[0, 1], description="both")
    series = ElectricalSeries(name="lfp", data=counts, electrodes=electrodes, rate=RATE_HZ, conversion=1e-6)
    lfp = LFP(electrical_series=series)
    content.create_processing_module(name="ecephys", description="d").add(lfp)
    speed = BehavioralTimeSeries()
    values = np.cumsum(random.normal(size=SECONDS * 20))
    speed.create_timeseries(name="speed", data=values, unit="cm/s", rate=20.0)
    content.create_processing_module(name="behavior", description="d").add(speed)
    return content
