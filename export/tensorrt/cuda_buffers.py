"""The few calls of CUDA's runtime that a decoder needs, through ctypes: memory, one stream, and captured graphs.

Part of a Jetson bundle: needs Python 3.10, numpy and libcudart, which JetPack has; no binding has to be installed.
Constants: CUDA Runtime API, modules 6.1 (device), 6.4 (stream), 6.9 (memory), 6.30 (graph).
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

NAMES = ("libcudart.so", "libcudart.so.13", "libcudart.so.12", "/usr/local/cuda/lib64/libcudart.so")
_NON_BLOCKING, _THREAD_LOCAL, _TO_DEVICE, _TO_HOST = 1, 1, 1, 2
_MAJOR, _MINOR = 75, 76
"""Attributes of a device: its compute capability."""


class CudaError(RuntimeError):
    """One sentence on what CUDA refused."""


def open_cuda(names: Sequence[str] = NAMES) -> Cuda:
    """Open the first library that there is.

    Raises:
        CudaError: there is none.
    """
    for name in (*names, ctypes.util.find_library("cudart") or ""):
        try:
            if name:
                return Cuda(ctypes.CDLL(name))
        except OSError:
            continue
    raise CudaError(f"no CUDA runtime here (looked for {', '.join(names)}); install JetPack's cuda-cudart")


class Cuda:
    """One device and one stream, on which everything is ordered.

    Every address is an int. All memory is given back with the process.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._stream = ctypes.c_void_p()
        self._call("cudaStreamCreateWithFlags", ctypes.byref(self._stream), ctypes.c_uint(_NON_BLOCKING))

    @property
    def stream(self) -> int:
        """Its handle."""
        return self._stream.value or 0

    def memory(self, n_bytes: int) -> int:
        """Memory of the device."""
        address = ctypes.c_void_p()
        self._call("cudaMalloc", ctypes.byref(address), ctypes.c_size_t(n_bytes))
        return address.value or 0

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
        """An array of the host that stays where it is, so that copies from and to it need no detour."""
        kind = np.dtype(dtype)
        n_bytes = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        address = ctypes.c_void_p()
        self._call("cudaHostAlloc", ctypes.byref(address), ctypes.c_size_t(n_bytes), ctypes.c_uint(0))
        content = (ctypes.c_char * n_bytes).from_address(address.value or 0)
        return np.frombuffer(content, kind).reshape(shape)

    def to_device(self, address: int, source: np.ndarray[Any, Any]) -> None:
        """Enqueue a copy of a pinned array."""
        self._copy(address, source.ctypes.data, source.nbytes, _TO_DEVICE)

    def to_host(self, target: np.ndarray[Any, Any], address: int) -> None:
        """Enqueue a copy into a pinned array."""
        self._copy(target.ctypes.data, address, target.nbytes, _TO_HOST)

    def zero(self, address: int, n_bytes: int) -> None:
        """Enqueue zeros."""
        given = (ctypes.c_void_p(address), ctypes.c_int(0), ctypes.c_size_t(n_bytes), self._stream)
        self._call("cudaMemsetAsync", *given)

    def wait(self) -> None:
        """Until all that was enqueued is done."""
        self._call("cudaStreamSynchronize", self._stream)

    def capture(self, work: Callable[[], None]) -> int:
        """Record what `work` enqueues, without running it, as a graph that one call launches."""
        graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cudaStreamBeginCapture", self._stream, ctypes.c_int(_THREAD_LOCAL))
        try:
            work()
        finally:
            self._call("cudaStreamEndCapture", self._stream, ctypes.byref(graph))
        self._call("cudaGraphInstantiateWithFlags", ctypes.byref(ready), graph, ctypes.c_ulonglong(0))
        return ready.value or 0

    def launch(self, graph: int) -> None:
        """Enqueue a captured graph."""
        self._call("cudaGraphLaunch", ctypes.c_void_p(graph), self._stream)

    def compute_capability(self) -> str:
        """Of the device, `8.7`."""
        return f"{self._attribute(_MAJOR)}.{self._attribute(_MINOR)}"

    def runtime_version(self) -> str:
        """Of the library, `12.6`."""
        version = ctypes.c_int()
        self._call("cudaRuntimeGetVersion", ctypes.byref(version))
        return f"{version.value // 1000}.{version.value % 1000 // 10}"

    def _attribute(self, number: int) -> int:
        value = ctypes.c_int()
        self._call("cudaDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(number), ctypes.c_int(0))
        return value.value

    def _copy(self, target: int, source: int, n_bytes: int, direction: int) -> None:
        given = (ctypes.c_void_p(target), ctypes.c_void_p(source), ctypes.c_size_t(n_bytes), ctypes.c_int(direction))
        self._call("cudaMemcpyAsync", *given, self._stream)

    def _call(self, name: str, *given: Any) -> None:
        status = getattr(self._library, name)(*given)
        if status:
            raise CudaError(f"{name} failed with CUDA error {status}; see cudaError_t in the CUDA Runtime API")
