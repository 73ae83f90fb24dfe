"""edgebci doctor says what is there and what is not, imports nothing heavy, and always ends well."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edgebci.cli.doctor import doctor
from edgebci.doctor import Machine, diagnose, package_folder

NAMES = [
    *("python", "torch", "onnxruntime", "ziglang", "unicorn", "nvidia gpu", "cuda", "tensorrt"),
    *("gcc", "clang", "qemu-user", "qemu-system-arm", "chromium", "test recordings"),
]
HEAVY = ("torch", "onnxruntime", "onnx", "numpy", "scipy", "unicorn", "tensorrt", "matplotlib", "h5py")


def absent(name: str) -> str:
    raise PackageNotFoundError(name)


def nowhere(name: str) -> None:
    return None


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    return Machine(absent, nowhere, nowhere, tmp_path, nowhere, tmp_path / "checkout")


@pytest.fixture
def full(tmp_path: Path) -> Machine:
    runtime, cards = tmp_path / "runtime", tmp_path / "proc/driver/nvidia/gpus/0000"
    files = {
        runtime / "capi/libonnxruntime_providers_shared.so": "",
        runtime / "capi/libonnxruntime_providers_cuda.so": "",
        runtime / "capi/libonnxruntime_providers_tensorrt.so": "",
        cards / "information": "Bus Location: 1\nModel: \t\t Some GPU\n",
        tmp_path / "usr/local/cuda/lib64/libcudart.so.12": "",
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    versions = {"torch": "2.13.0", "onnxruntime-gpu": "1.31", "ziglang": "0.17", "unicorn": "2.1", "tensorrt": "11.4.1"}

    def version(name: str) -> str:
        return versions[name] if name in versions else absent(name)

    return Machine(version, lambda name: f"/bin/{name}", {"onnxruntime": runtime}.get, tmp_path, {
        "EDGEBCI_TEST_DATA": str(runtime)}.get)  # fmt: skip


def test_a_bare_machine_is_told_the_one_line_that_installs_what_can_be(bare: Machine) -> None:
    found = diagnose(bare)
    assert [part.name for part in found.parts] == NAMES
    assert [part.name for part in found.parts if part.found] == ["python"]
    assert found.install_line == (
        "pip install 'edgebci[train]' onnxruntime ziglang unicorn && "
        "apt-get install gcc clang qemu-user qemu-system-arm chromium"
    )


def test_what_no_command_installs_says_what_to_do_instead(bare: Machine) -> None:
    cures = {part.name: part.cure for part in diagnose(bare).parts if part.manager is None and not part.found}
    assert set(cures) == {"nvidia gpu", "cuda", "tensorrt", "test recordings"}
    assert all(cures.values())
    assert "EDGEBCI_TEST_DATA" in cures["test recordings"]


def test_a_full_machine_misses_nothing(full: Machine) -> None:
    found = diagnose(full)
    shown = {part.name: part.found for part in found.parts}
    assert None not in shown.values()
    assert found.install_line is None
    assert shown["onnxruntime"] == "1.31 with cpu, cuda, tensorrt"
    assert (shown["nvidia gpu"], shown["cuda"], shown["gcc"]) == ("Some GPU", "libcudart.so.12", "/bin/gcc")


def test_a_jetson_is_known_by_its_device_tree(bare: Machine) -> None:
    model = bare.root / "proc/device-tree/model"
    model.parent.mkdir(parents=True)
    model.write_text("Raspberry Pi 5 Model B\0")
    assert {part.name: part.found for part in diagnose(bare).parts}["nvidia gpu"] is None
    model.write_text("NVIDIA Jetson Orin NX\0")
    assert {part.name: part.found for part in diagnose(bare).parts}["nvidia gpu"] == "NVIDIA Jetson Orin NX"


def test_every_part_says_what_it_enables(bare: Machine) -> None:
    assert all(part.enables for part in diagnose(bare).parts)


def test_this_machine_finds_the_packages_that_the_tests_need() -> None:
    shown = {part.name: part.found for part in diagnose().parts}
    assert shown["onnxruntime"] is not None
    assert "cpu" in shown["onnxruntime"]
    assert package_folder("edgebci") is not None
    assert package_folder("no_such_package") is None


def test_the_command_prints_a_table_or_json_and_ends_well() -> None:
    app = typer.Typer()
    app.command()(doctor)
    table, document = CliRunner().invoke(app, []), CliRunner().invoke(app, ["--json"])
    assert table.exit_code == document.exit_code == 0
    assert "this machine" in table.output
    content = json.loads(document.output)
    assert [part["name"] for part in content["parts"]] == NAMES
    assert "install_line" in content


def test_nothing_heavy_is_imported() -> None:
    program = (
        "import sys; from edgebci.cli.doctor import doctor; from edgebci.doctor import diagnose; diagnose(); "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
