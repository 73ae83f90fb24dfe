"""The whole device in NumPy, counts in, outputs out: the definition that host twin and chip equal bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.features.conditioning import segments
from edgebci.features.device import DeviceFrontEnd
from edgebci.features.fixed_device import FixedFrontEnd
from edgebci.features.front_end import FrontEnd
from edgebci.features.specification import Counts
from edgebci.integer_decoder import IntegerDecoder
from edgebci.progress import Progress, silent

Bool = NDArray[np.bool_]

FrontEndForm = Literal["float32", "fixed"]
"""How a device computes its features: every sample in single precision, or `features/multirate.py` in integers."""

CHUNK_FRAMES = 50


@dataclass(frozen=True)
class DeviceTrace:
    """What a device gave over K frames.

    Fields:
        outputs: (K, D) float32. valid: (K,) bool.
        features: (K, F) float32, the normalised frames that the decoder saw.
        states: of the decoder after the last frame, by their names.
    """

    outputs: F32
    valid: Bool
    features: F32
    states: dict[str, NDArray[Any]]


def device_front_end(front_end: FrontEnd, form: FrontEndForm = "float32") -> DeviceFrontEnd | FixedFrontEnd:
    """The reference of the front end in a form, as a stream; raises InputError for what the form cannot compute."""
    return DeviceFrontEnd(front_end) if form == "float32" else FixedFrontEnd(front_end)


def run_reference(
    front_end: FrontEnd,
    decoder: IntegerDecoder,
    counts: Counts,
    missing: Bool | None = None,
    progress: Progress = silent,
    form: FrontEndForm = "float32",
) -> DeviceTrace:
    """Run the device from power-on over (T, C) counts and (T,) missing rows, its front end in `form`."""
    device, states = device_front_end(front_end, form), decoder.initial_states()
    outputs: list[F32] = [np.zeros((0, decoder.spec.n_outputs), np.float32)]
    features: list[F32] = [np.zeros((0, front_end.n_features), np.float32)]
    valid: list[Bool] = [np.zeros(0, bool)]
    step = CHUNK_FRAMES * front_end.spec.samples_per_frame
    for start in range(0, len(counts), step):
        frames = device.push(counts[start : start + step], None if missing is None else missing[start : start + step])
        for rows in segments(frames.reset_before):
            states = decoder.initial_states() if frames.reset_before[rows.start] else states
            decoded, states = decoder.run(frames.z[rows], states)
            outputs.append(decoded)
        features.append(frames.z)
        valid.append(frames.valid)
        progress(start / len(counts), "the NumPy reference")
    return DeviceTrace(np.concatenate(outputs), np.concatenate(valid), np.concatenate(features), states)
