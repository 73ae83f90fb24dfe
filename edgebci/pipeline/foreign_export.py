"""`edgebci export MODEL.onnx`: a decoder that someone made elsewhere, to a verified bundle for one target."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from edgebci.arithmetic import F32
from edgebci.errors import InputError, VerificationError
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.foreign.bundle_writer import ForeignSource, write_foreign_bundle
from edgebci.export.foreign.reading import read_model
from edgebci.export.foreign.states import find_states
from edgebci.export.foreign.verifying import Bool, VerificationStream
from edgebci.firmware_sim.foreign_program import as_counts, compile_foreign_host
from edgebci.foreign.bundle import ForeignBundle
from edgebci.foreign.decoder import ForeignDecoder
from edgebci.pipeline.device import first_difference
from edgebci.progress import Progress, silent
from edgebci.targets import Precision, Target, target

PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
FRAMES, RESETS, RATE = "frames", "reset_before", "frame_rate_hz"
"""Data sets of an HDF5 file of calibration frames, of which the second may be absent, and an attribute of the first."""
ASSUMED_RATE_HZ = 50.0
"""Of frames that do not say their own: that of the reference decoder. Only a Jetson's benchmark is paced by it."""


class CalibrationFrames(NamedTuple):
    """Frames (T, n_inputs), where states start anew (T,), and how many come in a second."""

    frames: F32
    reset_before: Bool | None
    frame_rate_hz: float


def export_foreign(
    model: Path,
    target_name: str,
    precision: str | None,
    calibration: Path,
    out: Path,
    states: Sequence[str] = (),
    recipe: QuantizationRecipe | None = None,
    progress: Progress = silent,
) -> ForeignBundle:
    """Export an ONNX model.

    Args:
        model: the file.
        target_name: one of `edgebci.targets`.
        precision: fp32 or int8, for a Jetson fp16 too; None takes int8.
        calibration: frames (T, n_inputs) in order of time: .npy, or .h5 with `frames` and, if they are of several
            stretches, `reset_before` (T,).
        out: folder of the bundle; one that stands there is replaced.
        states: pairs `in=out` of state tensors; none: found by their names.
        recipe: of quantization; None takes the defaults.
        progress: told how far it is.

    Raises:
        InputError: something that was given cannot be used, in one sentence.
        VerificationError: a form does not compute what it should; nothing is written.
    """
    wanted = target(target_name)
    chosen = _precision(wanted, precision)
    progress(0.0, f"reading {model.name}")
    proto = read_model(model)
    pairs = find_states(proto, states)
    source = ForeignSource(model, proto, pairs, calibration, *load_frames(calibration))
    return write_foreign_bundle(out, source, wanted, chosen, prove_on_host, recipe, progress)


def prove_on_host(firmware: Path, decoder: ForeignDecoder, stream: VerificationStream) -> int:
    """Compile the C for this machine and compare its outputs and states with the reference; returns the steps.

    Raises:
        MissingToolError: no compiler. VerificationError: names the first tensor and step that differ.
    """
    with tempfile.TemporaryDirectory() as folder:
        twin = compile_foreign_host(firmware, Path(folder) / "host_twin.so")
        twin.power_on()
        states = decoder.initial_states()
        for start, stop in _stretches(stream.reset_before):
            frames = stream.frames[start:stop]
            twin.reset()
            expected, states = decoder.run(frames, decoder.initial_states())
            step = first_difference(expected, twin.push(as_counts(frames)).outputs)
            if step is not None:
                raise VerificationError(
                    f"the C on this machine: output differs from the reference at step {start + step}; nothing is "
                    "written: report it with the model"
                )
            for name, state in states.items():
                if twin.state(name).tobytes() != state.tobytes():
                    raise VerificationError(
                        f"the C on this machine: the state {name} differs from the reference after step {stop - 1}; "
                        "nothing is written: report it with the model"
                    )
    return len(stream.frames)


def load_frames(path: Path) -> CalibrationFrames:
    """Read .npy or .h5.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    if not path.is_file():
        raise InputError(f"no file {path}; give calibration frames as .npy or .h5")
    if path.suffix not in (".npy", ".h5", ".hdf5"):
        raise InputError(f"calibration frames in {path.name}: allowed are .npy and .h5; save them with numpy.save")
    try:
        frames, resets, rate_hz = _npy(path) if path.suffix == ".npy" else _hdf5(path)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} holds no calibration frames ({error}); save them again") from error
    if frames.ndim != 2 or not len(frames) or frames.dtype.kind not in "fiu":
        raise InputError(
            f"{path} holds {frames.dtype} of shape {frames.shape}, calibration frames are numbers (frames, inputs); "
            "save them so"
        )
    if resets is not None and resets.shape != (len(frames),):
        raise InputError(
            f"{path}: {RESETS} has shape {resets.shape} where there are {len(frames)} frames; save it anew"
        )
    if not 0 < rate_hz < np.inf:
        raise InputError(f"{path}: {RATE} is {rate_hz:g}, allowed are frames a second above 0; correct it")
    starts = None if resets is None else resets.astype(bool)
    return CalibrationFrames(np.ascontiguousarray(frames, np.float32), starts, rate_hz)


Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]
Loaded = tuple[Array, Array | None, float]


def _npy(path: Path) -> Loaded:
    return np.load(path, allow_pickle=False), None, ASSUMED_RATE_HZ


def _hdf5(path: Path) -> Loaded:
    with h5py.File(path, "r") as file:
        if not isinstance(file.get(FRAMES), h5py.Dataset):
            raise ValueError(f"it has no data set {FRAMES!r}")
        resets = file[RESETS][()] if RESETS in file else None
        return file[FRAMES][()], resets, float(file[FRAMES].attrs.get(RATE, ASSUMED_RATE_HZ))


def _precision(wanted: Target, precision: str | None) -> Precision:
    choices: tuple[Precision, ...] = (*PRECISIONS, "fp16") if wanted.kind == "jetson" else PRECISIONS
    for allowed in choices:
        if (precision or "int8") == allowed:
            return allowed
    raise InputError(
        f"a model made elsewhere cannot be exported for {wanted.name} in {precision!r}, allowed: {', '.join(choices)}; "
        "change --precision"
    )


def _stretches(reset_before: Bool) -> list[tuple[int, int]]:
    starts = [0, *(int(k) for k in np.flatnonzero(reset_before) if k)]
    return list(zip(starts, [*starts[1:], len(reset_before)], strict=True))
