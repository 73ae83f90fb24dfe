"""A design for the tests of the timeline."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgebci.firmware_sim.design import DecoderLoad, Design, assemble
from edgebci.hardware import ComputePart, Implant, Radio, load_profile


@pytest.fixture
def design_with() -> Callable[[str], Design]:
    """The generic Utah implant with a radio, decoding on the implant at 50 Hz."""
    load = DecoderLoad(
        core="cortex-m33",
        cycles_per_frame=700_000,
        worst_cycles_per_frame=760_000,
        front_end_cycles_per_frame=450_000,
        frame_rate_hz=50,
        n_channels=96,
        rate_hz=1000,
        flash_bytes=180_000,
        ram_bytes=90_000,
        feature_bits_per_frame=384 * 8,
        output_bits_per_frame=2 * 32,
    )
    implant, compute = load_profile(Implant, "utah96-lfp"), load_profile(ComputePart, "stm32u385")
    return lambda radio: assemble(implant, compute, load_profile(Radio, radio), load)
