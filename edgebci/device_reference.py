"""The whole device in NumPy, counts in, outputs out: the definition that host twin and chip equal bit for bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.features.conditioning import segments
from edgebci.features.device import DeviceFrontEnd
from edgebci.features.front_end import FrontEnd
from edgebci.features.specification import Counts
from edgebci.progress import Progress, silent
from edgebci.quantized_decoder import QuantizedDecoder, QuantizedStates

Bool = NDArray[np.bool_]

CHUNK_FRAMES = 50


@dataclass(frozen=True)
class DeviceTrace:
    """What a device gave over K frames.

    Fields:
        outputs: (K, D) float32. valid: (K,) bool.
        features: (K, F) float32, the normalised frames that the decoder saw.
        states: of the decoder after the last frame, int16, by their names.
    """

    outputs: F32
    valid: Bool
    features: F32
    states: QuantizedStates


def run_reference(
    front_end: FrontEnd,
    decoder: QuantizedDecoder,
    counts: Counts,
    missing: Bool | None = None,
    progress: Progress = silent,
) -> DeviceTrace:
    """Run the device from power-on over (T, C) counts and (T,) missing rows."""
    device, states = DeviceFrontEnd(front_end), decoder.initial_states()
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
