"""temporaldata's HDF5 layout, written piece by piece through h5py.

The library writes whole arrays only; a recording larger than memory needs its groups made by hand. Each function
makes one group as `to_hdf5` of the class in its name does (temporaldata 0.1), plus a `unit` attribute on datasets.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgebci.recordings.model import F64

SIGNAL = "signal"
VALUES = "values"


def mark_data(group: h5py.Group) -> None:
    """Make `group` a temporaldata.Data."""
    group.attrs["object"] = "Data"
    group.attrs["absolute_start"] = 0.0


def write_interval(parent: h5py.Group, name: str, intervals_s: F64) -> None:
    """Write (K, 2) start and end times in seconds as an Interval."""
    group = parent.create_group(name)
    for column, key in enumerate(("start", "end")):
        _dataset(group, key, np.ascontiguousarray(intervals_s[:, column], dtype=np.float64), "s")
    group.attrs["timekeys"] = np.array(["start", "end"], dtype="S")
    group.attrs["_unicode_keys"] = np.array([], dtype="S")
    group.attrs["object"] = "Interval"


def write_table(parent: h5py.Group, name: str, columns: Mapping[str, ArrayLike]) -> None:
    """Write columns of one length as an ArrayDict; text becomes bytes and is listed, as the library does."""
    group = parent.create_group(name)
    arrays = {key: np.asarray(column) for key, column in columns.items()}
    for key, array in arrays.items():
        _dataset(group, key, _ascii(array) if array.dtype.kind == "U" else array)
    group.attrs["_unicode_keys"] = np.array([k for k, a in arrays.items() if a.dtype.kind == "U"], dtype="S")
    group.attrs["object"] = "ArrayDict"


def write_regular(
    parent: h5py.Group, name: str, values: NDArray[np.generic], *, rate_hz: float, start_s: float, unit: str
) -> h5py.Dataset:
    """Write (N, ...) values at one rate as a RegularTimeSeries."""
    group = parent.create_group(name)
    dataset = _dataset(group, VALUES, values, unit)
    finish_regular(group, rate_hz, np.array([[start_s, start_s + len(values) / rate_hz]]))
    return dataset


def finish_regular(group: h5py.Group, rate_hz: float, domain_s: F64) -> None:
    """Add what makes `group`, whose datasets stand already, a RegularTimeSeries; several domain rows mean gaps."""
    write_interval(group, "domain", domain_s)
    group.attrs["object"] = "RegularTimeSeries"
    group.attrs["sampling_rate"] = float(rate_hz)


def write_irregular(
    parent: h5py.Group, name: str, timestamps_s: F64, columns: Mapping[str, NDArray[np.generic]], domain_s: F64
) -> h5py.Group:
    """Write ascending timestamps (N,) and columns (N, ...) as an IrregularTimeSeries.

    `domain_s` must end after the last timestamp: the library's lazy slice drops a sample that stands on the end.
    """
    group = parent.create_group(name)
    _dataset(group, "timestamps", timestamps_s, "s")
    for key, column in columns.items():
        _dataset(group, key, column)
    seconds = np.arange(domain_s[0, 0], domain_s[-1, 1] + 1.0, 1.0, dtype=np.float64)
    _dataset(group, "timestamp_indices_1s", np.searchsorted(timestamps_s, seconds))
    write_interval(group, "domain", domain_s)
    group.attrs["timekeys"] = np.array(["timestamps"], dtype="S")
    group.attrs["_unicode_keys"] = np.array([], dtype="S")
    group.attrs["object"] = "IrregularTimeSeries"
    return group


def flush(item: h5py.File | h5py.Dataset) -> None:
    """Write out what HDF5 still holds of a file or dataset.

    A full disk must show here, while the file can be given up in order, and not when something closes: HDF5 can't
    recover from a close that fails.

    Raises:
        OSError: with the system's error number, as other calls of h5py do.
    """
    try:
        item.flush()
    except RuntimeError as error:
        number = re.search(r"errno = (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error


def _dataset(group: h5py.Group, name: str, values: NDArray[np.generic], unit: str = "") -> h5py.Dataset:
    dataset = group.create_dataset(name, data=values)
    if unit:
        dataset.attrs["unit"] = unit
    flush(dataset)
    return dataset


def _ascii(text: NDArray[np.generic]) -> NDArray[np.bytes_]:
    """The library stores text as ASCII; what ASCII lacks is written as an escape such as \\xb5."""
    encoded = [str(t).encode("ascii", "backslashreplace") for t in text.ravel()]
    return np.array(encoded, dtype="S" if encoded else "S1").reshape(text.shape)
