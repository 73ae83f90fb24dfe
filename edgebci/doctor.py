"""What is installed on this machine, what each part enables, and the line that installs what is missing.

Looks at metadata, the PATH and a few files; imports nothing that it asks about, so it answers at once.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import computed_field

from edgebci.documents import Document

DATA_VARIABLE = "EDGEBCI_TEST_DATA"
_CHECKOUT = Path(__file__).resolve().parent.parent
Manager = Literal["pip", "apt-get"]


class Part(Document):
    """One thing that may be installed.

    Fields:
        name: as people call it.
        found: its version, or where it is; None where it is missing.
        enables: what it is for.
        manager, package: how it is installed; None where a command cannot do that.
        otherwise: what to do then.
    """

    name: str
    found: str | None
    enables: str
    manager: Manager | None = None
    package: str | None = None
    otherwise: str = ""

    @property
    def cure(self) -> str:
        """What to do where it is missing."""
        return f"{self.manager} install {self.package}" if self.manager else self.otherwise


class Diagnosis(Document):
    """Everything that was looked for."""

    parts: tuple[Part, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def install_line(self) -> str | None:
        """One line that installs all that is missing and can be installed; None where nothing is."""
        commands = [line for manager in ("pip", "apt-get") if (line := self._command(manager))]
        return " && ".join(commands) or None

    def _command(self, manager: str) -> str:
        wanted = [part.package for part in self.parts if part.found is None and part.manager == manager]
        return f"{manager} install {' '.join(dict.fromkeys(name for name in wanted if name))}" if wanted else ""


@dataclass(frozen=True)
class Machine:
    """Where the answers come from; a test gives its own.

    Fields:
        version: of an installed distribution; raises PackageNotFoundError.
        program: path of a program, or None.
        location: folder of an importable package without importing it, or None.
        root: of the file system.
        environment: variables.
        checkout: beside which recordings may lie.
    """

    version: Callable[[str], str] = importlib.metadata.version
    program: Callable[[str], str | None] = shutil.which
    location: Callable[[str], Path | None] = lambda name: package_folder(name)
    root: Path = Path("/")
    environment: Callable[[str], str | None] = os.environ.get
    checkout: Path = _CHECKOUT

    def installed(self, *distributions: str) -> str | None:
        """Version of the first of these that is there."""
        for name in distributions:
            try:
                return self.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
        return None

    def first(self, patterns: Iterable[str]) -> Path | None:
        """The first file that matches."""
        return next((path for pattern in patterns for path in sorted(self.root.glob(pattern))), None)


def package_folder(name: str) -> Path | None:
    """Where a package lies, without importing it."""
    spec = importlib.util.find_spec(name)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def diagnose(machine: Machine | None = None) -> Diagnosis:
    """Look for everything."""
    here = machine or Machine()
    return Diagnosis(parts=(*_packages(here), *_gpu(here), *_programs(here), _recordings(here)))


def _packages(here: Machine) -> list[Part]:
    return [
        Part(name="python", found=platform.python_version(), enables="everything"),
        _pip(here, "torch", "training, distillation, quantization-aware training", "'edgebci[train]'"),
        Part(
            name="onnxruntime",
            found=_runtime(here),
            enables="verifying exported graphs; targets cpu and raspberry-pi-5",
            manager="pip",
            package="onnxruntime",
        ),
        _pip(here, "ziglang", "compiling the C of a bundle for every core and for this machine"),
        _pip(here, "unicorn", "running firmware on an emulated core, cycles and power"),
    ]


def _pip(here: Machine, name: str, enables: str, package: str | None = None) -> Part:
    return Part(name=name, found=here.installed(name), enables=enables, manager="pip", package=package or name)


def _runtime(here: Machine) -> str | None:
    """ONNX Runtime's version and execution providers, as its library files tell them."""
    version = here.installed("onnxruntime", "onnxruntime-gpu")
    folder = here.location("onnxruntime") if version else None
    if version is None or folder is None:
        return version
    extra = {path.stem.rpartition("_")[2] for path in folder.glob("capi/libonnxruntime_providers_*.so")}
    return f"{version} with {', '.join(['cpu', *sorted(extra - {'shared'})])}"


def _gpu(here: Machine) -> list[Part]:
    """A GPU cannot be installed by a line, and TensorRT and CUDA come with JetPack or with NVIDIA's own packages."""
    jetson = "comes with JetPack; on the board, apt-get install nvidia-jetpack"
    return [
        Part(
            name="nvidia gpu",
            found=_card(here),
            enables="training on it; on a Jetson, building and timing engines",
            otherwise="needs a machine that has one; bundles for Jetson are written without",
        ),
        Part(
            name="cuda",
            found=_shown(here.first(("usr/local/cuda/lib64/libcudart.so*", "usr/lib/*/libcudart.so*"))),
            enables="run_decoder.py and benchmark.py of a Jetson bundle",
            otherwise=jetson,
        ),
        Part(
            name="tensorrt",
            found=here.installed("tensorrt"),
            enables="build_engine.py of a Jetson bundle, on the board itself",
            otherwise=jetson,
        ),
    ]


def _card(here: Machine) -> str | None:
    model = here.first(("proc/device-tree/model",))
    if model and "jetson" in (text := model.read_bytes().decode("utf-8", "replace").strip("\0\n")).lower():
        return text
    for file in sorted(here.root.glob("proc/driver/nvidia/gpus/*/information")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return None


def _programs(here: Machine) -> list[Part]:
    return [
        _apt(here, "gcc", ("gcc",), "gcc", "compiling the host twin with a second compiler"),
        _apt(here, "clang", ("clang",), "clang", "fuzzing the C of a bundle with libFuzzer, and its analyzer"),
        _apt(here, "qemu-user", ("qemu-x86_64",), "qemu-user", "hashing a bundle on another processor (Haswell)"),
        _apt(here, "qemu-system-arm", ("qemu-system-arm",), "qemu-system-arm", "emulating cores that unicorn lacks"),
        _apt(here, "chromium", ("chromium", "chromium-browser", "google-chrome"), "chromium", "testing report pages"),
    ]


def _apt(here: Machine, name: str, programs: tuple[str, ...], package: str, enables: str) -> Part:
    found = next((path for program in programs if (path := here.program(program))), None)
    return Part(name=name, found=found, enables=enables, manager="apt-get", package=package)


def _recordings(here: Machine) -> Part:
    given = here.environment(DATA_VARIABLE)
    folder = Path(given) if given else here.checkout.parent / "shared" / "data"
    return Part(
        name="test recordings",
        found=str(folder) if folder.is_dir() else None,
        enables="tests and proofs on real recordings; without them they are skipped by name",
        otherwise=f"set {DATA_VARIABLE} to their folder; edgebci data fetch gets public ones",
    )


def _shown(path: Path | None) -> str | None:
    return None if path is None else path.name
