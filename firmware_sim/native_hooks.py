"""Hooks in C for the emulators: compiled for this machine at their first use, and attached to an engine."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from unicorn.unicorn_py3.unicorn import Uc, uclib

from edgebci.errors import VerificationError
from edgebci.firmware_sim.toolchain import NATIVE, compile_host, compile_with


@cache
def native_hook(name: str) -> ctypes.CDLL:
    """The compiled native/`name`.c, from the user's cache folder or compiled now."""
    source = NATIVE / f"{name}.c"
    library = _cached(source)
    if not library.exists():
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(source, folder)
            compile_host(Path(folder), library, harness=None)
    return ctypes.CDLL(str(library))


@cache
def qemu_plugin() -> Path:
    """The plugin of QEMU that counts, from the user's cache folder or compiled now; QEMU has what it calls."""
    source = NATIVE / "qemu_counter.c"
    library = _cached(source, NATIVE / "block_hook.c")
    if not library.exists():
        compile_with([source], library, ["-O3", "-shared", "-fPIC", "-Wl,--allow-shlib-undefined"])
    return library


def _cached(*sources: Path) -> Path:
    """Where the library of these sources is kept."""
    content = b"".join(source.read_bytes() for source in sources)
    key = hashlib.sha256(content + platform.platform().encode()).hexdigest()[:16]
    return _cache_folder() / f"{sources[0].stem}-{key}.so"


def attach(engine: Uc, kind: int, function: Any, state: ctypes.Structure, start: int = 1, stop: int = 0) -> object:
    """Call `function` with `state` at every event of one kind from `start` to `stop`; 1 > 0 is everywhere.

    Returns what must live as long as the engine, beside the state.

    Raises:
        VerificationError: the emulator refuses it.
    """
    handle = ctypes.c_size_t()
    callback = ctypes.cast(function, ctypes.c_void_p)
    data = ctypes.cast(ctypes.pointer(state), ctypes.c_void_p)
    limits = ctypes.c_uint64(start), ctypes.c_uint64(stop)
    # `_uch` is the engine's handle; the binding offers no public one.
    status = uclib.uc_hook_add(engine._uch, ctypes.byref(handle), ctypes.c_int(kind), callback, data, *limits)
    if status != 0:
        raise VerificationError(f"the emulator refused a hook with status {status}; install unicorn 2.1 again")
    engine.ctl_flush_tb()
    return handle


def _cache_folder() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgebci"
    own = Path(tempfile.gettempdir()) / f"edgebci-{os.getuid()}"
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError:
        return own
    return base if os.access(base, os.W_OK) else own
