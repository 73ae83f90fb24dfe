"""Flint: MATLAB v5 structs to recordings, one for each Subject."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from edgebci.errors import InputError
from edgebci.public_recordings.flint import convert_flint, flint_sessions
from edgebci.recordings import open_recording
from tests.public_recordings.conftest import flint_trial, write_flint_mat


@pytest.fixture
def mat(tmp_path: Path) -> Path:
    path = tmp_path / "Flint_2012_e4.mat"
    # The second trial follows at once, the third after a pause of half a second.
    first = [flint_trial(10.0, 2.0, 0), flint_trial(12.0, 1.5, 1), flint_trial(14.0, 2.0, 2)]
    write_flint_mat(path, [first, [flint_trial(100.0, 4.0, 3)]])
    return path


def test_each_subject_is_a_session_of_its_day(mat: Path) -> None:
    assert [session.name for session in flint_sessions(mat)] == ["Flint_e4_1", "Flint_e4_2"]


def test_trials_that_touch_are_seamless_and_a_pause_is_a_gap(mat: Path, tmp_path: Path) -> None:
    info = convert_flint(flint_sessions(mat)[0], tmp_path / "out.h5")
    assert (info.lfp_rate_hz, info.n_channels, info.n_units) == (1000.0, 4, 5)  # one channel has no LFP
    with open_recording(tmp_path / "out.h5") as recording:
        missing = np.isnan(recording.lfp_uv(0, info.n_samples)).all(axis=1)
        velocity = recording.behavior("hand_velocity")
        assert len(recording.intervals("trials")) == 3
        assert len(recording.spikes().times_s) == 3 * 5 * 7
    edges = np.flatnonzero(np.diff(missing.astype(int)))
    assert edges.tolist() == pytest.approx([3499, 3999], abs=2)
    assert velocity.values.shape == (550, 2)


def test_lfp_keeps_its_time_and_its_size(mat: Path, tmp_path: Path) -> None:
    info = convert_flint(flint_sessions(mat)[1], tmp_path / "out.h5")
    with open_recording(tmp_path / "out.h5") as recording:
        lfp_uv = recording.lfp_uv(0, info.n_samples)[500:, 0].astype(np.float64)
    times_s = info.start_s + np.arange(500, info.n_samples) / 1000
    # 0.1 mV of amplitude; the anti-alias filter and one old sample delay by under 3 ms: 1 % of this period's radian.
    np.testing.assert_allclose(lfp_uv, 100 * np.cos(3 * times_s), atol=40)
    assert np.corrcoef(lfp_uv, np.cos(3 * times_s))[0, 1] > 0.97


@pytest.mark.parametrize(("scale", "unit"), [(1e-4, "V"), (0.1, "mV"), (100.0, "uV")])
def test_the_unit_is_told_from_the_size_and_noted(tmp_path: Path, scale: float, unit: str) -> None:
    path = tmp_path / "Flint_2012_e1.mat"
    write_flint_mat(path, [[flint_trial(0.0, 3.0, 0, scale)]])
    info = convert_flint(flint_sessions(path)[0], tmp_path / "out.h5")
    assert any(f"taken as {unit}" in note for note in info.notes)
    with open_recording(tmp_path / "out.h5") as recording:
        assert recording.lfp_uv(500, info.n_samples)[:, 0].std() == pytest.approx(70, rel=0.1)


def test_what_is_not_such_a_file_is_one_sentence_that_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*crcns\.org"):
        flint_sessions(tmp_path / "Flint_2012_e1.mat")
    (tmp_path / "Flint_2012_e1.mat").write_bytes(b"not MATLAB at all" * 100)
    with pytest.raises(InputError, match="is no whole MATLAB v5 file"):
        flint_sessions(tmp_path / "Flint_2012_e1.mat")


def test_a_packed_file_that_was_cut_or_damaged_is_one_sentence(mat: Path) -> None:
    """As MATLAB packs its files; what scipy makes of a damaged one depends on where it is damaged."""
    savemat(mat, {"Subject": loadmat(mat)["Subject"]}, do_compression=True)
    content = mat.read_bytes()
    assert len(flint_sessions(mat)) == 2
    places = range(128, len(content) - 3, len(content) // 7)
    spoilt = [content[: len(content) * k // 4] for k in range(4)]
    spoilt += [content[:k] + b"\xff\x00\xff" + content[k + 3 :] for k in places]
    for one in spoilt:
        mat.write_bytes(one)
        with pytest.raises(InputError, match="get it again"):
            flint_sessions(mat)


def test_a_file_without_lfp_or_of_another_rate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Flint_2012_e1.mat"
    write_flint_mat(path, [[flint_trial(0.0, 3.0, 0, n_channels=0)]])
    with pytest.raises(InputError, match="has no trial with LFP"):
        flint_sessions(path)
    slow = flint_trial(0.0, 3.0, 0)
    slow["Time"] = np.arange(300)[:, None] / 50.0
    write_flint_mat(path, [[slow]])
    with pytest.raises(InputError, match="which is not 2000 Hz"):
        flint_sessions(path)
