"""The host twin: the generated C compiled for this machine, for scoring whole test sets with the device's own bits."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError


@dataclass(frozen=True)
class DeviceRun:
    """What the device gave for K frames.

    Fields:
        outputs: (K, D) float32, decoded values, also where they are not valid.
        valid: (K,) bool.
        features: (K, F) float32, the normalised frames that the decoder saw.
    """

    outputs: NDArray[np.float32]
    valid: NDArray[np.bool_]
    features: NDArray[np.float32]


class _Sizes(ctypes.Structure):
    """edgebci_host_sizes_t of harness_host.c."""

    _fields_ = tuple(
        (name, ctypes.c_uint32)
        for name in (
            "channels",
            "count_bytes",
            "samples_per_frame",
            "features",
            "outputs",
            "context_bytes",
            "fields",
        )
    )


class _Field(ctypes.Structure):
    """edgebci_field_t of decoder.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_char_p),
        ("offset", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
    )


class HostTwin:
    """One stream through the generated C. State lives on between pushes, as on the device."""

    def __init__(self, library: Path) -> None:
        """Load what `toolchain.compile_host` built; raises InputError if it is not a host twin."""
        try:
            self._library = _private(library)
            sizes = _Sizes.in_dll(self._library, "edgebci_host_sizes")
        except (OSError, ValueError) as error:
            raise InputError(f"{library} is not a host twin ({error}); compile the exported C again") from error
        self.n_channels, self.samples_per_frame = int(sizes.channels), int(sizes.samples_per_frame)
        self._count_type = np.int16 if sizes.count_bytes == 2 else np.int32
        self._n_features, self._n_outputs = int(sizes.features), int(sizes.outputs)
        # uint64 so that the context is aligned for every member.
        self._context = np.zeros(-(-int(sizes.context_bytes) // 8), np.uint64)
        self._context_bytes = int(sizes.context_bytes)
        self._fields = read_fields(self._library, int(sizes.fields))
        self.power_on()

    def power_on(self) -> None:
        """Begin a new stream."""
        self._library.edgebci_init(_address(self._context))

    def reset(self) -> None:
        """Start the stream anew; frames go on counting."""
        self._library.edgebci_reset(_address(self._context))

    def load_parameters(self, block: bytes) -> int:
        """Give the stream a parameter block; returns what the C says, 0 for taken. Power-on undoes it."""
        return int(self._library.edgebci_load_parameters(_address(self._context), block, ctypes.c_uint32(len(block))))

    def run(self, counts: NDArray[np.integer[Any]], missing: NDArray[np.bool_] | None = None) -> DeviceRun:
        """Power on and push a whole recording; see `push`."""
        self.power_on()
        return self.push(counts, missing)

    def push(self, counts: NDArray[np.integer[Any]], missing: NDArray[np.bool_] | None = None) -> DeviceRun:
        """Push (T, C) counts, of which `missing` (T,) never arrived; returns the frames that they finished."""
        if counts.ndim != 2 or counts.shape[1] != self.n_channels:
            raise InputError(f"counts have shape {counts.shape}; this decoder takes (samples, {self.n_channels})")
        rows = np.ascontiguousarray(counts, self._count_type)
        lost = np.zeros(len(rows), np.uint8) if missing is None else np.ascontiguousarray(missing, np.uint8)
        most = len(rows) // self.samples_per_frame + 1
        outputs = np.empty((most, self._n_outputs), np.float32)
        features = np.empty((most, self._n_features), np.float32)
        valid = np.empty(most, np.uint8)
        arrays = [_address(array) for array in (self._context, rows, lost)]
        results = [_address(array) for array in (outputs, valid, features)]
        n = self._library.edgebci_host_push(*arrays, ctypes.c_uint32(len(rows)), *results)
        return DeviceRun(outputs[:n], valid[:n].astype(bool), features[:n])

    def step_again(self) -> None:
        """One more step of the decoder alone, on the frame that it saw last: for timing it."""
        self._library.edgebci_decoder_step(_address(self._context))

    @property
    def state_names(self) -> tuple[str, ...]:
        """What `state` knows: `conv.0`, `ssm.0`, `front_end.s1`, ..."""
        return tuple(self._fields)

    def state(self, name: str) -> NDArray[Any]:
        """A copy of one part of the context, flat."""
        dtype, offset, count = self._fields[name]
        return np.frombuffer(self._context.tobytes(), dtype, count, offset)

    def state_bytes(self) -> bytes:
        """The whole context: equal bytes on a core mean equal states, work memory and padding included."""
        return self._context.tobytes()[: self._context_bytes]


def _private(library: Path) -> ctypes.CDLL:
    """Load a copy that is then gone: a name that was loaded before would give what it held then."""
    with tempfile.TemporaryDirectory(prefix="edgebci-twin-") as folder:
        return ctypes.CDLL(str(shutil.copyfile(library, Path(folder) / library.name)))


def read_fields(library: ctypes.CDLL, n: int) -> dict[str, tuple[str, int, int]]:
    """Type, offset in bytes and number of elements of each part of the context, by its name."""
    return {
        bytes(field.name).decode(): (bytes(field.type).decode(), int(field.offset), int(field.count))
        for field in (_Field * n).in_dll(library, "edgebci_fields")
    }


def _address(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
