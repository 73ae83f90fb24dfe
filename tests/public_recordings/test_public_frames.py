"""From files in the published formats to frames: what the conversions write is what the reproduction reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebci.pipeline.reproduction.frames import Preprocessing, PublicRecording, find_recordings, obtain_frames
from edgebci.progress import silent
from edgebci.public_recordings.flint import convert_flint, flint_sessions
from edgebci.public_recordings.makin import convert_makin
from tests.public_recordings.conftest import (
    flint_trial,
    makin_world,
    write_broadband_nwb,
    write_flint_mat,
    write_makin_mat,
)

SECONDS = 34.0


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("raw")


@pytest.fixture(scope="module")
def converted(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of each corpus, converted."""
    folder = tmp_path_factory.mktemp("converted")
    world, name = makin_world(seconds=SECONDS, n_channels=3), "indy_20160915_01"
    write_makin_mat(raw / f"{name}.mat", world)
    write_broadband_nwb(raw / f"{name}.nwb", world)
    convert_makin(raw / f"{name}.mat", raw / f"{name}.nwb", folder / f"{name}.h5")
    write_flint_mat(raw / "Flint_2012_e1.mat", [[flint_trial(10.0, SECONDS, 0)]])
    convert_flint(flint_sessions(raw / "Flint_2012_e1.mat")[0], folder / "Flint_e1_1.h5")
    return folder


def recording(folder: Path, corpus: str) -> PublicRecording:
    return next(one for one in find_recordings(folder) if one.corpus == corpus)


@pytest.mark.parametrize("preprocessing", ["causal", "paper"])
@pytest.mark.parametrize(("corpus", "n_channels", "seconds"), [("makin", 3, SECONDS - 2), ("flint", 4, SECONDS)])
def test_a_converted_session_gives_frames_of_its_task(
    converted: Path, tmp_path: Path, corpus: str, n_channels: int, seconds: float, preprocessing: Preprocessing
) -> None:
    frames = obtain_frames(recording(converted, corpus), preprocessing, tmp_path, silent)
    assert frames.features.shape == pytest.approx((100 * seconds, n_channels), abs=3)
    assert frames.velocity.shape == (len(frames.features), 2)
    assert frames.header.causal is (preprocessing == "causal")
    # The LFP of both files follows the velocity; behind the offsets, filters and clocks it still must.
    settled = slice(1500, -100)
    aligned = np.abs(np.corrcoef(frames.features[settled].T, frames.velocity[settled].T)[-2:, :-2])
    assert aligned.max() > 0.5


def test_both_preprocessings_stand_on_one_clock(converted: Path, tmp_path: Path) -> None:
    causal, paper = (obtain_frames(recording(converted, "makin"), kind, tmp_path, silent) for kind in KINDS)
    found = np.interp(causal.times_s, paper.times_s, paper.velocity[:, 0])
    assert np.corrcoef(found[100:-100], causal.velocity[100:-100, 0])[0, 1] > 0.999


def test_kept_broadband_gives_the_same_zero_phase_frames_as_our_lfp(converted: Path, raw: Path, tmp_path: Path) -> None:
    ours = obtain_frames(recording(converted, "makin"), "paper", tmp_path, silent)
    (converted / "raw").symlink_to(raw)
    theirs = obtain_frames(recording(converted, "makin"), "paper", tmp_path, silent)
    (converted / "raw").unlink()
    assert (ours.header.from_broadband, theirs.header.from_broadband) == (False, True)
    found = np.interp(theirs.times_s, ours.times_s, ours.features[:, 0])
    # Ours comes 2 ms late, and noise beyond the anti-alias filters' edges differs.
    assert np.corrcoef(found[100:-100], theirs.features[100:-100, 0])[0, 1] > 0.98


KINDS: tuple[Preprocessing, ...] = ("causal", "paper")
