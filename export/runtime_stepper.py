"""ONNX Runtime as a target: the runner that goes into bundles, opened with our errors, stated and verified."""

from __future__ import annotations

import inspect
import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgebci.documents import Document
from edgebci.errors import InputError, VerificationError
from edgebci.export import run_decoder
from edgebci.export.run_decoder import PROVIDERS, BoundDecoder, DecoderError
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.export.stream_comparison import CURE
from edgebci.files import write_text

RUNNER = "run_decoder.py"


class RuntimeRecord(Document):
    """How a decoder is run by ONNX Runtime; part of a bundle's manifest."""

    onnxruntime: str
    provider: str
    execution_providers: tuple[str, ...]
    """In the order in which they may take nodes; a node that none of them takes is an error."""
    intra_op_threads: int
    session_options: dict[str, str]
    """Of those that ONNX Runtime calls configuration entries."""
    verified_on: str
    """Processor of the machine that exported, as its system calls it; a Raspberry Pi 5 is aarch64."""
    verified_steps: int
    """For which the bound runner gave the bits of the plain one."""


def runtime_stepper(path: Path, provider: str = "cpu") -> BoundDecoder:
    """Open a step graph with pre-bound buffers; raises InputError where it cannot run on this provider."""
    try:
        return BoundDecoder(path, provider)
    except DecoderError as error:
        raise InputError(str(error)) from error


def present_providers() -> tuple[str, ...]:
    """Those of `PROVIDERS` that the installed ONNX Runtime has."""
    have = onnxruntime.get_available_providers()
    return tuple(name for name, wanted in PROVIDERS.items() if set(wanted) <= set(have))


def write_runner(folder: Path) -> Path:
    """Write run_decoder.py, which needs nothing of this package, into a bundle."""
    path = folder / RUNNER
    write_text(path, inspect.getsource(run_decoder))
    return path


def verify_runner(
    path: Path, frames: NDArray[Any], reset_before: NDArray[np.bool_] | None = None, provider: str = "cpu"
) -> RuntimeRecord:
    """Run (T, ...) with bound buffers and, on the same provider, without, and compare outputs and last states.

    Raises:
        InputError: the graph cannot run on this provider, or there are no frames.
        VerificationError: the first step whose output has other bits, or the state that has at the end.
    """
    if not len(frames):
        raise InputError("no frames to verify the runner with; give a stream that has some")
    bound, plain = runtime_stepper(path, provider), OnnxStepRunner(path, PROVIDERS[provider])
    states = plain.initial_states()
    bound.reset()
    for k, frame in enumerate(frames):
        if reset_before is not None and reset_before[k]:
            states = plain.initial_states()
            bound.reset()
        expected, states = plain.step(frame, states)
        if bound.step(frame).tobytes() != expected.tobytes():
            raise VerificationError(f"bound buffers: the bits of output differ at step {k}; {CURE}")
    for name, values in bound.states().items():
        if values.tobytes() != states[name].tobytes():
            raise VerificationError(f"bound buffers: the bits of {name} differ at step {len(frames) - 1}; {CURE}")
    return _record(provider, len(frames))


def _record(provider: str, steps: int) -> RuntimeRecord:
    options = run_decoder.session_options(provider)
    entries = run_decoder.configuration_entries(provider)
    return RuntimeRecord(
        onnxruntime=onnxruntime.__version__,
        provider=provider,
        execution_providers=PROVIDERS[provider],
        intra_op_threads=options.intra_op_num_threads,
        session_options=entries,
        verified_on=platform.machine(),
        verified_steps=steps,
    )
