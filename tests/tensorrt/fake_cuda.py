"""A stand-in for `cuda_buffers.Cuda` with a memory of its own, and for an engine that runs in it.

Work of the stream runs when somebody waits, as on a device; while a graph is captured it is only recorded, with the
addresses that were bound then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgebci.export.tensorrt.run_decoder import TensorInfo

Work = Callable[[], None]


class FakeCuda:
    stream = 7

    def __init__(self) -> None:
        self.device: dict[int, bytearray] = {}
        self.host: list[np.ndarray[Any, Any]] = []
        self.graphs: dict[int, list[Work]] = {}
        self.launched: list[int] = []
        self.log: list[tuple[str, int]] = []
        self._queue: list[Work] = []
        self._captured: list[Work] | None = None

    def memory(self, n_bytes: int) -> int:
        address = 4096 * (len(self.device) + 1)
        self.device[address] = bytearray(b"\xff" * n_bytes)  # what was there before: not zeros
        return address

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
        self.host.append(np.empty(shape, dtype))
        return self.host[-1]

    def to_device(self, address: int, source: np.ndarray[Any, Any]) -> None:
        assert any(source is array for array in self.host), "a copy from memory that is not pinned"
        assert source.nbytes == len(self.device[address])
        self.enqueue("to_device", address, lambda: self.write(address, source))

    def to_host(self, target: np.ndarray[Any, Any], address: int) -> None:
        assert any(target is array for array in self.host), "a copy to memory that is not pinned"
        self.enqueue("to_host", address, lambda: np.copyto(target, self.read(address, target.dtype, target.shape)))

    def zero(self, address: int, n_bytes: int) -> None:
        assert n_bytes == len(self.device[address])
        self.enqueue("zero", address, lambda: self.write(address, np.zeros(n_bytes, np.uint8)))

    def wait(self) -> None:
        assert self._captured is None, "waiting inside a capture"
        for work in self._queue:
            work()
        self._queue.clear()

    def capture(self, work: Work) -> int:
        self._captured = []
        work()
        number = 100 + len(self.graphs)
        self.graphs[number], self._captured = self._captured, None
        return number

    def launch(self, graph: int) -> None:
        self.launched.append(graph)
        self._queue += self.graphs[graph]

    def enqueue(self, what: str, address: int, work: Work) -> None:
        self.log.append((what, address))
        (self._queue if self._captured is None else self._captured).append(work)

    def write(self, address: int, values: np.ndarray[Any, Any]) -> None:
        self.device[address][:] = values.tobytes()

    def read(self, address: int, dtype: Any, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        return np.frombuffer(bytes(self.device[address]), dtype).reshape(shape)


class FakeContext:
    """An engine that computes slow.next = 0.5 slow + frame, fast.next = slow, output = [sum(slow.next), sum(fast)]."""

    TENSORS = (
        TensorInfo("frame", (3,), np.float32, True),
        TensorInfo("slow", (3,), np.float32, True),
        TensorInfo("fast", (3,), np.float32, True),
        TensorInfo("output", (2,), np.float32, False),
        TensorInfo("slow.next", (3,), np.float32, False),
        TensorInfo("fast.next", (3,), np.float32, False),
    )

    def __init__(self, cuda: FakeCuda) -> None:
        self._cuda, self._bound, self.refuses = cuda, dict[str, int](), False

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert address in self._cuda.device
        self._bound[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == self._cuda.stream
        bound = dict(self._bound)
        reads = {bound[name] for name in ("frame", "slow", "fast")}
        writes = {bound[name] for name in ("output", "slow.next", "fast.next")}
        assert len(reads) == len(writes) == 3
        assert not reads & writes, "a step writes where it reads"
        self._cuda.enqueue("execute", 0, lambda: self._step(bound))
        return not self.refuses

    def _step(self, bound: dict[str, int]) -> None:
        frame, slow, fast = (self._cuda.read(bound[name], np.float32, (3,)) for name in ("frame", "slow", "fast"))
        following = np.float32(0.5) * slow + frame
        self._cuda.write(bound["slow.next"], following)
        self._cuda.write(bound["fast.next"], slow)
        self._cuda.write(bound["output"], np.asarray([following.sum(), fast.sum()], np.float32))


def expected(frames: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(T, 2): what FakeContext gives from zero states."""
    slow = fast = np.zeros(3, np.float32)
    outputs = []
    for frame in frames:
        following = np.float32(0.5) * slow + frame
        outputs.append([following.sum(), fast.sum()])
        slow, fast = following, slow
    return np.asarray(outputs, np.float32)
