"""How often each edge between basic blocks was taken, counted by a native hook inside the emulator.

The hook, `native/block_hook.c`, is compiled for this machine at its first use and kept in the user's cache folder.
A Python callback in its place would run 20 times slower.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from unicorn.arm_const import UC_ARM_REG_LR
from unicorn.unicorn_const import UC_HOOK_BLOCK
from unicorn.unicorn_py3.unicorn import Uc, uclib

from edgebci.errors import VerificationError
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.toolchain import NATIVE, compile_host

CAPACITY = 1 << 16  # blocks, and edges; a decoder has about a thousand of each
LIMIT_REACHED, TABLE_FULL = 1, 2
_REGION_DEPTH = 8
_NOWHERE = 0xFFFFFFFF

# These three mirror block_t, edge_t and profile_t of block_hook.c.
BLOCK = np.dtype(
    [("key", "<u8", 2), ("edge", "<u4", 2), *((name, "<u4") for name in ("address", "size", "instructions", "region"))]
)
EDGE = np.dtype([("count", "<u8"), ("source", "<u4"), ("target", "<u4")])


class _Profile(ctypes.Structure):
    _fields_ = [
        *(
            (name, ctypes.c_void_p)
            for name in ("blocks", "edges", "block_slots", "edge_slots", "region_entries", "code")
        ),
        ("stop", ctypes.c_void_p),
        ("read_register", ctypes.c_void_p),
        ("instructions", ctypes.c_uint64),
        ("instruction_limit", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in ("code_address", "code_size", "n_region_entries", "capacity")),
        *((name, ctypes.c_uint32) for name in ("n_blocks", "n_edges", "current", "depth", "stopped", "return_address")),
        ("frames", ctypes.c_uint32 * (2 * _REGION_DEPTH)),
    ]


@dataclass(frozen=True)
class EdgeProfile:
    """Counts so far of B blocks and E edges.

    Block 0 is the host, which calls functions. A block ran as often as the edges into it were taken.
    """

    block_address: NDArray[np.uint32]  # (B,)
    block_size: NDArray[np.uint32]  # (B,) bytes
    block_instructions: NDArray[np.uint32]  # (B,) a failed condition counts as an instruction
    block_region: NDArray[np.uint32]  # (B,) index into the regions' names; 0 is outside all of them
    edge_source: NDArray[np.uint32]  # (E,) block index
    edge_target: NDArray[np.uint32]  # (E,) block index
    edge_count: NDArray[np.uint64]  # (E,)

    @property
    def executions(self) -> NDArray[np.uint64]:
        """How often each block ran, (B,)."""
        counts = np.zeros(len(self.block_address), np.uint64)
        np.add.at(counts, self.edge_target, self.edge_count)
        return counts

    @property
    def instructions(self) -> int:
        """Instructions executed, by blocks."""
        return int(self.executions @ self.block_instructions.astype(np.uint64))


class BlockCounter:
    """The native hook attached to one engine, and the tables that it fills."""

    def __init__(
        self, engine: Uc, image: FirmwareImage, code: NDArray[np.uint8], region_entries: tuple[int, ...]
    ) -> None:
        self._blocks = np.zeros(CAPACITY, BLOCK)
        self._edges = np.zeros(CAPACITY, EDGE)
        self._slots = np.zeros((2, 2 * CAPACITY), np.uint32)
        self._entries = np.array([*region_entries, 0], np.uint32)  # never empty, so that it has an address
        self._code = code
        self._profile = self._new_profile(image, len(region_entries))
        self._attach(engine)

    @property
    def instructions(self) -> int:
        """Instructions executed since the counter was made."""
        return int(self._profile.instructions)

    @property
    def stopped(self) -> int:
        """0, LIMIT_REACHED or TABLE_FULL."""
        return int(self._profile.stopped)

    def begin(self, instruction_limit: int) -> None:
        """Prepare for a call from the host that may execute `instruction_limit` more instructions."""
        profile = self._profile
        profile.current = profile.depth = profile.stopped = 0
        profile.return_address = _NOWHERE
        profile.instruction_limit = profile.instructions + instruction_limit

    @property
    def n_edges(self) -> int:
        """Different edges taken so far; they keep their places, so counts of two times can be subtracted."""
        return int(self._profile.n_edges)

    def counts(self) -> NDArray[np.uint64]:
        """A copy of the count of every edge so far, (E,)."""
        return self._edges["count"][: self.n_edges].copy()

    def profile(self) -> EdgeProfile:
        """A copy of everything counted so far."""
        blocks, edges = self._blocks[: self._profile.n_blocks], self._edges[: self.n_edges]
        return EdgeProfile(
            block_address=blocks["address"].copy(),
            block_size=blocks["size"].copy(),
            block_instructions=blocks["instructions"].copy(),
            block_region=blocks["region"].copy(),
            edge_source=edges["source"].copy(),
            edge_target=edges["target"].copy(),
            edge_count=self.counts(),
        )

    def _new_profile(self, image: FirmwareImage, n_entries: int) -> _Profile:
        return _Profile(
            blocks=self._blocks.ctypes.data,
            edges=self._edges.ctypes.data,
            block_slots=self._slots[0].ctypes.data,
            edge_slots=self._slots[1].ctypes.data,
            region_entries=self._entries.ctypes.data,
            code=self._code.ctypes.data,
            stop=ctypes.cast(uclib.uc_emu_stop, ctypes.c_void_p).value,
            read_register=ctypes.cast(uclib.uc_reg_read, ctypes.c_void_p).value,
            code_address=image.code.address,
            code_size=image.code.size_bytes,
            n_region_entries=n_entries,
            capacity=CAPACITY,
            n_blocks=1,  # block 0 is the host
            return_address=_NOWHERE,
        )

    def _attach(self, engine: Uc) -> None:
        self._handle = ctypes.c_size_t()
        callback = ctypes.cast(_native().edgebci_on_block, ctypes.c_void_p)
        state = ctypes.cast(ctypes.pointer(self._profile), ctypes.c_void_p)
        # Limits 1 > 0 mean every address. `_uch` is the engine's handle; the binding offers no public one.
        everywhere = ctypes.c_uint64(1), ctypes.c_uint64(0)
        status = uclib.uc_hook_add(
            engine._uch, ctypes.byref(self._handle), ctypes.c_int(UC_HOOK_BLOCK), callback, state, *everywhere
        )
        if status != 0:
            raise VerificationError(
                f"the emulator refused the block hook with status {status}; install unicorn 2.1 again"
            )
        engine.ctl_flush_tb()


@cache
def _native() -> ctypes.CDLL:
    """The compiled hook, from the cache folder or compiled now."""
    assert UC_ARM_REG_LR == 10, "block_hook.c has the number of LR built in"
    source = NATIVE / "block_hook.c"
    key = hashlib.sha256(source.read_bytes() + platform.platform().encode()).hexdigest()[:16]
    library = _cache_folder() / f"block_hook-{key}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(source, folder)
            compile_host(Path(folder), library, harness=None)
    return ctypes.CDLL(str(library))


def _cache_folder() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgebci"
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.gettempdir()) / f"edgebci-{os.getuid()}"
    return base if os.access(base, os.W_OK) else Path(tempfile.gettempdir()) / f"edgebci-{os.getuid()}"
