"""What a linked program says about itself: bytes to load, names of addresses, sizes of sections."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.constants import P_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import ARMAttributesSection, SymbolTableSection

from edgebci.documents import nearest
from edgebci.errors import InputError

_NEAR_BYTES = 1 << 24  # farther than this from a symbol, an address has nothing to do with it


@dataclass(frozen=True)
class Segment:
    """A stretch of memory that the program loads; what `content` does not fill is zero (.bss)."""

    address: int
    content: bytes
    size_bytes: int
    writable: bool
    executable: bool


@dataclass(frozen=True)
class Symbol:
    """A function or a variable; `address` is without the Thumb bit."""

    name: str
    address: int
    size_bytes: int
    is_function: bool


@dataclass(frozen=True)
class FirmwareImage:
    """A program as linked for the target."""

    path: Path
    segments: tuple[Segment, ...]
    symbols: tuple[Symbol, ...]  # sorted by address
    cpu: str  # what the compiler was told, e.g. `cortex-m4`; empty if it did not say

    @classmethod
    def load(cls, path: Path) -> FirmwareImage:
        """Read an ELF for a 32-bit Arm core.

        Raises:
            InputError: the file is missing, is not such an ELF, or has no symbol table.
        """
        try:
            with path.open("rb") as file:
                elf = ELFFile(file)
                if elf.get_machine_arch() != "ARM" or elf.elfclass != 32:
                    raise InputError(f"{path} is for {elf.get_machine_arch()}, not a 32-bit Arm core; compile it again")
                return cls(path, _segments(elf), _symbols(elf, path), _cpu(elf))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}; compile the firmware first") from error
        except ELFError as error:
            raise InputError(f"{path} is not an ELF file ({error}); compile the firmware again") from error

    @property
    def code(self) -> Segment:
        """The one executable segment."""
        return next(segment for segment in self.segments if segment.executable)

    @property
    def flash_bytes(self) -> int:
        """Bytes that are stored on the chip: text, constants and initial values of data."""
        return sum(len(segment.content) for segment in self.segments)

    @property
    def static_ram_bytes(self) -> int:
        """Bytes of .data and .bss."""
        return sum(segment.size_bytes for segment in self.segments if segment.writable)

    def symbol(self, name: str) -> Symbol:
        """Look a symbol up; InputError names the nearest one there is."""
        found = self._by_name.get(name)
        if found is None:
            raise InputError(f"{self.path.name} has no symbol {name!r}; {nearest(name, sorted(self._by_name))}")
        return found

    def has(self, name: str) -> bool:
        """Whether the program has a symbol of that name."""
        return name in self._by_name

    def function_at(self, address: int) -> str:
        """Name of the function that holds the instruction at `address`."""
        i = bisect.bisect_right(self._function_addresses, address) - 1
        return self._functions[i].name if i >= 0 else f"code at 0x{address:08x}"

    def place(self, address: int) -> str:
        """Say where an address is, as `0x20000010 (counts+16)`, by the nearest symbol before it."""
        i = bisect.bisect_right(self._addresses, address) - 1
        if i < 0 or address >= self._addresses[i] + _NEAR_BYTES:
            return f"0x{address:08x}"
        symbol = self.symbols[i]
        offset, past_end = address - symbol.address, address - symbol.address - symbol.size_bytes
        if symbol.size_bytes and past_end >= 0:
            return f"0x{address:08x} ({past_end} bytes past the end of {symbol.name})"
        return f"0x{address:08x} ({symbol.name}+{offset})"

    @cached_property
    def _by_name(self) -> dict[str, Symbol]:
        return {symbol.name: symbol for symbol in self.symbols}

    @cached_property
    def _addresses(self) -> list[int]:
        return [symbol.address for symbol in self.symbols]

    @cached_property
    def _functions(self) -> list[Symbol]:
        return [symbol for symbol in self.symbols if symbol.is_function]

    @cached_property
    def _function_addresses(self) -> list[int]:
        return [symbol.address for symbol in self._functions]


def _segments(elf: ELFFile) -> tuple[Segment, ...]:
    loadable = (s for s in elf.iter_segments("PT_LOAD") if s["p_memsz"])
    return tuple(
        Segment(
            address=s["p_vaddr"],
            content=s.data(),
            size_bytes=s["p_memsz"],
            writable=bool(s["p_flags"] & P_FLAGS.PF_W),
            executable=bool(s["p_flags"] & P_FLAGS.PF_X),
        )
        for s in loadable
    )


def _cpu(elf: ELFFile) -> str:
    section = elf.get_section_by_name(".ARM.attributes")
    if not isinstance(section, ARMAttributesSection):
        return ""
    scopes = (scope for part in section.iter_subsections() for scope in part.iter_subsubsections())
    return next((str(a.value) for scope in scopes for a in scope.iter_attributes("TAG_CPU_NAME")), "")


def _symbol(name: str, value: int, size_bytes: int, is_function: bool) -> Symbol:
    return Symbol(name, value & ~1 if is_function else value, size_bytes, is_function)


def _symbols(elf: ELFFile, path: Path) -> tuple[Symbol, ...]:
    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        raise InputError(f"{path} has no symbol table; link it without -s")
    kept = (
        _symbol(s.name, s["st_value"], s["st_size"], s["st_info"]["type"] == "STT_FUNC")
        for s in table.iter_symbols()
        if s.name and s["st_info"]["type"] in ("STT_FUNC", "STT_OBJECT") and s["st_shndx"] != "SHN_UNDEF"
    )
    # Of several names for one address the shortest is taken: `memcpy` rather than `__aeabi_memcpy`.
    return tuple(sorted(kept, key=lambda s: (s.address, -len(s.name), s.name)))
