"""What a temporaldata recording holds, found without loading any array.

`vars(object)` shows the datasets on disk; getattr on a lazy object would load them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from temporaldata import Data, Interval, IrregularTimeSeries, RegularTimeSeries

from edgebci.errors import InputError
from edgebci.recordings.model import F64, Behavior, BehaviorInfo, IntervalInfo

LFP_NAMES = ("lfp", "ecog", "ieeg", "seeg", "seeg_data", "eeg", "broadband")
SPLIT_NAMES = {"train": "train_domain", "valid": "valid_domain", "test": "test_domain"}
MICROVOLT_PER = {
    "uv": 1.0,
    "µv": 1.0,
    "microvolt": 1.0,
    "microvolts": 1.0,
    "mv": 1e3,
    "v": 1e6,
    "volt": 1e6,
    "volts": 1e6,
}
Series: TypeAlias = RegularTimeSeries | IrregularTimeSeries


@dataclass(frozen=True)
class Field:
    """One array of a time series: its name to the user, the series' group, the series and the array's name in it."""

    name: str
    group: str
    series: Any
    field: str

    @property
    def dataset(self) -> h5py.Dataset:
        """The array on disk; getattr would load it."""
        return self.series.__dict__[self.field]

    @property
    def unit(self) -> str:
        """The dataset's `unit` attribute, or nothing."""
        return text(self.dataset.attrs.get("unit", ""))

    def info(self) -> BehaviorInfo:
        """Name, unit, rate and extent."""
        domain = self.series.domain
        regular = isinstance(self.series, RegularTimeSeries)
        return BehaviorInfo(
            name=self.name,
            unit=self.unit,
            rate_hz=float(self.series.sampling_rate) if regular else None,
            n_samples=self.dataset.shape[0],
            n_dims=int(np.prod(self.dataset.shape[1:])),
            start_s=float(domain.start[0]),
            end_s=float(domain.end[-1]),
        )

    def read(self) -> Behavior:
        """All samples, by one slice over the series' whole time."""
        start, end = self.series.domain.start[0], self.series.domain.end[-1]
        part = self.series.slice(start, end, reset_origin=False)
        values = getattr(part, self.field)
        times = np.asarray(part.timestamps, dtype=np.float64)
        names = tuple(text(a) for a in self.dataset.attrs.get("axis_names", ()))
        values = values.reshape(len(values), self.info().n_dims).astype(np.float64)
        if len(names) != values.shape[1]:
            names = (self.name,) if values.shape[1] == 1 else tuple(f"{self.name}[{i}]" for i in range(values.shape[1]))
        return Behavior(times, values, self.unit, names)


def find_lfp(path: Path, data: Data) -> Field:
    """The LFP of a recording; raises InputError, listing what there is, where there is none."""
    for name in LFP_NAMES:
        series = getattr(data, name, None)
        if isinstance(series, RegularTimeSeries):
            return Field(name, name, series, next(iter(members(series))))
    raise InputError(
        f"{path} has no LFP: it holds {listed(list(members(data)))}; an LFP is a RegularTimeSeries "
        f"named one of {', '.join(LFP_NAMES)}"
    )


def find_behavior(data: Data, lfp_group: str) -> Iterator[Field]:
    """Every numeric array of every time series but the LFP and the spikes."""
    for prefix, holder in [("", data), *_nested(data)]:
        for group, series in members(holder).items():
            if isinstance(series, Series) and not (holder is data and group in (lfp_group, "spikes")):
                fields = [f for f, array in members(series).items() if f != "timestamps" and array.dtype.kind in "biuf"]
                for field in fields:
                    name = group if len(fields) == 1 else f"{group}.{field}"
                    yield Field(prefix + name, prefix + group, series, field)


def find_intervals(data: Data) -> Iterator[tuple[str, Interval]]:
    """Every Interval of the file; `train_domain` is shown as `train`, and `quality` loses its prefix."""
    shown = {stored: name for name, stored in SPLIT_NAMES.items()}
    for prefix, holder in [("", data), *_nested(data)]:
        for name, value in members(holder).items():
            if isinstance(value, Interval):
                yield prefix + shown.get(name, name), value


def members(holder: object) -> dict[str, Any]:
    """The public attributes of a temporaldata object as they are stored: unloaded arrays stay h5py datasets."""
    return {name: value for name, value in vars(holder).items() if not name.startswith("_")}


def _nested(data: Data) -> list[tuple[str, Data]]:
    """The Data objects inside `data`, each with the prefix that its members' names get."""
    inner = [(key, value) for key, value in members(data).items() if isinstance(value, Data)]
    return [("" if key in ("behavior", "quality") else f"{key}.", value) for key, value in inner]


def microvolt_per_unit(path: Path, lfp: Field) -> float:
    """Microvolt in one unit of the file.

    brainsets files name no unit: then size tells volt from microvolt, as no LFP reaches 50 mV or stays below 0.5 uV.
    """
    if lfp.unit:
        if lfp.unit.lower() not in MICROVOLT_PER:
            raise InputError(f"{path}: the LFP's unit is {lfp.unit!r}; allowed: uV, mV, V")
        return MICROVOLT_PER[lfp.unit.lower()]
    if lfp.dataset.dtype.kind != "f":
        raise InputError(
            f"{path}: {lfp.group}/{lfp.field} holds {lfp.dataset.dtype} counts and has no unit attribute; store "
            "microvolt, or set the attribute unit to uV, mV or V"
        )
    start = lfp.series.domain.start[0]
    first = getattr(lfp.series.slice(start, start + 10.0, reset_origin=False), lfp.field)
    largest = float(np.nanmax(np.abs(first), initial=0.0))
    if 0.05 < largest < 0.5:
        raise InputError(
            f"{path}: {lfp.group}/{lfp.field} has no unit attribute and its size, {largest:g}, fits neither volt nor "
            "microvolt; set the attribute unit to uV, mV or V"
        )
    return 1e6 if 0.0 < largest <= 0.05 else 1.0


def channels(data: Data, n_channels: int) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Names of the LFP's channels, and whether each carries a signal."""
    names = tuple(f"channel {i}" for i in range(n_channels))
    table = getattr(data, "channels", None)
    if table is None or len(table) != n_channels:
        return names, (True,) * n_channels
    if "id" in table:
        names = tuple(text(name) for name in table.id)
    good = table.good if "good" in table else np.ones(n_channels, dtype=bool)
    return names, tuple(bool(g) for g in good)


def interval_info(name: str, rows: F64) -> IntervalInfo:
    """Count and total of a (K, 2) set."""
    return IntervalInfo(name=name, count=len(rows), total_s=float(np.sum(rows[:, 1] - rows[:, 0])))


def identity(data: Data, key: str) -> str:
    """The id of `subject` or `session`; brainsets calls them so too."""
    return text(getattr(getattr(data, key, None), "id", "unknown"))


def text(value: object) -> str:
    """An HDF5 string attribute as str."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def listed(names: list[str]) -> str:
    """The first dozen names, for a message."""
    return ", ".join(sorted(names)[:12]) or "nothing"
