"""The ctypes side of the runner, against a library that holds each call to the CUDA Runtime API's signature."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgebci.export.tensorrt.cuda_buffers import Cuda, CudaError, open_cuda

VOID, SIZE, INT, UINT, LONG = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_uint,
    ctypes.c_ulonglong,
)
REFERENCE = "reference"
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cudaStreamCreateWithFlags": (REFERENCE, UINT),
    "cudaMalloc": (REFERENCE, SIZE),
    "cudaHostAlloc": (REFERENCE, SIZE, UINT),
    "cudaMemcpyAsync": (VOID, VOID, SIZE, INT, VOID),
    "cudaMemsetAsync": (VOID, INT, SIZE, VOID),
    "cudaStreamSynchronize": (VOID,),
    "cudaStreamBeginCapture": (VOID, INT),
    "cudaStreamEndCapture": (VOID, REFERENCE),
    "cudaGraphInstantiateWithFlags": (REFERENCE, VOID, LONG),
    "cudaGraphLaunch": (VOID, VOID),
    "cudaDeviceGetAttribute": (REFERENCE, INT, INT),
    "cudaRuntimeGetVersion": (REFERENCE,),
}


class FakeLibrary:
    """Runs everything at once in memory of this process; handles count up from 1,000."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failing: dict[str, int] = {}
        self._handles = iter(range(1000, 2000))
        self._kept: list[Any] = []
        self._does: dict[str, Callable[..., Any]] = {
            "cudaMalloc": self._allocate,
            "cudaHostAlloc": self._allocate,
            "cudaMemcpyAsync": self._copy,
            "cudaMemsetAsync": self._set,
            "cudaDeviceGetAttribute": self._attribute,
            "cudaRuntimeGetVersion": self._version,
        }

    def __getattr__(self, name: str) -> Any:
        if name not in SIGNATURES:
            raise AttributeError(f"CUDA's runtime has no {name}")

        def call(*given: Any) -> int:
            self._check(name, given)
            self.calls.append(name)
            if name not in self.failing:
                does: Callable[..., Any] = self._does.get(name, self._hand_out)
                does(*given)
            return self.failing.get(name, 0)

        return call

    def _check(self, name: str, given: tuple[Any, ...]) -> None:
        wanted = SIGNATURES[name]
        assert len(given) == len(wanted), name
        for value, kind in zip(given, wanted, strict=True):
            assert hasattr(value, "_obj") if kind is REFERENCE else isinstance(value, kind), (name, value)

    def _hand_out(self, *given: Any) -> None:
        for value in given:
            if hasattr(value, "_obj"):
                value._obj.value = next(self._handles)

    def _allocate(self, place: Any, size: Any, *flags: Any) -> None:
        self._kept.append(ctypes.create_string_buffer(b"\xff" * size.value, size.value))
        place._obj.value = ctypes.addressof(self._kept[-1])

    def _copy(self, target: Any, source: Any, size: Any, direction: Any, stream: Any) -> None:
        assert direction.value in (1, 2)
        ctypes.memmove(target.value, source.value, size.value)

    def _set(self, target: Any, value: Any, size: Any, stream: Any) -> None:
        ctypes.memset(target.value, value.value, size.value)

    def _attribute(self, place: Any, number: Any, device: Any) -> None:
        place._obj.value = {75: 8, 76: 7}[number.value]

    def _version(self, place: Any) -> None:
        place._obj.value = 12060


def test_values_go_to_the_device_and_back() -> None:
    cuda = Cuda(FakeLibrary())
    source, target = cuda.pinned((2, 3), np.float32), cuda.pinned((2, 3), np.float32)
    source[:] = np.arange(6).reshape(2, 3)
    address = cuda.memory(source.nbytes)
    cuda.to_device(address, source)
    cuda.to_host(target, address)
    cuda.wait()
    assert np.array_equal(target, np.arange(6.0).reshape(2, 3))
    cuda.zero(address, target.nbytes)
    cuda.to_host(target, address)
    assert not target.any()


def test_a_graph_is_captured_on_the_stream_and_launched_there() -> None:
    library = FakeLibrary()
    cuda = Cuda(library)
    graph = cuda.capture(lambda: library.calls.append("work"))
    cuda.launch(graph)
    assert library.calls[1:] == [
        "cudaStreamBeginCapture",
        "work",
        "cudaStreamEndCapture",
        "cudaGraphInstantiateWithFlags",
        "cudaGraphLaunch",
    ]


def test_a_capture_ends_where_its_work_fails() -> None:
    library = FakeLibrary()
    with pytest.raises(ZeroDivisionError):
        Cuda(library).capture(lambda: 1 // 0)  # type: ignore[arg-type]
    assert library.calls[-1] == "cudaStreamEndCapture"


def test_the_device_and_the_library_say_their_versions() -> None:
    cuda = Cuda(FakeLibrary())
    assert (cuda.compute_capability(), cuda.runtime_version()) == ("8.7", "12.6")


def test_an_error_names_the_call_and_the_number() -> None:
    library = FakeLibrary()
    library.failing["cudaMalloc"] = 2
    with pytest.raises(CudaError, match=r"cudaMalloc failed with CUDA error 2; see cudaError_t"):
        Cuda(library).memory(8)


def test_no_library_is_one_sentence() -> None:
    with pytest.raises(CudaError, match=r"(no CUDA runtime here|failed with CUDA error)"):
        open_cuda(["no-such-library.so"])
