"""The generated decoder on this machine, step by step as fast as Python can call it: for timing, and for long runs."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError
from edgebci.firmware_sim.host_twin import read_fields
from edgebci.firmware_sim.toolchain import NATIVE

STEP_HARNESS = NATIVE / "harness_step.c"
"""What `toolchain.compile_host` must compile the generated C with."""


class _Sizes(ctypes.Structure):
    """edgebci_step_sizes_t of harness_step.c."""

    _fields_ = tuple(
        (name, ctypes.c_uint32)
        for name in ("frame_offset", "frame_bytes", "output_offset", "outputs", "context_bytes", "fields")
    )


class HostStepper:
    """The decoder alone, without its front end: frames in, outputs out.

    Frame and output are arrays over the C context, and addresses are made once: a step is one copy of the frame and
    one call.
    """

    def __init__(self, library: Path) -> None:
        """Load what `toolchain.compile_host` built with STEP_HARNESS; raises InputError if it is no such library."""
        try:
            self._library = ctypes.CDLL(str(library.resolve()))
            sizes = _Sizes.in_dll(self._library, "edgebci_step_sizes")
            found = (ctypes.c_char * 32).in_dll(self._library, "edgebci_instructions").value
        except (OSError, ValueError) as error:
            raise InputError(f"{library} is no library of steps ({error}); compile the generated C again") from error
        self.instructions = found.decode()
        self._context = np.zeros(-(-int(sizes.context_bytes) // 8), np.uint64)
        self._content = content = self._context.view(np.uint8)
        self._fields = read_fields(self._library, int(sizes.fields))
        frame = content[sizes.frame_offset : sizes.frame_offset + sizes.frame_bytes]
        self._frame: NDArray[Any] = frame.view(np.float32)
        self._output = content[sizes.output_offset : sizes.output_offset + 4 * sizes.outputs].view(np.float32)
        self._address = ctypes.c_void_p(self._context.ctypes.data)
        self._one = self._library.edgebci_decoder_step
        self._one.argtypes, self._one.restype = (ctypes.c_void_p,), None
        self._many = self._library.edgebci_steps
        self._many.argtypes, self._many.restype = (ctypes.c_void_p, ctypes.c_uint32), None
        self.reset()

    def reset(self) -> None:
        """All states to zero, as at power-on."""
        self._library.edgebci_init(self._address)

    def of_type(self, like: NDArray[Any]) -> None:
        """Take frames of the shape and type of `like`, not flat float32; raises InputError for another size."""
        if like.nbytes != self._frame.nbytes:
            raise InputError(f"a frame has {like.nbytes} bytes; this decoder takes {self._frame.nbytes}")
        self._frame = self._frame.view(like.dtype).reshape(like.shape)

    def step(self, frame: NDArray[Any]) -> NDArray[np.float32]:
        """Decode one frame; the output is overwritten by the next step, so copy what must stay."""
        self._frame[...] = frame
        self._one(self._address)
        return self._output

    def steps(self, n: int) -> None:
        """Decode the last frame n times more, in a loop in C."""
        self._many(self._address, n)

    def stream(self, frames: NDArray[Any]) -> NDArray[np.float32]:
        """Decode (T, ...) from where the stream stands: (T, n_outputs)."""
        return np.stack([self.step(frame).copy() for frame in frames])

    def states(self) -> dict[str, NDArray[Any]]:
        """Copies of every part of the context by its name, flat."""
        return {
            name: np.frombuffer(self._content.tobytes(), kind, count, offset)
            for name, (kind, offset, count) in self._fields.items()
        }

    def snapshot(self) -> NDArray[np.uint8]:
        """A copy of the whole context, for `restore`."""
        return self._content.copy()

    def restore(self, snapshot: NDArray[np.uint8]) -> None:
        """Go on where `snapshot` was taken, by the same library."""
        self._content[:] = snapshot
