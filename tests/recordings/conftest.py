"""NWB files made to order."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pynwb
import pytest
from numpy.typing import NDArray
from pynwb.behavior import BehavioralTimeSeries, Position, SpatialSeries
from pynwb.ecephys import LFP, ElectricalSeries

Array = NDArray[np.generic]


def noise(n_samples: int = 4000, n_channels: int = 3, seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).normal(0, 100, (n_samples, n_channels)).astype(np.int16)


@dataclass
class NwbRecipe:
    """What goes into a test file; times in seconds, rates in hertz."""

    lfp: Array | None = field(default_factory=noise)
    rate_hz: float = 250.0
    start_s: float = 0.0
    timestamps_s: Array | None = None
    conversion: float = 1e-6
    channel_conversion: Array | None = None
    offset_v: float = 0.0
    place: str = "LFP"  # LFP; acquisition; both of these; probes: two in LFP
    speed: Array | None = field(default_factory=lambda: np.arange(800.0))
    speed_rate_hz: float = 50.0
    speed_start_s: float = 0.0
    speed_timestamps_s: Array | None = None
    position: Array | None = None
    spike_times_s: list[Array] = field(default_factory=list)
    pulses_s: Array | None = None
    invalid_s: list[tuple[float, float]] = field(default_factory=list)


NwbMaker = Callable[..., Path]


@pytest.fixture
def make_nwb(tmp_path: Path) -> NwbMaker:
    """Write `in.nwb` in the test's folder; keywords are the fields of NwbRecipe."""

    def make(**fields: Any) -> Path:
        recipe, path = NwbRecipe(**fields), tmp_path / "in.nwb"
        with warnings.catch_warnings():
            # pynwb warns of style while an object is not yet in a file.
            warnings.simplefilter("ignore")
            content = _content(recipe)
            with pynwb.NWBHDF5IO(str(path), "w") as io:
                io.write(content)
        return path

    return make


def _content(recipe: NwbRecipe) -> pynwb.NWBFile:
    content = pynwb.NWBFile(
        session_description="made for a test",
        identifier="session 1",
        session_start_time=datetime(2020, 1, 1, tzinfo=UTC),
    )
    if recipe.lfp is not None:
        _add_lfp(content, recipe)
    _add_behavior(content, recipe)
    for times in recipe.spike_times_s:
        content.add_unit(spike_times=times)
    for start, stop in recipe.invalid_s:
        content.add_invalid_time_interval(start_time=start, stop_time=stop)
    if recipe.pulses_s is not None:
        content.add_stimulus(
            pynwb.TimeSeries(
                name="pulses", data=np.ones(len(recipe.pulses_s)), unit="pulse", timestamps=recipe.pulses_s
            )
        )
    return content


def _add_lfp(content: pynwb.NWBFile, recipe: NwbRecipe) -> None:
    assert recipe.lfp is not None
    n_channels = recipe.lfp.shape[1]
    device = content.create_device(name="recorder")
    group = content.create_electrode_group(name="probe", description="-", location="M1", device=device)
    for _ in range(n_channels):
        content.add_electrode(group=group, location="M1")
    module = content.create_processing_module(name="ecephys", description="-")
    container = LFP(name="LFP")
    if recipe.place != "acquisition":
        module.add(container)
        container.add_electrical_series(_electrical(content, recipe, "lfp"))
    if recipe.place == "probes":
        container.add_electrical_series(_electrical(content, recipe, "other"))
    if recipe.place in ("acquisition", "both"):
        content.add_acquisition(_electrical(content, recipe, "raw"))


def _electrical(content: pynwb.NWBFile, recipe: NwbRecipe, name: str) -> ElectricalSeries:
    assert recipe.lfp is not None
    regular = recipe.timestamps_s is None
    return ElectricalSeries(
        name=name,
        data=recipe.lfp,
        electrodes=content.create_electrode_table_region(
            region=list(range(recipe.lfp.shape[1])), description="all of them"
        ),
        rate=recipe.rate_hz if regular else None,
        starting_time=recipe.start_s if regular else None,
        timestamps=recipe.timestamps_s,
        conversion=recipe.conversion,
        channel_conversion=recipe.channel_conversion,
        offset=recipe.offset_v,
    )


def _add_behavior(content: pynwb.NWBFile, recipe: NwbRecipe) -> None:
    if recipe.speed is None and recipe.position is None:
        return
    module = content.create_processing_module(name="behavior", description="-")
    if recipe.speed is not None:
        regular = recipe.speed_timestamps_s is None
        series = pynwb.TimeSeries(
            name="speed",
            data=recipe.speed,
            unit="cm/s",
            rate=recipe.speed_rate_hz if regular else None,
            starting_time=recipe.speed_start_s if regular else None,
            timestamps=recipe.speed_timestamps_s,
        )
        module.add(BehavioralTimeSeries(time_series=series, name="tracking"))
    if recipe.position is not None:
        where = SpatialSeries(
            name="hand", data=recipe.position, unit="metres", reference_frame="table", rate=recipe.speed_rate_hz
        )
        module.add(Position(spatial_series=where, name="Position"))
