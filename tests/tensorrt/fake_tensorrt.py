"""A recording stand-in for TensorRT's Python binding that has exactly the names of one version, and what they demand.

Names and behaviour after the binding's API documentation (docs.nvidia.com/deeplearning/tensorrt, 10.x and 11.x): 11 has
no weak typing, so no FP16 and INT8 flags, and the strongly typed flag is without effect. A builder measures layers and
chooses tactics, here by counting how often it measured: a build without a cache chooses others than the one before.
"""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import onnx

INT_MAX = 1 << 64


class BuilderFlag10(enum.Enum):
    FP16, INT8, TF32, REFIT, DISABLE_TIMING_CACHE, ERROR_ON_TIMING_CACHE_MISS, DISABLE_COMPILATION_CACHE = range(7)


class BuilderFlag11(enum.Enum):
    (
        TF32,
        REFIT,
        DISABLE_TIMING_CACHE,
        ERROR_ON_TIMING_CACHE_MISS,
        DISABLE_COMPILATION_CACHE,
        EDITABLE_TIMING_CACHE,
    ) = range(6)


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 1


class MemoryPoolType(enum.Enum):
    WORKSPACE = 0


class ProfilingVerbosity(enum.Enum):
    DETAILED = 2


class Logger:
    WARNING = 2

    def __init__(self, severity: int) -> None:
        self.severity = severity


@dataclass
class Network:
    flags: int
    layers: list[str] = field(default_factory=list)


class TimingCacheKey:
    """Shown as the manual says: 0x and 32 digits."""

    def __init__(self, layer: str) -> None:
        self.layer = layer

    def __str__(self) -> str:
        return f"0x{hashlib.md5(self.layer.encode(), usedforsecurity=False).hexdigest()}"


class SilentKey(TimingCacheKey):
    """Shown by its address, as an object without a text is."""

    __str__ = object.__repr__


@dataclass
class TimingCache:
    entries: dict[str, int]

    def serialize(self) -> bytes:
        return json.dumps(self.entries, sort_keys=True).encode()


class TellingTimingCache(TimingCache):
    """As of the versions that tell tactics."""

    tells_addresses = False

    def queryKeys(self) -> list[TimingCacheKey]:  # noqa: N802 - the binding's name
        return [(SilentKey if self.tells_addresses else TimingCacheKey)(layer) for layer in self.entries]

    def query(self, key: TimingCacheKey) -> Any:
        return SimpleNamespace(tacticHash=self.entries[key.layer], timingMSec=0.01)


class BuilderConfig:
    __slots__ = ("board", "builder_optimization_level", "cache", "flags", "pools", "profiling_verbosity")
    builder_optimization_level: int
    profiling_verbosity: ProfilingVerbosity

    def __init__(self, board: FakeTensorRT) -> None:
        self.board, self.cache = board, TimingCache({})
        self.flags: set[enum.Enum] = {board.BuilderFlag.TF32}
        self.pools: dict[MemoryPoolType, int] = {}

    def set_memory_pool_limit(self, pool: MemoryPoolType, n_bytes: int) -> None:
        assert isinstance(pool, MemoryPoolType)
        self.pools[pool] = n_bytes

    def set_flag(self, flag: enum.Enum) -> None:
        assert isinstance(flag, self.board.BuilderFlag)
        self.flags.add(flag)

    def clear_flag(self, flag: enum.Enum) -> None:
        assert isinstance(flag, self.board.BuilderFlag)
        self.flags.discard(flag)

    def create_timing_cache(self, content: bytes) -> TimingCache:
        entries = json.loads(content) if content else {}
        return TimingCache(entries) if self.board.major < 11 else TellingTimingCache(entries)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        assert isinstance(cache, TimingCache)
        self.cache = cache
        return not self.board.refuses_cache

    def get_timing_cache(self) -> TimingCache:
        return self.cache


class Builder:
    def __init__(self, board: FakeTensorRT, logger: Logger) -> None:
        assert isinstance(logger, Logger)
        self.board = board

    def create_network(self, flags: int) -> Network:
        self.board.networks.append(Network(flags))
        return self.board.networks[-1]

    def create_builder_config(self) -> BuilderConfig:
        self.board.configs.append(BuilderConfig(self.board))
        return self.board.configs[-1]

    def build_serialized_network(self, network: Network, config: BuilderConfig) -> bytes | None:
        """Choose a tactic for every layer; None where one would have to be measured and must not."""
        fails_on_miss = self.board.BuilderFlag.ERROR_ON_TIMING_CACHE_MISS in config.flags
        for layer in network.layers:
            if layer not in config.cache.entries or self.board.ignores_cache:
                if fails_on_miss and not self.board.ignores_cache:
                    return None
                self.board.measured += 1
                config.cache.entries[layer] = self.board.measured
        return f"plan of {sorted(config.cache.entries.items())}".encode()


class OnnxParser:
    def __init__(self, board: FakeTensorRT, network: Network, logger: Logger) -> None:
        self._board, self._network, self._errors = board, network, [*board.parser_errors]

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, number: int) -> Any:
        return SimpleNamespace(desc=lambda: self._errors[number])

    def parse(self, content: bytes) -> bool:
        assert isinstance(content, bytes)
        model = onnx.load_from_string(content)
        assert not model.functions
        if self._board.major == 10:
            assert self._network.flags == 1 << 1, "a network that is not strongly typed ignores the graph's types"
        self._network.layers += [node.name for node in model.graph.node]
        return not self._errors


class FakeTensorRT:
    """The module; give it to what wants `tensorrt`."""

    Logger, MemoryPoolType, ProfilingVerbosity = Logger, MemoryPoolType, ProfilingVerbosity
    NetworkDefinitionCreationFlag = NetworkDefinitionCreationFlag

    def __init__(self, version: str = "10.3.0.30") -> None:
        self.__version__, self.major = version, int(version.split(".")[0])
        self.BuilderFlag: Any = BuilderFlag10 if self.major < 11 else BuilderFlag11
        self.networks: list[Network] = []
        self.configs: list[BuilderConfig] = []
        self.parser_errors: list[str] = []
        self.measured = 0
        self.ignores_cache = self.refuses_cache = False

    def Builder(self, logger: Any) -> Builder:  # noqa: N802
        return Builder(self, logger)

    def OnnxParser(self, network: Network, logger: Any) -> OnnxParser:  # noqa: N802
        return OnnxParser(self, network, logger)
