"""Topic by topic, whether our protocol is the published one, and what differs in this run."""

from __future__ import annotations

from collections.abc import Sequence

from edgebci.documents import Document
from edgebci.pipeline.reproduction.frames import RAW, Preprocessing, SessionFrames
from edgebci.pipeline.reproduction.published import HELD_OUT, PRETRAINING_SESSIONS, SEEDS, SEGMENTS
from edgebci.pipeline.reproduction.sessions import n_segments


class Topic(Document):
    """One part of the protocol."""

    name: str
    is_same: bool
    sentence: str


def topics(
    preprocessing: Preprocessing,
    seeds: tuple[int, ...],
    held_out: Sequence[SessionFrames],
    n_others: int,
    one_is_alone: bool,
    is_published_size: bool,
) -> tuple[Topic, ...]:
    """All of them, in the order of the work.

    Args:
        preprocessing, seeds: of the run.
        held_out: sessions that are scored.
        n_others: sessions that are learned from.
        one_is_alone: whether teacher or a student had one session only to learn from.
        is_published_size: whether the recipe is the published one.
    """
    return (
        _preprocessing(preprocessing, [frames for frames in held_out if not frames.header.from_broadband]),
        _held_out([frames.header.session for frames in held_out]),
        _pretraining(n_others),
        _split(held_out),
        _early_stopping(one_is_alone),
        Topic(
            name="windows",
            is_same=False,
            sentence="training windows are tiled from a random offset in each epoch, there every 2.5 s; frames that a "
            "device would call invalid (start-up, rail, gaps) neither train nor count, there they do",
        ),
        Topic(
            name="seeds",
            is_same=seeds == SEEDS,
            sentence=_compared("seeds of split, student and readout", _listed(seeds), _listed(SEEDS)),
        ),
        Topic(
            name="sizes and epochs",
            is_same=is_published_size,
            sentence="as published"
            if is_published_size
            else "this recipe's own, so the published figures are no measure of it",
        ),
        Topic(
            name="score",
            is_same=True,
            sentence="R2 of each axis on all test segments together, mean over axes, sessions and seeds; each segment "
            "is decoded from zero state",
        ),
    )


def _preprocessing(preprocessing: Preprocessing, not_from_broadband: Sequence[SessionFrames]) -> Topic:
    causal = (
        f"causal: common average of good channels, {RAW.high_pass_hz:g} to {RAW.corner_hz:g} Hz, statistics of "
        "training segments, then a running normaliser; there zero-phase filters, Fourier resampling and a z-score over "
        "the whole session, which look seconds ahead"
    )
    if preprocessing == "causal":
        return Topic(name="preprocessing", is_same=False, sentence=causal)
    names = ", ".join(frames.header.session for frames in not_from_broadband)
    sentence = "the published zero-phase chain" + (
        f"; but for {names} it begins with our 1 kHz LFP (decimated causally, 2 ms late), there with 24.4 kHz (Makin; "
        "fetch with --keep-raw for that) and 2 kHz (Flint)"
        if names
        else ", from broadband"
    )
    return Topic(name="preprocessing", is_same=not names, sentence=sentence)


def _held_out(here: Sequence[str]) -> Topic:
    wanted = [session for sessions in HELD_OUT.values() for session in sessions]
    missing = [session for session in wanted if session not in here]
    sentence = f"{len(here)} of {len(wanted)} are here; missing: {', '.join(missing)}" if missing else "all eight"
    return Topic(name="held-out sessions", is_same=not missing, sentence=sentence)


def _pretraining(n_others: int) -> Topic:
    return Topic(
        name="sessions to learn from",
        is_same=n_others == PRETRAINING_SESSIONS,
        sentence=_compared("Makin and Flint together", str(n_others), str(PRETRAINING_SESSIONS)),
    )


def _split(held_out: Sequence[SessionFrames]) -> Topic:
    """A different number of segments draws a different split."""
    rule = (
        "segments of 5 s drawn 72/8/20 by torch's generator, Flint's artefacts left out by Tukey's fence, as published"
    )
    found = {frames.header.session: n_segments(frames) for frames in held_out}
    other = [
        f"{session} has {n} segments, there {SEGMENTS[session]}"
        for session, n in found.items()
        if n != SEGMENTS[session]
    ]
    sentence = f"{rule}; but {', '.join(other)}, so other segments are drawn" if other else rule
    return Topic(name="split", is_same=not other, sentence=sentence)


def _early_stopping(one_is_alone: bool) -> Topic:
    published = (
        "on validation alone, as published: the teacher on a tenth of its sessions, students on the first fifth by "
        "name, fine-tuning on the session's own validation segments"
    )
    sentence = (
        "a session that is alone in its corpus keeps its last fifth for it, there whole sessions did"
        if one_is_alone
        else published
    )
    return Topic(name="early stopping", is_same=not one_is_alone, sentence=sentence)


def _compared(what: str, here: str, there: str) -> str:
    return f"{what}: {here}" if here == there else f"{what}: {here}, there {there}"


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(str(seed) for seed in seeds)
