"""The decoder's load that tests of implants are about, and the design that carries it."""

from __future__ import annotations

from collections.abc import Callable

from edgebci.firmware_sim.design import DecoderLoad, Design, assemble
from edgebci.hardware import ComputePart, Core, Implant, Radio, load_profile


def reference_load(core: Core) -> DecoderLoad:
    """About the size of the reference decoder."""
    return DecoderLoad(
        core=core,
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


def utah_design_with() -> Callable[[str], Design]:
    """The generic Utah implant with a radio, decoding on the implant at 50 Hz."""
    implant, compute = load_profile(Implant, "utah96-lfp"), load_profile(ComputePart, "stm32u385")
    return lambda radio: assemble(implant, compute, load_profile(Radio, radio), reference_load("cortex-m33"))
