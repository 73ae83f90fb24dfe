"""In what our protocol is not the published one: one sentence for each difference that this run has."""

from __future__ import annotations

from collections.abc import Sequence

from edgebci.pipeline.reproduction.frames import RAW, Preprocessing, SessionFrames
from edgebci.pipeline.reproduction.published import HELD_OUT, PRETRAINING_SESSIONS, SEEDS, SEGMENTS, SOURCE
from edgebci.pipeline.reproduction.sessions import n_segments

SAME = (
    f"the same as in the {SOURCE}: held-out sessions by name, segments of 5 s drawn 72/8/20 by torch's generator, "
    "seeds that decide split and student, early stopping on validation alone, R2 per axis on the test segments "
    "together, one student per corpus and seed, one teacher"
)


def differences(
    preprocessing: Preprocessing,
    seeds: tuple[int, ...],
    held_out: Sequence[SessionFrames],
    others: Sequence[str],
    is_published_size: bool,
) -> list[str]:
    """Sentences, what is the same first."""
    said = [SAME, _preprocessing(preprocessing), _windows()]
    said += _sessions([frames.header.session for frames in held_out], others)
    said += _segments(held_out)
    if seeds != SEEDS:
        said.append(f"seeds: {_listed(seeds)} here, {_listed(SEEDS)} published")
    if not is_published_size:
        said.append(
            "sizes and epochs: this recipe's, not the published ones, so the published figures are no measure of it"
        )
    return said


def _preprocessing(preprocessing: Preprocessing) -> str:
    if preprocessing == "causal":
        return (
            f"preprocessing: causal here (common average of good channels, {RAW.high_pass_hz:g} to {RAW.corner_hz:g} "
            "Hz, statistics of training segments followed by a running normaliser); zero-phase filters, Fourier "
            "resampling and a z-score over the whole session there, which look seconds ahead"
        )
    return (
        "preprocessing: the published zero-phase chain, but begun from our 1 kHz LFP (decimated causally, 2 ms late) "
        "instead of the 24.4 kHz broadband, and for Flint from 1 instead of 2 kHz"
    )


def _windows() -> str:
    return (
        "pretraining windows are tiled from a random offset in each epoch here, every 2.5 s there; invalid frames "
        "(start-up, rail, gaps) are left out of training and scores here, and kept there"
    )


def _sessions(held_out: Sequence[str], others: Sequence[str]) -> list[str]:
    wanted = [session for sessions in HELD_OUT.values() for session in sessions]
    missing = [session for session in wanted if session not in held_out]
    said = []
    if missing:
        said.append(f"held-out sessions: {len(held_out)} of {len(wanted)} are here; missing: {', '.join(missing)}")
    if len(others) != PRETRAINING_SESSIONS:
        said.append(f"sessions to learn from: {len(others)} here, {PRETRAINING_SESSIONS} published")
    if len(others) == 1:
        said.append("the one session to learn from keeps its last fifth to decide when to stop")
    return said


def _segments(held_out: Sequence[SessionFrames]) -> list[str]:
    """A different number of segments draws a different split."""
    found = {frames.header.session: n_segments(frames) for frames in held_out}
    return [
        f"{session}: {count} segments here, {SEGMENTS[session]} published, so its split is drawn differently"
        for session, count in found.items()
        if count != SEGMENTS[session]
    ]


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(str(seed) for seed in seeds)
