"""Our figures beside the published ones, and in what the two protocols differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from edgebci.documents import Document
from edgebci.features.paper import NOT_CAUSAL
from edgebci.pipeline.reproduction.differences import Topic
from edgebci.pipeline.reproduction.frames import Preprocessing
from edgebci.pipeline.reproduction.published import HELD_OUT, SCORES

CAUSAL = "causal: every frame depends on the past alone"


class Score(Document):
    """One way on one held-out session with one seed, which decides the split too."""

    session: str
    corpus: str
    way: str
    seed: int
    r2: tuple[float, ...]
    """Of each axis, over all test frames."""
    n_test_frames: int
    seconds: float
    """Training and decoding; encoders apart."""

    @property
    def mean_r2(self) -> float:
        """Over axes, as the papers have it."""
        return float(np.mean(self.r2))


class Line(Document):
    """One way on one session or group of sessions, beside what is published."""

    where: str
    """A session, or makin, flint, all."""
    way: str
    r2: float
    """Mean over sessions, seeds and axes."""
    sd_over_seeds: float | None
    """Of the mean over sessions; None with one seed."""
    n_sessions: int
    published_r2: float | None
    """None where nothing is published."""
    n_sessions_published: int | None
    """That the published figure is a mean of."""

    @property
    def difference(self) -> float | None:
        """Ours minus theirs; None where nothing is published, or theirs is of other sessions too."""
        if self.published_r2 is None or self.n_sessions != self.n_sessions_published:
            return None
        return self.r2 - self.published_r2


class Reproduction(Document):
    """All that `edgebci reproduce realm` found."""

    schema_version: Literal["edgebci.reproduction/1"] = "edgebci.reproduction/1"
    preprocessing: Preprocessing
    causal: bool
    mark: str
    lines: tuple[Line, ...]
    protocol: tuple[Topic, ...]
    scores: tuple[Score, ...]


def summarised(preprocessing: Preprocessing, scores: Sequence[Score], protocol: Sequence[Topic]) -> Reproduction:
    """Put ours beside theirs, session by session and by corpus."""
    ways = list(dict.fromkeys(score.way for score in scores))
    sessions = list(dict.fromkeys(score.session for score in scores))
    lines = [_line(way, name, [s for s in scores if s.session == name], None) for name in sessions for way in ways]
    for group in ("makin", "flint", "all"):
        inside = [s for s in scores if group in (s.corpus, "all")]
        lines += [_line(way, group, inside, _published(way, group)) for way in ways if inside]
    causal = preprocessing == "causal"
    return Reproduction(
        preprocessing=preprocessing,
        causal=causal,
        mark=CAUSAL if causal else NOT_CAUSAL,
        lines=tuple(lines),
        protocol=tuple(protocol),
        scores=tuple(scores),
    )


def _line(way: str, where: str, scores: Sequence[Score], published_r2: float | None) -> Line:
    mine = [score for score in scores if score.way == way]
    by_seed = [
        float(np.mean([s.mean_r2 for s in mine if s.seed == seed])) for seed in dict.fromkeys(s.seed for s in mine)
    ]
    return Line(
        where=where,
        way=way,
        r2=float(np.mean(by_seed)),
        sd_over_seeds=float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None,
        n_sessions=len({score.session for score in mine}),
        published_r2=published_r2,
        n_sessions_published=None if published_r2 is None else _n_published(where),
    )


def _n_published(group: str) -> int:
    return sum(len(sessions) for corpus, sessions in HELD_OUT.items() if group in (corpus, "all"))


def _published(way: str, group: str) -> float | None:
    for score in SCORES:
        if score.way == way:
            return {"makin": score.makin, "flint": score.flint, "all": score.overall}[group]
    return None
