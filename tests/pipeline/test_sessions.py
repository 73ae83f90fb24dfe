"""Sessions for multi-session training: prepared once, with their spikes on the clock of the frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebci.decoding_data import DecodingData
from edgebci.errors import InputError
from edgebci.pipeline.configuration import PreparationConfig, RecordingConfig
from edgebci.pipeline.sessions import load_session, obtain_session
from edgebci.progress import silent
from edgebci.session import Session, SpikeEvents
from edgebci.synthetic.specification import SyntheticSpec

FEATURES = {"rate_hz": 500, "frame_rate_hz": 50, "bands": [{"low_hz": 70, "high_hz": 150}]}


def config(**changes: object) -> PreparationConfig:
    synthetic = SyntheticSpec.model_validate(
        {"seed": 9000, "duration_s": 90, "n_channels": 8, "rate_hz": 500, "population": {"grid_mm": 0.4}, **changes}
    )
    recording = RecordingConfig(target="velocity", synthetic=synthetic)
    return PreparationConfig.model_validate({"recording": recording, "features": FEATURES})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sessions")


@pytest.fixture(scope="module")
def session(root: Path) -> Session:
    return obtain_session(config(), root, "first", "monkey", silent)


def test_a_kept_session_is_read_and_not_made_again(root: Path, session: Session) -> None:
    notes: list[str] = []
    again = obtain_session(config(), root, "first", "monkey", lambda _, note: notes.append(note))
    assert notes == []
    assert again.data.fingerprint("train", "validation", "test") == session.data.fingerprint(
        "train", "validation", "test"
    )
    assert (again.name, again.subject) == ("first", "monkey")


def test_another_seed_is_another_session(root: Path, session: Session) -> None:
    other = obtain_session(config(seed=9001), root, "second", None, silent)
    assert other.subject != "monkey"
    assert not np.array_equal(other.data.frames, session.data.frames)


def test_the_synthetic_recording_itself_is_not_kept(root: Path, session: Session) -> None:
    assert session.data.frames.shape[1] == 8
    assert not list((root / "first").glob("*.h5"))


def test_every_spike_in_the_time_of_a_frame_is_counted_there_once(session: Session) -> None:
    spikes, times_s = session.spikes, session.data.times_s
    assert spikes is not None
    counts = session.spike_counts()
    period_s = 1 / session.data.frame_rate_hz
    frame = 1000
    inside = spikes.between(times_s[frame] - period_s, times_s[frame])
    assert counts[frame].sum() == len(inside.times_s) > 0
    parts = [session.data.intervals(part)[0] for part in ("train", "validation", "test")]
    within = [spikes.between(times_s[a] - period_s, times_s[b - 1]) for a, b in parts]
    assert counts.sum() == sum(len(events.times_s) for events in within)


def test_a_damaged_session_is_refused_in_one_sentence(root: Path, session: Session) -> None:
    damaged = root / "damaged"
    damaged.mkdir()
    whole = (root / "first" / "spikes.safetensors").read_bytes()
    (damaged / "spikes.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_session(damaged)


def frames_only(n: int = 10) -> DecodingData:
    zeros = np.zeros((n, 1), dtype=np.float32)
    return DecodingData(zeros, zeros, np.ones(n, dtype=bool), np.arange(n) / 50, ((0, n),), (), (), ("x",), "cm")


def test_a_session_without_spikes_says_so_when_asked_for_counts() -> None:
    with pytest.raises(InputError, match="has no sorted spikes"):
        Session("rest", "monkey", frames_only()).spike_counts()


def test_a_spike_on_the_time_of_a_frame_belongs_to_that_frame() -> None:
    spikes = SpikeEvents(np.array([0.02, 0.0201, 0.18]), np.array([0, 1, 0]), 2)
    counts = Session("toy", "monkey", frames_only(), spikes).spike_counts()
    assert counts[1].tolist() == [1, 0]
    assert counts[2].tolist() == [0, 1]
    assert counts[9].tolist() == [1, 0]
    assert counts.sum() == 3


@pytest.mark.parametrize(
    ("times_s", "unit", "sentence"),
    [
        ([0.1], [0, 1], "give one unit for each"),
        ([0.1], [2], "count units from 0"),
        ([0.2, 0.1], [0, 0], "sort the spikes"),
    ],
)
def test_spikes_that_cannot_be_are_refused(times_s: list[float], unit: list[int], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        SpikeEvents(np.array(times_s), np.array(unit), 2)
