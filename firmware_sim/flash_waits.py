"""What running from a board's flash adds to the cycles of a core: stalls of fetches and loads that miss the caches.

Every block that runs and every load from flash goes through a model of the board's caches (native/flash_hook.c), in the
program's own order. A miss stalls the core for what the board's profile says; where the flash prefetches, the line that
follows costs only what is left of that once the line before has been executed. Variables and stack are in memory
without wait states. The figures are those of hardware_profiles/memories.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from unicorn import arm_const
from unicorn.unicorn_const import UC_HOOK_BLOCK, UC_HOOK_CODE
from unicorn.unicorn_py3.unicorn import Uc, uclib

from edgebci.firmware_sim.native_hooks import attach, native_hook
from edgebci.firmware_sim.thumb import load_at
from edgebci.hardware import CacheModel, MemoryModel

_REGISTERS = {
    **{f"r{i}": getattr(arm_const, f"UC_ARM_REG_R{i}") for i in range(13)},
    "sb": arm_const.UC_ARM_REG_R9,
    "sl": arm_const.UC_ARM_REG_R10,
    "fp": arm_const.UC_ARM_REG_R11,
    "ip": arm_const.UC_ARM_REG_R12,
    "sp": arm_const.UC_ARM_REG_SP,
    "lr": arm_const.UC_ARM_REG_LR,
}


_LOAD_FIELDS = ("known", "size", "base", "index", "shift", "offset")  # of load_t in flash_hook.c
_RESOLVE = ctypes.CFUNCTYPE(None, ctypes.c_uint32)
_LOAD = np.dtype(
    [("known", "<u4"), ("size", "<u4"), ("base", "<i4"), ("index", "<i4"), ("shift", "<u4"), ("offset", "<u4")]
)


class _Cache(ctypes.Structure):
    _fields_ = [
        ("lines", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in ("sets", "ways", "line_bytes", "last")),
        *((name, ctypes.c_uint64) for name in ("accesses", "misses", "next_misses")),
    ]


class _Flash(ctypes.Structure):
    _fields_ = [
        ("fetch", ctypes.POINTER(_Cache)),
        ("read", ctypes.POINTER(_Cache)),
        ("loads", ctypes.c_void_p),
        ("resolve", _RESOLVE),
        ("read_register", ctypes.c_void_p),
        ("start", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
    ]


@dataclass(frozen=True)
class FlashWaits:
    """Misses are counted in the order of the program; stall cycles are modelled from them."""

    board: str
    clock_mhz: float
    fetch_misses: int
    load_misses: int
    fetch_stalls: int
    load_stalls: int

    @property
    def cycles(self) -> int:
        """All that flash adds."""
        return self.fetch_stalls + self.load_stalls


class FlashCounter:
    """The caches of one board, attached to one engine."""

    def __init__(self, engine: Uc, model: MemoryModel, code: NDArray[np.uint8], start: int) -> None:
        self._model, self._code, self._start = model, code, start
        self._tables: list[NDArray[np.uint32]] = []
        self._fetch = self._cache(model.instruction_cache)
        self._read = self._fetch if model.caches == "unified" else self._cache(model.data_cache)
        self._loads = np.zeros(len(code) // 2 + 1, _LOAD)
        self._flash = _Flash(
            fetch=ctypes.pointer(self._fetch),
            read=ctypes.pointer(self._read),
            loads=self._loads.ctypes.data,
            resolve=_RESOLVE(self._resolve),
            read_register=ctypes.cast(uclib.uc_reg_read, ctypes.c_void_p).value,
            start=start,
            size=len(code),
        )
        hooks, end = native_hook("flash_hook"), start + len(code) - 1
        self._handles = (
            attach(engine, UC_HOOK_BLOCK, hooks.edgebci_on_fetch, self._flash),
            attach(engine, UC_HOOK_CODE, hooks.edgebci_on_instruction, self._flash, start, end),
        )

    def waits(self, cycles: float, code_bytes: float) -> FlashWaits:
        """What flash added so far to `cycles` of the core, in which `code_bytes` were executed."""
        model, fetch, read = self._model, self._fetch, self._read
        miss = model.miss_cycles.typical
        hidden = min(miss, cycles / code_bytes * fetch.line_bytes) if model.prefetch == "next line" else 0.0
        loads = 0 if read is fetch else int(read.misses)
        return FlashWaits(
            board=model.name,
            clock_mhz=model.clock_mhz.typical,
            fetch_misses=int(fetch.misses),
            load_misses=loads,
            fetch_stalls=round(fetch.misses * miss - fetch.next_misses * hidden),
            load_stalls=round(loads * model.load_miss_cycles.typical),
        )

    def _resolve(self, address: int) -> None:
        """Tell the hook what the instruction at `address` loads."""
        offset = address - self._start
        load = load_at(self._code[offset : offset + 4].tobytes(), address)
        numbers = [_REGISTERS.get(register, -1) for register in (load.base, load.index)]
        self._loads[offset // 2] = (1, load.size_bytes, *numbers, load.shift, load.offset % (1 << 32))

    def _cache(self, model: CacheModel | None) -> _Cache:
        sets = round(model.size_bytes.typical / model.ways.typical / model.line_bytes.typical) if model else 0
        ways = round(model.ways.typical) if model else 1
        line = round(model.line_bytes.typical) if model else round(self._model.flash_bytes_at_once.typical)
        table = np.zeros(max(1, sets * ways), np.uint32)
        self._tables.append(table)  # the structure holds only its address
        return _Cache(table.ctypes.data, sets, ways, line)
