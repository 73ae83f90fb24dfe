"""Ten minutes of fuzzing of each way into the firmware and of the reader of bundles, without a finding.

push_samples and load_parameters run under gcc's sanitizers with coverage (`tests/fuzz/driver.c`), the reader of
bundles in Python over changed bytes of a bundle (with atheris, coverage-guided: tests/fuzz/bundle_reader.py says how).
"""

from __future__ import annotations

import importlib.util
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np

from edgebci.bundle import open_bundle
from edgebci.edge_student import load_edge_student
from edgebci.errors import InputError
from edgebci.export.c_generator import generate
from edgebci.firmware_sim.sanitizers import FuzzRun, compile_fuzzer, run_fuzzer
from edgebci.pipeline.proof.claim import Place
from edgebci.pipeline.proof.figure import Figure
from edgebci.pipeline.proof.parts import kept
from edgebci.pipeline.proof.student_bundle import student_bundle
from edgebci.progress import Progress, part

HARNESSES = ("push_samples", "load_parameters")
_ANY_NUMBER = 1 << 62
_TELLING = (b"NaN", b"-1", b"null", b"[]", b"{}", b'"', b"1e999", b"\xff\xfe", b"9" * 30, b"\x00" * 8)


@dataclass(frozen=True)
class FuzzingSize:
    """How long each is fuzzed."""

    seconds: int = 600


def measure_fuzzing(place: Place, progress: Progress, size: FuzzingSize = FuzzingSize()) -> tuple[Figure, ...]:
    """Fuzz all three; raises VerificationError, or what the reader raised, where an input fails."""
    student = load_edge_student(place.checkout / "examples" / "edge_student.toml")
    bundle = place.folder / "student" / "bundle"
    if not bundle.is_dir():
        bundle, _ = student_bundle(student, place.folder / "student")
    firmware, fuzz = place.folder / "firmware", place.checkout / "tests" / "fuzz"
    opened = open_bundle(bundle)
    generate(opened.int8_onnx, opened.front_end(), firmware, loadable=opened.parameters())
    found = []
    for k, name in enumerate(HARNESSES):
        part(progress, 0.33 * k, 0.33 * (k + 1))(0.0, f"fuzzing {name}")
        seeds = _seeds(fuzz / "seeds" / name, place.folder / f"seeds_{name}", bundle)
        program = compile_fuzzer(firmware, fuzz / f"{name}.c", fuzz / "driver.c", place.folder / name)
        crash = place.folder / f"crash_{name}"
        run = kept(
            place.folder,
            f"fuzzed_{name}",
            FuzzRun,
            partial(run_fuzzer, program, seeds, _ANY_NUMBER, size.seconds, crash),
        )
        found.append((name, run))
    last = part(progress, 0.67, 1.0)
    found.append(
        (
            "bundle_reader",
            kept(place.folder, "fuzzed_reader", FuzzRun, lambda: _read(bundle, place, size.seconds, last)),
        )
    )
    return tuple(_figure(name, run, size.seconds) for name, run in found)


def _seeds(shipped: Path, folder: Path, bundle: Path) -> Path:
    """Those of the project, and the bundle's own block, as it is and with its sum to be put right."""
    if folder.is_dir():
        shutil.rmtree(folder)
    shutil.copytree(shipped, folder)
    block = (bundle / "parameters.bin").read_bytes()
    for mode in (0, 1):
        (folder / f"block_{mode}").write_bytes(bytes([mode]) + block)
    return folder


def _read(bundle: Path, place: Place, seconds: int, progress: Progress) -> FuzzRun:
    """Change a byte, a stretch or a word of a file, and open the bundle, until the time is over."""
    reader, rng = _reader(place.checkout / "tests" / "fuzz" / "bundle_reader.py"), np.random.default_rng(1)
    work, runs, refused, start = place.folder / "work", 0, 0, time.monotonic()
    if work.is_dir():
        shutil.rmtree(work)
    shutil.copytree(bundle, work)
    while (gone := time.monotonic() - start) < seconds:
        refused += reader.read_changed(bundle, work, _change(rng))
        runs += 1
        progress(gone / seconds, "fuzzing the reader of bundles")
    return FuzzRun(runs=runs, edges=0, inputs=refused)


def _change(rng: np.random.Generator) -> bytes:
    """Which file, where in it, how many bytes go (half of the time as many as come), and what comes."""
    word = _TELLING[rng.integers(len(_TELLING))] if rng.random() < 0.5 else rng.bytes(int(rng.integers(8)))
    gone = len(word) if rng.random() < 0.5 else int(rng.integers(64))
    return bytes([rng.integers(256)]) + int(rng.integers(1 << 24)).to_bytes(3, "little") + bytes([gone]) + word


def _reader(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bundle_reader", path)
    if spec is None or spec.loader is None:
        raise InputError(f"no file {path}; run the proof in a checkout of the project")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _figure(name: str, run: FuzzRun, seconds: int) -> Figure:
    how = f"{run.edges:,} edges reached" if run.edges else f"{run.inputs:,} of them refused"
    return Figure(
        name=name,
        label=f"inputs to {name.replace('_', ' ')} without a finding",
        value=run.runs,
        evidence="counted",
        note=f"{seconds / 60:g} minutes, {how}",
        headline=name != "bundle_reader",
    )
