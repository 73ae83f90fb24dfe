"""Build a decoder's TensorRT engine on the board that will run it, with the same tactics every time.

    python3 build_engine.py [--on-change fail|warn] [--renew]

Needs Python 3.10 and TensorRT's binding: 10 (JetPack 6) or 11 (JetPack 7.2.2 and later). Beside decoder.onnx it writes

    decoder.plan            the engine
    decoder.timing_cache    what TensorRT measured, from which it builds again without measuring
    decoder.lock.json       hashes of the graph and both files, versions, board, and the tactic of every layer

A later build reads the lock first. The same graph, TensorRT and board: it builds from the timing cache, and TensorRT is
told to fail where it would measure anew. Anything else, or other tactics after all, is a change: `fail` leaves all
files as they are and ends with 1; `warn` builds anew and writes a new lock. `--renew` throws the lock away.
Timing caches are bound to a TensorRT version, a device and CUDA (TensorRT documentation, "Optimizing Builder
Performance"); keys and tactic hashes are those of ITimingCache.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgebci.export.tensorrt.board import identity

ONNX, PLAN, CACHE, LOCK = "decoder.onnx", "decoder.plan", "decoder.timing_cache", "decoder.lock.json"
SCHEMA = "edgebci.engine_lock/1"
MAJORS = (10, 11)
LEAST_ON_JETSON = (11, 4, 1)
"""The first 11 that NVIDIA supports there, with JetPack 7.2.2 (its page "Migrating from 10.x to 11.x on Jetson")."""
BOARDS_OF_11 = ("agx orin", "thor")
"""On which it does (the same page, release 11.4.1); others stay with 10."""
WORKSPACE_MIB, OPTIMIZATION_LEVEL = 256, 3
INPUTS_OF_A_BUILD = ("onnx_sha256", "tensorrt", "board", "release")
LOCK_FLAGS = ("EDITABLE_TIMING_CACHE", "DISABLE_COMPILATION_CACHE")
"""So that every tactic stands in the timing cache; older releases of 10 lack the first."""
_KEY = re.compile("0x[0-9a-fA-F]{32}")


class BuildError(RuntimeError):
    """One sentence on why there is no engine."""


@dataclass(frozen=True)
class Lock:
    """What a build rests on and what came of it."""

    onnx_sha256: str
    tensorrt: str
    board: str
    release: str
    plan_sha256: str = ""
    timing_cache_sha256: str = ""
    tactics: dict[str, int] = field(default_factory=dict)
    """Hash of the chosen tactic by key; empty where this TensorRT does not tell."""
    schema_version: str = SCHEMA

    def changes_of_inputs(self, now: Lock) -> list[str]:
        """What differs between the locked build and one here and now, in words."""
        return [
            f"{name} is {getattr(now, name)!r}, locked was {getattr(self, name)!r}"
            for name in INPUTS_OF_A_BUILD
            if getattr(now, name) != getattr(self, name)
        ]

    def changes_of_tactics(self, now: Lock) -> list[str]:
        """Layers whose tactic differs, or that only one of the builds has."""
        keys = sorted({*self.tactics, *now.tactics})
        return [f"tactic of {key}" for key in keys if self.tactics.get(key) != now.tactics.get(key)]


def load_tensorrt() -> Any:
    """TensorRT's binding.

    Raises:
        BuildError: it is absent.
    """
    try:
        return importlib.import_module("tensorrt")
    except ImportError as error:
        raise BuildError(
            f"no engine was built: TensorRT's Python binding is absent ({error}); on the board, apt-get install "
            "python3-libnvinfer, then run this again"
        ) from error


def checked_version(trt: Any, on_jetson: bool) -> tuple[int, ...]:
    """TensorRT's version.

    Raises:
        BuildError: this program does not know it, or NVIDIA does not support it on a Jetson.
    """
    version = tuple(int(part) for part in trt.__version__.split(".")[:3] if part.isdigit())
    if not version or version[0] not in MAJORS:
        raise BuildError(f"TensorRT {trt.__version__} is here, allowed are 10 and 11; install JetPack 6 or 7.2.2")
    if on_jetson and version[0] == 11 and version < LEAST_ON_JETSON:
        raise BuildError(
            f"TensorRT {trt.__version__} is not supported on Jetson, allowed are 10 and 11.4.1 or later; install "
            "JetPack 7.2.2 or go back to its TensorRT 10"
        )
    return version


def unsupported_board(version: str, board: str) -> list[str]:
    """What NVIDIA does not support, though it may work; empty where it supports it."""
    name = board.lower()
    if not version.startswith("11.") or "jetson" not in name or any(known in name for known in BOARDS_OF_11):
        return []
    return [f"NVIDIA supports TensorRT 11 on Jetson AGX Orin and Thor, this is {board}: TensorRT 10 is safer here"]


def parse_network(trt: Any, builder: Any, logger: Any, content: bytes, major: int) -> Any:
    """The strongly typed network of an ONNX file; 11 knows no other kind.

    Raises:
        BuildError: all that the parser refuses.
    """
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) if major == 10 else 0
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(content):
        faults = "; ".join(str(parser.get_error(number).desc()) for number in range(parser.num_errors))
        raise BuildError(f"TensorRT {trt.__version__} refuses the graph: {faults}; export the decoder again")
    return network


def configured(trt: Any, builder: Any, cache: bytes | None) -> Any:
    """How to build: float32 in full, no cache but ours; from `cache` without measuring where it is given.

    Raises:
        BuildError: TensorRT refuses the timing cache.
    """
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_MIB << 20)
    config.builder_optimization_level = OPTIMIZATION_LEVEL
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.clear_flag(trt.BuilderFlag.TF32)  # the recurrence is float32: TF32 would round its factors to 10 bits
    for name in LOCK_FLAGS:
        if hasattr(trt.BuilderFlag, name):
            config.set_flag(getattr(trt.BuilderFlag, name))
    if cache is not None:
        config.set_flag(trt.BuilderFlag.ERROR_ON_TIMING_CACHE_MISS)
    if not config.set_timing_cache(config.create_timing_cache(cache or b""), False):
        raise BuildError(f"TensorRT {trt.__version__} refuses {CACHE}; build with --renew")
    return config


def tactics_of(cache: Any) -> dict[str, int]:
    """Hash of each tactic by its key; empty where this TensorRT does not tell."""
    if not hasattr(cache, "queryKeys"):
        return {}
    found = {str(key): int(cache.query(key).tacticHash) for key in cache.queryKeys()}
    # The manual writes a key as 0x and 32 digits; an object's address would be another one in every run.
    return found if all(_KEY.fullmatch(key) for key in found) else {}


def inputs_of(folder: Path, trt: Any) -> Lock:
    """What a build here and now rests on.

    Raises:
        BuildError: there is no graph.
    """
    try:
        graph = (folder / ONNX).read_bytes()
    except OSError as error:
        raise BuildError(f"no {ONNX} in {folder} ({error}); copy the whole folder of the bundle") from error
    board = identity()
    return Lock(_sha256(graph), trt.__version__, board.get("model", "unknown"), board.get("release", ""))


def read_lock(folder: Path) -> Lock | None:
    """The lock of an earlier build; None where there is none.

    Raises:
        BuildError: it is damaged, or the timing cache is not the one that it names.
    """
    path = folder / LOCK
    if not path.is_file():
        return None
    try:
        lock = Lock(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise BuildError(f"{path} is no lock ({error}); build with --renew") from error
    if lock.schema_version != SCHEMA:
        raise BuildError(f"{path} is of {lock.schema_version!r}, allowed is {SCHEMA!r}; build with --renew")
    cache = folder / CACHE
    if not cache.is_file() or _sha256(cache.read_bytes()) != lock.timing_cache_sha256:
        raise BuildError(f"{cache} is not the file that {LOCK} names; restore it or build with --renew")
    return lock


def build(folder: Path, trt: Any, on_change: str, lock: Lock | None) -> tuple[Lock, list[str]]:
    """Build and write all three files; returns the new lock and what changed against `lock`.

    Raises:
        BuildError: TensorRT builds nothing, or something changed and `on_change` is "fail"; no file is touched.
    """
    now = inputs_of(folder, trt)
    changes = lock.changes_of_inputs(now) if lock else []
    _stop_at(changes, on_change)
    version = checked_version(trt, "jetson" in now.board.lower())
    cached = (folder / CACHE).read_bytes() if lock and not changes else None
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = parse_network(trt, builder, logger, (folder / ONNX).read_bytes(), version[0])
    config = configured(trt, builder, cached)
    plan = builder.build_serialized_network(network, config)
    if plan is None and cached is not None and on_change == "warn":
        changes.append("the timing cache lacks a layer")
        config = configured(trt, builder, None)
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BuildError("TensorRT built no engine; its messages above say why, and --renew measures every layer anew")
    cache = config.get_timing_cache()
    files = {PLAN: bytes(plan), CACHE: bytes(cache.serialize())}
    hashes = {"plan_sha256": _sha256(files[PLAN]), "timing_cache_sha256": _sha256(files[CACHE])}
    made = Lock(**{**asdict(now), **hashes, "tactics": tactics_of(cache)})
    if lock and not changes:
        changes += lock.changes_of_tactics(made)
        _stop_at(changes, on_change)
    _write(folder, files | {LOCK: (json.dumps(asdict(made), indent=2, sort_keys=True) + "\n").encode()})
    return made, changes


def _stop_at(changes: Sequence[str], on_change: str) -> None:
    if changes and on_change == "fail":
        raise BuildError(
            f"the build is not the locked one: {'; '.join(changes)}; nothing was written: go back to what was locked, "
            "or build with --on-change warn or --renew"
        )


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """All or nothing of each file; the lock last, so that it never names what is not there."""
    for name, content in files.items():
        temporary = folder / f".{name}.new"
        temporary.write_bytes(content)
        temporary.replace(folder / name)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0, or 1 with a sentence."""
    parser = argparse.ArgumentParser(description="Build a decoder's TensorRT engine, with locked tactics.")
    parser.add_argument("--folder", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--on-change", choices=("fail", "warn"), default="fail")
    parser.add_argument("--renew", action="store_true", help="throw the lock away and measure every layer anew")
    given = parser.parse_args(arguments)
    try:
        trt = load_tensorrt()
        lock = None if given.renew else read_lock(given.folder)
        made, changes = build(given.folder, trt, given.on_change, lock)
    except BuildError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for change in [*unsupported_board(made.tensorrt, made.board), *changes]:
        sys.stderr.write(f"warning: {change}\n")
    how = "from the locked timing cache" if lock and not changes else f"anew, {len(made.tactics)} tactics locked"
    sys.stdout.write(f"{PLAN} built {how} by TensorRT {made.tensorrt} on {made.board}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
