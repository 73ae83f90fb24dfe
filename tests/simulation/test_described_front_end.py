"""What a profile and a file of conditions say together about a front end, and about lost packets."""

from __future__ import annotations

import pytest

from edgebci.errors import InputError
from edgebci.features.specification import Adc, FeatureSpec, LowPass
from edgebci.firmware_sim.electronics.conditions import NO_CONDITIONS, Conditions, Filter, Packets
from edgebci.hardware import Implant, load_profile
from edgebci.pipeline.simulation.front_end import described
from edgebci.pipeline.simulation.losses import lost_rows, policies
from edgebci.pipeline.simulation.order import sweep_names

UTAH = load_profile(Implant, "utah96-lfp")


def test_the_profiles_figures_are_taken_and_conditions_stand_in_their_place() -> None:
    profile = UTAH.front_end
    plain = described(UTAH, NO_CONDITIONS, 1000.0, Adc()).model
    assert plain.converter.bits == profile.bits.typical
    assert plain.amplifier.high_pass_hz == profile.band_low_hz.typical
    assert profile.full_scale_uv is not None
    assert plain.converter.full_scale_uv == profile.full_scale_uv.typical
    converter = {"bits": 8, "full_scale_uv": 500.0, "enob_bits": 7.5}
    content = {"schema": "edgebci.conditions/1", "converter": converter, "amplifier": {"noise_nv_per_rthz": 9.0}}
    changed = described(UTAH, Conditions.model_validate(content), 1000.0, Adc()).model
    assert (changed.converter.bits, changed.converter.full_scale_uv, changed.converter.enob_bits) == (8, 500.0, 7.5)
    assert changed.amplifier.noise_nv_per_rthz == 9.0
    assert changed.amplifier.high_pass_hz == plain.amplifier.high_pass_hz


def test_what_a_profile_leaves_open_is_said() -> None:
    nothing = {"full_scale_uv": None, "noise_nv_per_rthz": None, "enob_bits": None}
    bare = UTAH.model_copy(update={"front_end": UTAH.front_end.model_copy(update=nothing)})
    found = described(bare, NO_CONDITIONS, 1000.0, Adc(uv_per_count=0.25))
    assert found.model.converter.step_uv == pytest.approx(0.25)
    assert any("no full scale" in note for note in found.notes)
    assert UTAH.front_end.noise_uvrms is not None
    band_hz = UTAH.front_end.band_high_hz.typical - UTAH.front_end.band_low_hz.typical
    expected = 1000 * UTAH.front_end.noise_uvrms.typical / band_hz**0.5
    assert found.model.amplifier.noise_nv_per_rthz == pytest.approx(expected)


def test_an_implant_that_samples_faster_decimates_behind_a_digital_filter() -> None:
    found = described(UTAH, NO_CONDITIONS, 250.0, Adc())
    assert found.model.anti_alias == Filter(corner_hz=100.0, order=8)
    assert any("decimates" in note for note in found.notes)
    with pytest.raises(InputError, match="samples at up to"):
        described(UTAH, NO_CONDITIONS, 1e6, Adc())


def test_packets_take_whole_runs_of_samples_and_every_policy_keeps_the_reset() -> None:
    lost = lost_rows(Packets(packet_ms=10.0, loss_share=0.1), 1000.0, 20_005, seed=2)
    assert len(lost) == 20_005
    assert all(lost[k : k + 10].all() or not lost[k : k + 10].any() for k in range(0, 20_000, 10))
    spec = FeatureSpec(rate_hz=1000, lmp=LowPass(corner_hz=4))
    found = policies(spec).values()
    assert [policy.policy for policy in found] == ["hold", "zero"]
    assert {policy.reset_after_s for policy in found} == {spec.missing.reset_after_s}


def test_only_known_sweeps_can_be_asked_for() -> None:
    assert sweep_names("noise, converter") == ("converter", "noise")
    assert sweep_names(None) == ()
    with pytest.raises(InputError, match="did you mean 'noise'"):
        sweep_names("noises")
