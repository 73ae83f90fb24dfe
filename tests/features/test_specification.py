"""What a specification refuses, in words, and what it derives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebci.documents import load_toml, parse
from edgebci.errors import InputError
from edgebci.features.specification import Adc, Band, FeatureSpec, LowPass

REFERENCE_DECODER = {
    "rate_hz": 1000,
    "bands": [
        {"low_hz": 1, "high_hz": 4},
        {"low_hz": 12, "high_hz": 30},
        {"low_hz": 60, "high_hz": 140},
        {"low_hz": 150, "high_hz": 300},
    ],
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rate_hz": 250}, r"rate 250 Hz cannot carry 60-140 Hz: corners end at 112.5 Hz; lower the corner or use"),
        ({"lmp": {"corner_hz": 500}}, r"rate 1000 Hz cannot carry the lmp corner at 500 Hz: corners end at 450 Hz"),
        ({"lmp": {"corner_hz": 0.15}}, r"corner_hz 0.15 must be at least twice high_pass_hz 0.1; raise the corner"),
        (
            {"lmp": {"corner_hz": 4, "high_pass_hz": 0.01}},
            r"the lmp high-pass at 0.01 Hz is too low .* corners begin at 0.025 Hz",
        ),
        (
            {"raw": {"corner_hz": 0.02, "high_pass_hz": 0}},
            r"the raw corner at 0.02 Hz is too low .* corners begin at 0.025 Hz",
        ),
        ({"frame_rate_hz": 30}, r"frame_rate_hz 30 does not divide rate_hz 1000; take 30.303"),
        ({"bands": []}, r"there is no feature; give at least one of bands, lmp, raw"),
        ({"bands": [{"low_hz": 4, "high_hz": 1}]}, r"'bands.0' .*: high_hz 1 must be at least 1.1 x low_hz 4; widen"),
        ({"bands": [{"low_hz": 1, "high_hz": 4}] * 2}, r"two bands have the same corners; remove one"),
        ({"bands": [{"low_hz": 1, "high_hz": 4, "oder": 2}]}, r"unknown key 'bands.0.oder', did you mean 'order'\?"),
        ({"normalization": {"tau_s": 30}}, r"'normalization.tau_s' is 30: Input should be greater than or equal to 60"),
        ({"adc": {"bits": 32}}, r"'adc.bits' is 32: Input should be less than or equal to 24"),
        ({"lmp": {"corner_hz": 5, "order": 3}}, r"'lmp.order' is 3: Input should be a multiple of 2"),
        ({"reference": "CAR"}, r"'reference' is 'CAR': Input should be 'average', 'median' or 'none'"),
        ({"invalid_fraction": float("nan")}, r"'invalid_fraction' is nan"),
    ],
)
def test_a_wrong_specification_is_refused_in_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse({**REFERENCE_DECODER, **change}, FeatureSpec, "pipeline.toml")


def test_the_reference_decoder_has_384_inputs_at_50_hz() -> None:
    spec = parse(REFERENCE_DECODER, FeatureSpec, "pipeline.toml")
    assert spec.n_features(96) == 384
    assert (spec.frame_rate_hz, spec.samples_per_frame, spec.reference) == (50.0, 20, "average")


def test_features_are_ordered_kind_by_kind() -> None:
    spec = FeatureSpec(
        rate_hz=250, bands=(Band(low_hz=1.5, high_hz=4),), lmp=LowPass(corner_hz=5), raw=LowPass(corner_hz=20)
    )
    names = ("power_1.5_4_hz.a", "power_1.5_4_hz.b", "lmp.a", "lmp.b", "raw.a", "raw.b")
    assert spec.feature_names(("a", "b")) == names
    assert spec.n_features(2) == len(names)


def test_a_specification_survives_toml_and_json(tmp_path: Path) -> None:
    path = tmp_path / "features.toml"
    path.write_text("rate_hz = 250.0\nbands = [{ low_hz = 1, high_hz = 4 }]\n[missing]\npolicy = 'zero'\n")
    spec = load_toml(path, FeatureSpec)
    assert spec.missing.policy == "zero"
    assert FeatureSpec.model_validate_json(spec.model_dump_json()) == spec


def test_counts_stop_at_the_rails_and_nan_reads_as_a_rail() -> None:
    adc = Adc(bits=8, uv_per_count=2.0)
    lfp_uv = np.array([[0.0, 2.9, -3.1, 1e9, -1e9, np.nan, 254.0, -256.0]])
    counts = adc.counts(lfp_uv)
    assert counts.dtype == np.int16
    assert counts.tolist() == [[0, 1, -2, 127, -128, -128, 127, -128]]
    assert Adc(bits=17).counts(lfp_uv).dtype == np.int32


def test_startup_and_reset_are_rounded_up_to_whole_frames_and_samples() -> None:
    spec = parse(
        {**REFERENCE_DECODER, "startup_s": 0.05, "missing": {"reset_after_s": 0.1005}}, FeatureSpec, "pipeline.toml"
    )
    assert (spec.startup_frames, spec.reset_after_samples) == (3, 101)


def test_startup_lasts_as_long_as_the_features_remember_unless_told_otherwise() -> None:
    spec = parse(REFERENCE_DECODER, FeatureSpec, "pipeline.toml")
    assert 0 <= spec.startup_frames - spec.memory_s * spec.frame_rate_hz < 1
    slower = parse({**REFERENCE_DECODER, "power_tau_s": 1.0}, FeatureSpec, "pipeline.toml")
    assert slower.startup_frames > spec.startup_frames > 50
