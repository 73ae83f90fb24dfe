"""What the tests of implants share: the shipped profiles, and a load the size of the reference decoder."""

from __future__ import annotations

import pytest

from edgebci.firmware_sim.design import DecoderLoad


@pytest.fixture
def load() -> DecoderLoad:
    return DecoderLoad(
        core="cortex-m4f",
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
