"""Push a recording through the device program of a bundle, 20 ms at a time, as an implant's firmware would.

make demo
.venv/bin/python examples/stream_through_device.py runs/quickstart/export/bundle runs/quickstart/recording/recording.h5
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgebci.bundle import Bundle, open_bundle
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.toolchain import compile_host
from edgebci.recordings import open_recording


def decoded(bundle: Bundle, recording: Path, seconds: float) -> Iterator[tuple[float, np.ndarray, bool]]:
    """Yield (time in s, decoded axes, valid) for each frame of the first `seconds` of a recording."""
    with tempfile.TemporaryDirectory() as folder, open_recording(recording) as opened:
        twin = HostTwin(compile_host(bundle.firmware, Path(folder) / "twin.so"))
        step, rate_hz = twin.samples_per_frame, opened.info.lfp_rate_hz
        for start in range(0, round(seconds * rate_hz), step):
            counts = bundle.manifest.features.adc.counts(opened.lfp_uv(start, start + step))
            frame = twin.push(counts)
            for values, valid in zip(frame.outputs, frame.valid, strict=True):
                yield (start + step - 1) / rate_hz, values, bool(valid)


def main() -> None:
    """Print one line for each frame."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    bundle = open_bundle(arguments.bundle)
    names, unit = bundle.manifest.spec.output_names, bundle.manifest.spec.output_unit
    for time_s, values, valid in decoded(bundle, arguments.recording, arguments.seconds):
        shown = "  ".join(f"{name} {value:+8.2f} {unit}" for name, value in zip(names, values, strict=True))
        print(f"{time_s:8.3f} s  {shown}{'' if valid else '  (not valid)'}")  # noqa: T201 (an example prints)


if __name__ == "__main__":
    main()
