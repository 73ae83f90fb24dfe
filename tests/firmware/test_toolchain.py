"""What compilers make of the generated C: no library calls, no heap, hard float; and what is said when they fail."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from edgebci.errors import InputError, MissingToolError, VerificationError
from edgebci.features.cases import FrontEndCase, front_end_case
from edgebci.firmware_sim import toolchain
from edgebci.firmware_sim.cores import find_core
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import Compiler, Optimization, compile_host, compile_target

RAM = 0x20000000
HARD_FLOAT = 0x400  # EF_ARM_ABI_FLOAT_HARD
LIBRARY_CALLS = ("memcpy", "memset", "memmove", "malloc", "free", "expf", "logf", "sqrtf", "__aeabi", "__div", "__mul")


@pytest.fixture(scope="module")
def case() -> FrontEndCase:
    return front_end_case("gap_that_resets")


@pytest.fixture(scope="module")
def elf(build: Any, case: FrontEndCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_target(build(case.front_end).sources, tmp_path_factory.mktemp("target") / "m4.elf")


def image(path: Path) -> Any:
    return ELFFile(BytesIO(path.read_bytes()))


def symbols(path: Path) -> dict[str, Any]:
    return {symbol.name: symbol for symbol in image(path).get_section_by_name(".symtab").iter_symbols() if symbol.name}


def test_target_program_needs_nothing_but_itself(elf: Path) -> None:
    found = symbols(elf)
    assert "edgebci_harness_push" in found
    assert "edgebci_decoder_step" in found
    assert [name for name, symbol in found.items() if symbol["st_shndx"] == "SHN_UNDEF"] == []
    assert [name for name in found if name.startswith(LIBRARY_CALLS)] == []


def test_target_program_uses_the_floating_point_unit_and_starts_at_its_entry(elf: Path) -> None:
    header = image(elf).header
    assert header["e_flags"] & HARD_FLOAT
    assert header["e_entry"] == symbols(elf)["edgebci_target_entry"]["st_value"]


def test_all_memory_of_the_target_program_is_the_context_and_the_buffers(elf: Path) -> None:
    objects = {
        name: symbol["st_size"]
        for name, symbol in symbols(elf).items()
        if symbol["st_info"]["type"] == "STT_OBJECT" and symbol["st_value"] >= RAM
    }
    assert image(elf).get_section_by_name(".data") is None
    assert image(elf).get_section_by_name(".bss")["sh_size"] <= sum(objects.values()) + 16 * len(objects)
    names = ("context", "counts", "outputs", "valid")
    assert set(objects) == {f"edgebci_harness_{name}" for name in names}


def test_target_equals_host_twin_in_outputs_flags_and_every_byte_of_state(
    build: Any, elf: Path, case: FrontEndCase
) -> None:
    twin = HostTwin(build(case.front_end).host)
    counts, missing = case.counts[650:950], case.missing[650:950]
    expected = twin.run(counts, missing)
    run = run_on_target(elf, counts, missing, twin.n_channels, twin.samples_per_frame, expected.outputs.shape[1])
    np.testing.assert_array_equal(run.outputs.view(np.uint32), expected.outputs.view(np.uint32))
    np.testing.assert_array_equal(run.valid, expected.valid)
    assert run.state == twin.state_bytes()


@pytest.mark.parametrize(("compiler", "optimization"), [("gcc", "0"), ("gcc", "3"), ("zig", "0"), ("zig", "1")])
def test_every_optimization_gives_the_same_bits(
    build: Any, case: FrontEndCase, tmp_path: Path, compiler: Compiler, optimization: Optimization
) -> None:
    program = build(case.front_end)
    other = HostTwin(compile_host(program.sources, tmp_path / "other.so", compiler, optimization))
    twin = HostTwin(program.host)
    expected, run = twin.run(case.counts, case.missing), other.run(case.counts, case.missing)
    np.testing.assert_array_equal(run.outputs.view(np.uint32), expected.outputs.view(np.uint32))
    assert other.state_bytes() == twin.state_bytes()


@pytest.mark.parametrize("at_once", [1, 2, 4, 8, 16])
def test_filtering_any_number_of_channels_at_once_gives_the_same_bits(
    build: Any, case: FrontEndCase, tmp_path: Path, at_once: int
) -> None:
    assert case.counts.shape[1] == 10  # in twelve columns: of eight at once, four are left; of sixteen, all
    program = build(case.front_end)
    shutil.copytree(program.sources, tmp_path / "c")
    configuration = tmp_path / "c" / "edgebci_configuration.h"
    configuration.write_text(configuration.read_text() + f"\n#define EDGEBCI_GROUP {at_once}u\n")
    twin, other = HostTwin(program.host), HostTwin(compile_host(tmp_path / "c", tmp_path / "other.so", "gcc", "1"))
    twin.run(case.counts, case.missing)
    other.run(case.counts, case.missing)
    assert other.state_bytes() == twin.state_bytes()


def test_host_library_imports_no_symbol(build: Any, case: FrontEndCase) -> None:
    table = image(build(case.front_end).host).get_section_by_name(".dynsym")
    undefined = [symbol.name for symbol in table.iter_symbols() if symbol["st_shndx"] == "SHN_UNDEF"]
    assert undefined == [""]


def test_an_unknown_core_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown core 'cortex-m4', did you mean 'cortex-m4f'"):
        find_core("cortex-m4")


def test_a_folder_without_c_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no C file"):
        compile_host(tmp_path, tmp_path / "x.so")


def test_c_that_calls_a_library_does_not_link(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("float expf(float);\nfloat f(float);\nfloat f(float x) { return expf(x); }\n")
    with pytest.raises(VerificationError, match="expf"):
        compile_host(tmp_path, tmp_path / "x.so", "gcc", harness=None)


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_a_warning_is_an_error_that_shows_its_first_line_and_leaves_no_file(tmp_path: Path, compiler: Compiler) -> None:
    (tmp_path / "a.c").write_text("#include <stdint.h>\nint8_t f(int x);\nint8_t f(int x) { return x; }\n")
    with pytest.raises(VerificationError, match=r"does not compile: .*a\.c:3"):
        compile_host(tmp_path, tmp_path / "x.so", compiler, harness=None)
    assert not (tmp_path / "x.so").exists()


def test_missing_compilers_are_named_with_the_line_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingToolError, match="apt-get install gcc"):
        compile_host(Path(__file__).parent / "native", Path("x.so"), "gcc")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingToolError, match="pip install ziglang"):
        compile_host(Path(__file__).parent / "native", Path("x.so"), "zig")


def test_zig_gets_a_cache_where_the_home_folder_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    assert "edgebci-zig" in toolchain._environment()["ZIG_GLOBAL_CACHE_DIR"]
    monkeypatch.setenv("HOME", str(Path.cwd()))
    assert "ZIG_GLOBAL_CACHE_DIR" not in toolchain._environment()


def test_no_undefined_behaviour_on_noise_rails_and_gaps(build: Any, case: FrontEndCase, tmp_path: Path) -> None:
    """Built so that undefined behaviour traps, the program must still run to the end, in a process of its own."""
    library, sources = tmp_path / "trap.so", sorted(build(case.front_end).sources.glob("*.c"))
    flags = "-std=c99 -O1 -fsanitize=undefined,float-cast-overflow -fsanitize-undefined-trap-on-error -shared -fPIC"
    harness = toolchain.NATIVE / "harness_host.c"
    command = ["gcc", *flags.split(), "-ffp-contract=off", "-fno-math-errno", "-I", str(sources[0].parent)]
    subprocess.run([*command, *map(str, sources), str(harness), "-o", str(library)], check=True)
    rng = np.random.default_rng(1)
    counts = np.concatenate([case.counts[:300], rng.integers(-32768, 32768, (300, 10))]).astype(np.int16)
    np.save(tmp_path / "counts.npy", counts)
    script = (
        "import sys, numpy as np; from pathlib import Path; from edgebci.firmware_sim.host_twin import HostTwin;"
        "counts = np.load(sys.argv[2]); missing = np.arange(len(counts)) % 200 > 80;"
        "print(len(HostTwin(Path(sys.argv[1])).run(counts, missing).outputs))"
    )
    root = Path(toolchain.__file__).resolve().parent.parent
    arguments = [sys.executable, "-c", script, str(library), str(tmp_path / "counts.npy")]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=root)
    assert result.stdout.strip() == "60", f"exit status {result.returncode}: {result.stderr}"


def test_folders_of_one_relative_name_are_not_taken_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = tmp_path / "harness.c"
    harness.write_text(
        '#include "value.h"\nint value(void);\nint value(void)\n{\n    return VALUE;\n}\n', encoding="utf-8"
    )
    found = []
    for value in (1, 2):
        folder = tmp_path / str(value) / "firmware"
        folder.mkdir(parents=True)
        (folder / "value.h").write_text(f"#define VALUE {value}\n", encoding="utf-8")
        (folder / "other.c").write_text("int other(void);\nint other(void)\n{\n    return 0;\n}\n", encoding="utf-8")
        monkeypatch.chdir(folder.parent)
        library = compile_host(Path("firmware"), Path("value.so"), harness=harness)
        found.append(ctypes.CDLL(str(library.resolve())).value())
    assert found == [1, 2]
