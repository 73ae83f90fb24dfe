"""The reference decoder that every figure of speed, size and power is for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebci.edge_student import lfp_like_counts, load_edge_student
from edgebci.errors import InputError
from edgebci.workload import workload

ROOT = Path(__file__).resolve().parent.parent
TOML = ROOT / "examples" / "edge_student.toml"


def test_the_reference_decoder_is_the_one_of_the_design() -> None:
    student = load_edge_student(TOML)
    features, decoder = student.features, student.decoder
    assert (student.n_channels, features.rate_hz, features.frame_rate_hz, features.adc.bits) == (96, 1000, 50, 16)
    assert (features.reference, [band.order for band in features.bands]) == ("average", [2, 2, 2, 2])
    assert (features.lmp, features.raw) == (None, None)
    assert (decoder.n_inputs, decoder.n_layers, decoder.d_model, decoder.d_state) == (384, 2, 64, 16)
    assert (decoder.headdim, decoder.expand, decoder.d_conv) == (32, 2, 4)


def test_its_multiply_accumulates_are_pinned() -> None:
    counts = workload(load_edge_student(TOML).decoder)
    assert counts.macs == 92_032
    assert counts.dense_macs == 64 * 384 + 2 * (292 * 64 + 64 * 128) + 2 * 64


def test_a_decoder_for_other_features_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "student.toml"
    path.write_text(TOML.read_text().replace("n_inputs = 384", "n_inputs = 96"))
    with pytest.raises(InputError, match=r"96, but 96 channels have 384 features; set n_inputs = 384"):
        load_edge_student(path)


def test_made_up_counts_look_like_lfp_and_repeat() -> None:
    student = load_edge_student(TOML)
    counts = lfp_like_counts(student, 300, seed=1)
    assert counts.shape == (6000, 96)
    assert counts.dtype == np.int16
    assert np.array_equal(counts, lfp_like_counts(student, 300, seed=1))
    spread_uv = counts.std(axis=0) * student.features.adc.uv_per_count
    # 60 uVrms; six seconds of noise with a memory of 30 ms spread by about 7 %.
    assert np.all((spread_uv > 40) & (spread_uv < 80))
    correlation = np.atleast_2d(np.corrcoef(counts[:, :8].T))[np.triu_indices(8, 1)]
    assert 0.3 < correlation.mean() < 0.7
