"""Memory of the emulated core: the program's own, a stack, and nothing else.

It belongs to us and is lent to the emulator, so reading a variable copies nothing. Three settings keep stores fast in
Unicorn 2.1 (measured: 10 million stores a second otherwise, 200 million with them):
  * no hook of any memory kind covers writable memory, so faults are hooked only around it;
  * writable memory is not executable, which the core's default memory map would make it: hence our own table of rights;
  * no page of data shares a slot of the emulator's translation table (256 slots) with a page of code: see link.ld.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from unicorn.unicorn_const import (
    UC_HOOK_MEM_INVALID,
    UC_HOOK_TLB_FILL,
    UC_MEM_FETCH,
    UC_MEM_FETCH_PROT,
    UC_MEM_FETCH_UNMAPPED,
    UC_MEM_WRITE_PROT,
    UC_MEM_WRITE_UNMAPPED,
    UC_PROT_ALL,
    UC_PROT_EXEC,
    UC_PROT_READ,
    UC_PROT_WRITE,
    UC_TLB_VIRTUAL,
)
from unicorn.unicorn_py3.unicorn import Uc

from edgebci.errors import InputError
from edgebci.firmware_sim.firmware_image import FirmwareImage

PAGE = 4096
STACK_TOP = 0x30000000
RETURN_ADDRESS = 0x1FFF0000  # where a called function returns to: mapped, and holds nothing
_PAINT = 0xA5


@dataclass(frozen=True)
class Fault:
    """An access that the memory refused."""

    access: int
    address: int

    @property
    def kind(self) -> str:
        """What was tried, as in `a read from`."""
        if self.access in (UC_MEM_WRITE_UNMAPPED, UC_MEM_WRITE_PROT):
            return "a write to"
        return "a jump to" if self.access in (UC_MEM_FETCH_UNMAPPED, UC_MEM_FETCH_PROT) else "a read from"

    @property
    def lack(self) -> str:
        """What the memory there is not."""
        return "writable" if self.access == UC_MEM_WRITE_PROT else "mapped"


class TargetMemory:
    """The memory of one engine; maps the program's segments and fills them as after power-on."""

    def __init__(self, engine: Uc, image: FirmwareImage, stack_bytes: int) -> None:
        self._image = image
        self.stack_bottom = STACK_TOP - _pages(stack_bytes)
        self.fault: Fault | None = None
        self._data_pages: list[tuple[int, int]] = []
        self._use_own_rights(engine)
        self._segments = {segment.address: self._load(engine, i) for i, segment in enumerate(image.segments)}
        self._stack = self._map(engine, self.stack_bottom, _pages(stack_bytes), UC_PROT_READ | UC_PROT_WRITE)
        self._stack[:] = _PAINT
        self._map(engine, RETURN_ADDRESS, PAGE, UC_PROT_READ | UC_PROT_EXEC)
        self._watch_around_data(engine)

    @property
    def code(self) -> NDArray[np.uint8]:
        """The executable segment."""
        return self._segments[self._image.code.address]

    @property
    def stack_peak_bytes(self) -> int:
        """The most stack that was ever used: how far the paint is gone."""
        touched = np.flatnonzero(self._stack != _PAINT)
        return len(self._stack) - int(touched[0]) if len(touched) else 0

    def overflows_stack(self, address: int) -> bool:
        """Whether an address lies in the page under the stack."""
        return self.stack_bottom - PAGE <= address < self.stack_bottom

    def view(self, name: str, dtype: str) -> NDArray[Any]:
        """The variable itself, flat: writing to the array writes to the machine."""
        symbol = self._image.symbol(name)
        for address, memory in self._segments.items():
            start = symbol.address - address
            if 0 <= start < len(memory):
                return memory[start : start + symbol.size_bytes].view(dtype)
        raise InputError(f"{name!r} is at {self._image.place(symbol.address)}, outside the program's memory")

    def _use_own_rights(self, engine: Uc) -> None:
        engine.ctl_set_page_size(PAGE)
        engine.ctl_set_tlb_mode(UC_TLB_VIRTUAL)
        engine.hook_add(UC_HOOK_TLB_FILL, self._translate)

    def _translate(self, _engine: Uc, address: int, access: int, entry: Any, _data: object) -> bool:
        # Addresses stand for themselves. What is granted too much here is refused by the rights of the mapping.
        is_data = any(start <= address < end for start, end in self._data_pages)
        entry.paddr = address
        entry.perms = UC_PROT_READ | UC_PROT_WRITE if is_data and access != UC_MEM_FETCH else UC_PROT_ALL
        return True

    def _load(self, engine: Uc, index: int) -> NDArray[np.uint8]:
        segment = self._image.segments[index]
        rights = UC_PROT_READ | UC_PROT_WRITE * segment.writable | UC_PROT_EXEC * segment.executable
        memory = self._map(engine, segment.address, segment.size_bytes, rights)
        memory[: len(segment.content)] = np.frombuffer(segment.content, np.uint8)
        return memory

    def _map(self, engine: Uc, address: int, size_bytes: int, rights: int) -> NDArray[np.uint8]:
        start = address // PAGE * PAGE
        size = _pages(address + size_bytes - start)
        memory = np.frombuffer(mmap.mmap(-1, size), np.uint8)
        engine.mem_map_ptr(start, size, rights, memory.ctypes.data)
        if rights & UC_PROT_WRITE:
            self._data_pages.append((start, start + size))
        return memory[address - start : address - start + size_bytes]

    def _watch_around_data(self, engine: Uc) -> None:
        borders = [(0, 0), *sorted(self._data_pages), (1 << 32, 1 << 32)]
        for (_, begin), (end, _) in pairwise(borders):
            engine.hook_add(UC_HOOK_MEM_INVALID, self._remember_fault, begin=begin, end=end - 1)

    def _remember_fault(self, _engine: Uc, access: int, address: int, *_rest: object) -> bool:
        self.fault = Fault(access, address)
        return False


def _pages(size_bytes: int) -> int:
    return -(-size_bytes // PAGE) * PAGE
