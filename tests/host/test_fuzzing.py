"""The generated program under sanitizers, and its interfaces and the reader of bundles under fuzzing."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebci.bundle import open_bundle
from edgebci.errors import InputError, VerificationError
from edgebci.export.c_generator import generate
from edgebci.features.cases import front_end_case
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.sanitizers import (
    analyze,
    compile_fuzzer,
    compile_libfuzzer,
    compile_sanitized,
    run_fuzzer,
    run_sanitized,
)
from edgebci.firmware_sim.toolchain import NATIVE, compile_host

FUZZ = Path(__file__).resolve().parent.parent / "fuzz"
CASE = front_end_case("clean")
RUNS = 200
"""Of each harness here; the proof runs each for ten minutes."""


@dataclass(frozen=True)
class Loadable:
    """A device program that takes parameters, and the bundle that it is of."""

    firmware: Path
    bundle: Path
    block: bytes


@pytest.fixture(scope="module")
def loadable(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Loadable:
    bundle, folder = open_bundle(small_bundle), tmp_path_factory.mktemp("loadable")
    block = bundle.parameters()
    assert block is not None
    generate(bundle.int8_onnx, bundle.front_end(), folder / "firmware", "portable", block)
    return Loadable(folder / "firmware", small_bundle, (small_bundle / "parameters.bin").read_bytes())


@pytest.mark.parametrize("piece", [1, 7, 96])
def test_the_program_runs_clean_under_both_sanitizers_with_the_bits_of_the_twin(
    loadable: Loadable, piece: int, tmp_path: Path, sanitized: Path, twin: HostTwin
) -> None:
    counts = np.concatenate([CASE.counts[:600], np.full_like(CASE.counts[:300], np.iinfo(np.int16).max)])
    np.ascontiguousarray(counts, np.int16).tofile(tmp_path / "counts")
    result = run_sanitized([str(sanitized), str(tmp_path / "counts"), str(piece)])
    assert result.returncode == 0, result.stderr
    twin.power_on()
    shown: list[str] = []
    for number, start in enumerate(range(0, len(counts), piece), start=1):
        rows = counts[start : start + piece]
        run = twin.push(rows, np.full(len(rows), number % 7 == 0))
        if len(run.outputs):
            bits = "".join(f"{value:08x} " for value in run.outputs[-1].view(np.uint32))
            shown.append(f"{bits}{int(run.valid[-1])}")
    assert result.stdout.splitlines() == shown


@pytest.fixture(scope="module")
def sanitized(loadable: Loadable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program under both sanitizers."""
    sources = [*sorted(loadable.firmware.glob("*.c")), NATIVE / "harness_sanitized.c"]
    return compile_sanitized(sources, loadable.firmware, tmp_path_factory.mktemp("sanitized") / "program")


@pytest.fixture(scope="module")
def twin(loadable: Loadable, tmp_path_factory: pytest.TempPathFactory) -> HostTwin:
    out = tmp_path_factory.mktemp("twin") / "twin.so"
    return HostTwin(compile_host(loadable.firmware, out, optimization="1"))


def seeds_of(harness: str, loadable: Loadable, folder: Path) -> Path:
    """Those of the repository, and for parameters the bundle's own block, as it is and with its sum to be put right."""
    shutil.copytree(FUZZ / "seeds" / harness, folder)
    if harness == "load_parameters":
        for mode in (0, 1):
            (folder / f"block_{mode}").write_bytes(bytes([mode]) + loadable.block)
    return folder


@pytest.mark.parametrize("harness", ["push_samples", "load_parameters"])
def test_inputs_that_reach_new_code_find_nothing(harness: str, loadable: Loadable, tmp_path: Path) -> None:
    program = compile_fuzzer(loadable.firmware, FUZZ / f"{harness}.c", FUZZ / "driver.c", tmp_path / harness)
    seeds = seeds_of(harness, loadable, tmp_path / "seeds")
    found = run_fuzzer(program, seeds, RUNS, 60, tmp_path / "crash")
    assert found.runs == RUNS
    assert found.edges > 50
    assert found.inputs > len(list(seeds.iterdir()))


def test_the_fuzzer_finds_a_fault_that_only_some_inputs_reach_and_keeps_the_input(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    harness = tmp_path / "faulty.c"
    harness.write_text(
        "#include <stddef.h>\n#include <stdint.h>\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)\n"
        "{\n    return size > 8 && data[0] == 0x7F && data[1] == 0x80 ? data[size] : 0;\n}\n"
    )
    program = compile_fuzzer(tmp_path / "empty", harness, FUZZ / "driver.c", tmp_path / "faulty")
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    with pytest.raises(InputError, match="no seeds"):
        run_fuzzer(program, seeds, 10, 5, tmp_path / "crash")
    (seeds / "zeros").write_bytes(bytes(16))
    with pytest.raises(VerificationError, match="heap-buffer-overflow"):
        run_fuzzer(program, seeds, 100_000, 60, tmp_path / "crash")
    assert (tmp_path / "crash").read_bytes()[:2] == b"\x7f\x80"


def test_libfuzzer_finds_nothing(loadable: Loadable, tmp_path: Path) -> None:
    if shutil.which("clang") is None:
        pytest.skip("clang is not installed (Debian: apt-get install clang); gcc's coverage took its place")
    for harness in ("push_samples", "load_parameters"):
        program = compile_libfuzzer(loadable.firmware, FUZZ / f"{harness}.c", tmp_path / harness)
        seeds = seeds_of(harness, loadable, tmp_path / f"seeds_{harness}")
        result = run_sanitized([str(program), str(seeds), f"-runs={RUNS}", f"-artifact_prefix={tmp_path}/"])
        assert result.returncode == 0, result.stderr


def test_the_clang_analyzer_finds_nothing(loadable: Loadable) -> None:
    if shutil.which("clang") is None:
        pytest.skip("clang is not installed (Debian: apt-get install clang)")
    assert analyze(loadable.firmware) >= 4


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bundle_reader", FUZZ / "bundle_reader.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def work(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(small_bundle, tmp_path_factory.mktemp("reader") / "bundle"))


def test_the_seeds_are_read_or_refused(reader: ModuleType, small_bundle: Path, work: Path) -> None:
    seeds = sorted((FUZZ / "seeds" / "bundle_reader").iterdir())
    refused = [reader.read_changed(small_bundle, work, seed.read_bytes()) for seed in seeds]
    assert len(refused) >= 4
    assert any(refused)


def test_a_bundle_in_which_nothing_changes_is_read(reader: ModuleType, small_bundle: Path, work: Path) -> None:
    assert not any(reader.read_changed(small_bundle, work, bytes([which, 9, 0, 0, 0])) for which in range(8))


@given(
    which=st.integers(0, 255),
    start=st.integers(0, 2**24 - 1) | st.integers(0, 400),
    gone=st.integers(0, 255),
    put=st.binary(max_size=24)
    | st.sampled_from([b"NaN", b"-1", b"null", b"[]", b'"', b"1e999", b"\xff\xfe", b"9" * 30]),
)
@settings(max_examples=60)
def test_a_changed_bundle_is_read_or_refused_in_a_sentence(
    reader: ModuleType, small_bundle: Path, work: Path, which: int, start: int, gone: int, put: bytes
) -> None:
    refused = reader.read_changed(
        small_bundle, work, bytes([which]) + start.to_bytes(3, "little") + bytes([gone]) + put
    )
    assert isinstance(refused, bool)  # and nothing but an InputError was raised
    assert not reader.read_changed(small_bundle, work, b"")
