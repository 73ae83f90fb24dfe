"""REALM's protocol on whatever of its public sessions is at hand.

One teacher learns from all sessions that are not held out, one student per corpus and seed from that corpus's; on each
held-out session the student is read out (label-free) or fine-tuned, and ridge on the frames stands beside it. Finished
encoders and trials are kept, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebci.errors import InputError
from edgebci.files import write_text
from edgebci.metrics import r2
from edgebci.pipeline.reproduction.differences import topics
from edgebci.pipeline.reproduction.frames import (
    Preprocessing,
    PublicRecording,
    SessionFrames,
    find_recordings,
    obtain_frames,
)
from edgebci.pipeline.reproduction.published import (
    FINE_TUNED,
    HELD_OUT,
    LABEL_FREE,
    RIDGE,
    SEEDS,
    TEACHER_SEED,
)
from edgebci.pipeline.reproduction.result import Reproduction, Score, summarised
from edgebci.pipeline.reproduction.sessions import held_out_session, pretraining_session
from edgebci.pipeline.studies.trial import Grid, Way, truth
from edgebci.pipeline.studies.ways import ridge_way
from edgebci.pipeline.systems.realm import STUDENT, TEACHER, Encoders, fine_tuned_way, label_free_way
from edgebci.progress import Progress, part, silent
from edgebci.session import Session

if TYPE_CHECKING:
    from edgebci.training.realm.recipe import RealmRecipe

RESULT_NAME = "realm.json"


@dataclass(frozen=True)
class Protocol:
    """What to run.

    Fields:
        preprocessing: of the frames.
        recipe: sizes and stages; its seed is replaced by each of `seeds`.
        seeds: of split, student and readout.
        is_published_size: whether the recipe's sizes and epochs are the published ones.
    """

    preprocessing: Preprocessing
    recipe: RealmRecipe
    seeds: tuple[int, ...] = SEEDS
    is_published_size: bool = True


@dataclass(frozen=True)
class Material:
    """Frames of the sessions at hand."""

    held_out: tuple[SessionFrames, ...]
    others: tuple[SessionFrames, ...]

    def corpora(self) -> tuple[str, ...]:
        """Of the held-out sessions."""
        return tuple(dict.fromkeys(frames.header.corpus for frames in self.held_out))

    def to_learn_from(self, corpus: str) -> tuple[SessionFrames, ...]:
        """Sessions of this corpus that are not held out, or of any where there is none."""
        return tuple(f for f in self.others if f.header.corpus == corpus) or self.others

    def one_is_alone(self) -> bool:
        """Whether some student, or the teacher, has one session only to learn from."""
        return len(self.others) == 1 or any(len(self.to_learn_from(corpus)) == 1 for corpus in self.corpora())


def reproduce_realm(folder: Path, protocol: Protocol, root: Path, progress: Progress = silent) -> Reproduction:
    """Run the protocol on the recordings of `folder`, and write what was found to `root`.

    Raises:
        InputError: no held-out session, or none to learn from.
    """
    recordings = find_recordings(folder)
    _require_both(folder, recordings)
    material = _material(recordings, protocol.preprocessing, root / "frames", part(progress, 0.0, 0.2))
    _require_segments(material, protocol.seeds[0])
    teacher = _teacher(material, protocol, root, part(progress, 0.2, 0.5))
    scores = _scores(material, protocol, teacher, root, part(progress, 0.5, 1.0))
    protocols = topics(
        protocol.preprocessing,
        protocol.seeds,
        material.held_out,
        len(material.others),
        material.one_is_alone(),
        protocol.is_published_size,
    )
    result = summarised(protocol.preprocessing, scores, protocols)
    write_text(root / RESULT_NAME, result.model_dump_json(indent=1) + "\n")
    return result


def _require_both(folder: Path, recordings: Sequence[PublicRecording]) -> None:
    held_out = [session for sessions in HELD_OUT.values() for session in sessions]
    there = [recording.session for recording in recordings if recording.session in held_out]
    if not there:
        raise InputError(
            f"{folder} holds none of the sessions that the paper is scored on; fetch at least one of "
            f"{', '.join(held_out)} with edgebci data fetch"
        )
    if len(there) == len(recordings):
        raise InputError(
            f"{folder} holds only sessions that are held out ({', '.join(there)}); fetch at least one more to learn "
            "from, for example edgebci data fetch makin --session indy_20160916_01"
        )


def _material(
    recordings: Sequence[PublicRecording], preprocessing: Preprocessing, root: Path, progress: Progress
) -> Material:
    held_out: list[SessionFrames] = []
    others: list[SessionFrames] = []
    for i, recording in enumerate(recordings):
        share = part(progress, i / len(recordings), (i + 1) / len(recordings))
        frames = obtain_frames(recording, preprocessing, root, share)
        (held_out if recording.session in HELD_OUT[recording.corpus] else others).append(frames)
    return Material(tuple(held_out), tuple(others))


def _require_segments(material: Material, seed: int) -> None:
    """Refuse a held-out session that is too short before hours go into a teacher."""
    from edgebci.training.realm.published_permutation import torch_permutation

    for frames in material.held_out:
        held_out_session(frames, seed, torch_permutation)


def _teacher(material: Material, protocol: Protocol, root: Path, progress: Progress) -> Path:
    """One for all corpora and seeds, as published."""
    sessions = _to_learn_from(material.others)
    return Encoders(sessions, protocol.recipe, root / "teacher", progress).path(TEACHER, TEACHER_SEED)


def _to_learn_from(frames: Sequence[SessionFrames]) -> tuple[Session, ...]:
    return tuple(pretraining_session(one, is_alone=len(frames) == 1) for one in frames)


def _scores(material: Material, protocol: Protocol, teacher: Path, root: Path, progress: Progress) -> list[Score]:
    """Of every held-out session, seed and way."""
    from edgebci.training.realm.published_permutation import torch_permutation

    scores: list[Score] = []
    cells = [(corpus, seed) for corpus in material.corpora() for seed in protocol.seeds]
    for i, (corpus, seed) in enumerate(cells):
        share = part(progress, i / len(cells), (i + 1) / len(cells))
        learned_from = _to_learn_from(material.to_learn_from(corpus))
        encoders = Encoders(learned_from, protocol.recipe, root / "students" / corpus, share, teacher)
        # First of all, so that no trial's time holds the training of an encoder.
        encoders.path(STUDENT, seed)
        grid = Grid(root / "trials", (seed,), share)
        for frames in material.held_out:
            if frames.header.corpus == corpus:
                session = held_out_session(frames, seed, torch_permutation)
                scores += [_score(grid, name, way, session, corpus, seed) for name, way in _ways(encoders).items()]
    return scores


def _ways(encoders: Encoders) -> dict[str, Way]:
    """By the name of the published row."""
    from edgebci.training.recipe import TrainingRecipe

    return {
        LABEL_FREE: label_free_way(encoders, STUDENT),
        FINE_TUNED: fine_tuned_way(encoders, STUDENT),
        RIDGE: ridge_way(TrainingRecipe()),
    }


def _score(grid: Grid, name: str, way: Way, session: Session, corpus: str, seed: int) -> Score:
    trial = grid.trial(way, session, seed)
    expected = truth(session)
    return Score(
        session=session.name,
        corpus=corpus,
        way=name,
        seed=seed,
        r2=tuple(float(axis) for axis in r2(expected, trial.decoded)),
        n_test_frames=len(expected),
        seconds=trial.seconds,
    )
