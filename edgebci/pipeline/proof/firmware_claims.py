"""The claims about firmware: equal bits, a whole day, fuzzing, the host library's speed, Helium, fixed point."""

from __future__ import annotations

from edgebci.pipeline.proof.bits_claim import measure_bits
from edgebci.pipeline.proof.claim import Claim
from edgebci.pipeline.proof.day_claim import measure_day
from edgebci.pipeline.proof.fixed_error_claim import fixed_error_claim
from edgebci.pipeline.proof.fixed_step_claim import fixed_step_claim
from edgebci.pipeline.proof.fuzzing_claim import measure_fuzzing
from edgebci.pipeline.proof.helium_claim import measure_helium
from edgebci.pipeline.proof.host_speed_claim import measure_host_speed
from edgebci.pipeline.proof.sources import Sources

_PROOF = "edgebci.pipeline.proof"
_C = (
    *("export/kernels/*.[ch]", "export/kernels/host/*.h", "export/templates/*.j2", "firmware_sim/native/*"),
    "examples/edge_student.toml",
)


def firmware_claims(names: tuple[str, ...], aside: tuple[str, ...]) -> tuple[Claim, ...]:
    """The claims of those names; `aside` are files that no figure depends on."""
    found = {claim.name: claim for claim in all_firmware_claims(aside)}
    return tuple(found[name] for name in names)


def all_firmware_claims(aside: tuple[str, ...]) -> tuple[Claim, ...]:
    """Every claim about firmware, those too that nobody has measured yet."""
    return (
        Claim(
            name="firmware_bits",
            title="Equal bits on every core",
            command="edgebci proof --only firmware_bits",
            sources=Sources((f"{_PROOF}.bits_claim",), _C, aside),
            minutes=55.0,
            measure=measure_bits,
            recording="rat_r1838_open_field.nwb",
        ),
        Claim(
            name="firmware_day",
            title="A day without reset",
            command="edgebci proof --only firmware_day",
            sources=Sources((f"{_PROOF}.day_claim",), _C, aside),
            minutes=25.0,
            measure=measure_day,
        ),
        Claim(
            name="fuzzing",
            title="Fuzzing",
            command="edgebci proof --only fuzzing",
            sources=Sources((f"{_PROOF}.fuzzing_claim",), (*_C, "tests/fuzz/*.[cp]*", "tests/fuzz/seeds/*/*"), aside),
            minutes=32.0,
            measure=measure_fuzzing,
        ),
        Claim(
            name="host_speed",
            title="Host library",
            command="edgebci bench bundle BUNDLE",
            sources=Sources((f"{_PROOF}.host_speed_claim",), _C, aside),
            minutes=3.0,
            measure=measure_host_speed,
            quoted=("times_back_to_back_p50_through_the_bindings", "times_at_the_rate_p50_through_the_bindings"),
        ),
        Claim(
            name="helium",
            title="Cortex-M55, estimated",
            command="edgebci proof --only helium",
            sources=Sources((f"{_PROOF}.helium_claim",), (*_C, "hardware_profiles/cores/*.toml"), aside),
            minutes=2.0,
            measure=measure_helium,
            quoted=("m55_int8_step", "m55_fixed_step"),
        ),
        fixed_step_claim(_C, aside),
        fixed_error_claim(aside),
    )
