"""How often each edge between basic blocks was taken, counted by a native hook inside the emulator.

The hook is `native/block_hook.c`; a Python callback in its place would run 20 times slower.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from unicorn.arm_const import UC_ARM_REG_LR
from unicorn.unicorn_const import UC_HOOK_BLOCK
from unicorn.unicorn_py3.unicorn import Uc, uclib

from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.native_hooks import attach, native_hook

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
        assert UC_ARM_REG_LR == 10, "block_hook.c has the number of LR built in"
        self._handle = attach(engine, UC_HOOK_BLOCK, native_hook("block_hook").edgebci_on_block, self._profile)
