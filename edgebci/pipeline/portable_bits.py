"""One int8 bundle, two processors: the same hashes on this machine and on an emulated Haswell, on saturating input.

Haswell has AVX2 and neither AVX-512 nor VNNI, so NumPy and ONNX Runtime choose other instructions there, and integer
sums that overflow 16 bits in between show. The same Python program runs twice, here and under Debian's qemu-user: the C
that the bundle holds, compiled once for any x86-64, its bit-exact reference in NumPy, and ONNX Runtime. The first two
must give equal bits. ONNX Runtime rounds exp and sums of floats by the instructions that it finds, so its hash is
reported and not demanded.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgebci.bundle import INT8_ONNX, QUANTIZED, BundleFolder
from edgebci.documents import Document
from edgebci.errors import InputError, VerificationError
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.export.stream_comparison import QuantizedReference
from edgebci.firmware_sim.foreign_program import FOREIGN_HOST
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.toolchain import NATIVE, SPIKES_HOST, compile_host
from edgebci.foreign.bundle import DECODER
from edgebci.foreign.decoder import ForeignDecoder
from edgebci.integer_decoder import load_integers
from edgebci.pipeline.bundle_kinds import Kind
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.quantized_decoder import no_tap

QEMU, CPU, HERE = "qemu-x86_64", "Haswell", "this machine"
HOST_TWIN, REFERENCE, RUNTIME = "host twin", "NumPy reference", "ONNX Runtime"
MUST_BE_EQUAL = (HOST_TWIN, REFERENCE)
FRAMES_HOST = NATIVE / "harness_host.c"
HARNESSES: dict[Kind, Path] = {"frames": FRAMES_HOST, "spikes": SPIKES_HOST, "foreign": FOREIGN_HOST}
_LIMIT_S = 600


class PortableHash(Document):
    """Outputs and last states of one form on one machine."""

    form: str
    machine: str
    sha256: str


class PortableBits(Document):
    """What one bundle gave on both machines."""

    rows: int
    """Rows of counts that went through the host twin."""
    frames: int
    """That went through the reference and ONNX Runtime."""
    hashes: tuple[PortableHash, ...]
    not_run: str
    """Why nothing ran on the emulated processor; empty where it did."""

    def differing(self) -> tuple[str, ...]:
        """Forms that gave more than one hash."""
        by_form: dict[str, set[str]] = {}
        for found in self.hashes:
            by_form.setdefault(found.form, set()).add(found.sha256)
        return tuple(form for form, hashes in by_form.items() if len(hashes) > 1)

    def sentence(self) -> str:
        """For a report."""
        if self.not_run:
            return f"not compared with another processor: {self.not_run}"
        other = f"; {RUNTIME} gives other bits there" if RUNTIME in self.differing() else f", {RUNTIME} too"
        return f"{' and '.join(MUST_BE_EQUAL)} give equal bits on {HERE} and under {QEMU} -cpu {CPU}{other}"


@dataclass(frozen=True)
class SaturatingInput:
    """Input that drives every integer to its ends.

    Fields:
        counts: (rows, channels) for the host twin: converters at a rail; or rows of spikes.
        frames: (T, ...) for the decoder alone: features far beyond any scale; or chunks of spikes.
    """

    counts: NDArray[Any]
    frames: NDArray[Any]


def saturating_input(counts_shape: tuple[int, int], frames_shape: tuple[int, int], bits: int) -> SaturatingInput:
    """Rails for a converter of `bits`, and features of a million standard deviations, their signs held for a while.

    Signs that change at every step would leave states near zero; so each lasts some steps.
    """
    rng = np.random.default_rng(0)
    highest = (1 << (bits - 1)) - 1
    high = np.repeat(rng.random((-(-counts_shape[0] // 7), counts_shape[1])) < 0.5, 7, axis=0)[: counts_shape[0]]
    counts = np.where(high, highest, -highest - 1).astype(np.int16 if bits <= 16 else np.int32)
    signs = np.repeat(rng.random((-(-frames_shape[0] // 5), frames_shape[1])) < 0.5, 5, axis=0)[: frames_shape[0]]
    return SaturatingInput(counts, np.where(signs, 1e6, -1e6).astype(np.float32))


def portable_bits(
    bundle: BundleFolder, given: SaturatingInput, kind: Kind = "frames", scored: Path | None = None
) -> PortableBits:
    """Hash the forms of a bundle here and, where qemu-user is installed, on an emulated Haswell.

    Args:
        bundle: the folder.
        given: what goes through it.
        kind: of the bundle.
        scored: the library of the host twin that was scored here, tuned for this machine; None compares without it.

    Raises:
        InputError: nothing to run. MissingToolError: gcc is absent.
        VerificationError: host twin or reference give other bits there, or by another compiler; or the program failed.
    """
    if not (len(given.counts) and len(given.frames)):
        raise InputError("no counts or no frames to compare processors with; give some of both")
    with tempfile.TemporaryDirectory(prefix="edgebci-portable-") as name:
        work = _prepared(Path(name), bundle, given, kind)
        found = _labelled(_hashes(work), HERE)
        if scored:
            found += _labelled({HOST_TWIN: _twin(scored, given.counts)}, f"{HERE}, as scored")
        not_run = "" if shutil.which(QEMU) else f"{QEMU} is not on the PATH (Debian: apt-get install qemu-user)"
        found += [] if not_run else _labelled(_emulated(work), CPU)
    result = PortableBits(rows=len(given.counts), frames=len(given.frames), hashes=tuple(found), not_run=not_run)
    wrong = [form for form in result.differing() if form in MUST_BE_EQUAL]
    if wrong:
        raise VerificationError(
            f"{' and '.join(wrong)} of {bundle.folder}: other bits on another processor or by another compiler, and "
            "all must be equal; report it with the bundle"
        )
    return result


def _prepared(folder: Path, bundle: BundleFolder, given: SaturatingInput, kind: Kind) -> _Work:
    """Files that both processors read."""
    work = _Work(folder / "twin.so", bundle.folder, folder / "counts.npy", folder / "frames.npy", kind)
    np.save(work.counts, given.counts, allow_pickle=False)
    np.save(work.frames, given.frames, allow_pickle=False)
    # gcc builds for any x86-64, zig for the machine that it runs on.
    compile_host(bundle.firmware, work.library, "gcc", "2", harness=HARNESSES[kind])
    return work


@dataclass(frozen=True)
class _Work:
    """What one run takes."""

    library: Path
    bundle: Path
    counts: Path
    frames: Path
    kind: Kind

    def arguments(self) -> list[str]:
        """For the same program on the other processor."""
        paths = [self.library, self.bundle, self.counts, self.frames]
        return [*(str(path.resolve()) for path in paths), self.kind]


def _hashes(work: _Work) -> dict[str, str]:
    counts, frames = np.load(work.counts, allow_pickle=False), np.load(work.frames, allow_pickle=False)
    decoder, runner = _reference(work), OnnxStepRunner(work.bundle / INT8_ONNX)
    outputs, states = decoder.run(frames, decoder.initial_states(), no_tap)
    return {
        HOST_TWIN: _twin(work.library, counts),
        REFERENCE: _digest([outputs.tobytes(), *(values.tobytes() for values in states.values())]),
        RUNTIME: _digest([runner.stream(frames).tobytes()]),
    }


def _reference(work: _Work) -> QuantizedReference:
    if work.kind == "foreign":
        return ForeignDecoder.load(work.bundle / DECODER)
    load = QuantizedPossmStep.load if work.kind == "spikes" else load_integers
    return load(work.bundle / QUANTIZED)


def _twin(library: Path, counts: NDArray[Any]) -> str:
    twin = HostTwin(library)
    run = twin.run(counts)
    return _digest([run.outputs.tobytes(), twin.state_bytes()])


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _labelled(hashes: dict[str, str], machine: str) -> list[PortableHash]:
    return [PortableHash(form=form, machine=machine, sha256=value) for form, value in hashes.items()]


def _emulated(work: _Work) -> dict[str, str]:
    command = [QEMU, "-cpu", CPU, sys.executable, "-m", __name__, *work.arguments()]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or [f"exit status {result.returncode}"])[-1]
        raise VerificationError(
            f"the bundle's program ended under {QEMU} -cpu {CPU}: {last}; report it with the bundle"
        )
    hashes: dict[str, str] = json.loads(result.stdout.splitlines()[-1])
    return hashes


def _main(arguments: list[str]) -> int:
    *paths, kind = arguments
    library, bundle, counts, frames = map(Path, paths)
    sys.stdout.write(json.dumps(_hashes(_Work(library, bundle, counts, frames, cast(Kind, kind)))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
