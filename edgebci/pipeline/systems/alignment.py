"""How alike the views of a spike teacher and of LFP students are, over channels and time scales: numbers and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.decoding_data import Floats
from edgebci.documents import Document
from edgebci.files import write_text
from edgebci.pipeline.systems.crossmodal import TEACHER, Family, Kind
from edgebci.session import Session

if TYPE_CHECKING:
    from edgebci.training.crossmodal.alignment import AlignmentPoint
    from edgebci.training.crossmodal.readout import View

TABLE_NAME, PICTURE_NAME = "alignment.json", "alignment.svg"
WINDOWS_S = (0.02, 0.1, 0.5, 2.0)
SHARES = (0.25, 0.5, 1.0)
"""Of the channels that a student is shown; the others are zero, their mean."""
_MEASURES = ("cka", "cosine", "top_1")


class AlignmentRow(Document):
    """One point: a student on some channels at one time scale, a mean over sessions."""

    student: str
    n_channels: int
    window_s: float
    cka: float
    cosine: float
    """After a linear map that was fitted to training frames."""
    top_1: float
    """Share of windows whose spikes are found from their LFP, among all windows of the test part."""
    chance_top_1: float


class AlignmentTable(Document):
    """All points, of one seed."""

    schema_version: Literal["edgebci.alignment/1"] = "edgebci.alignment/1"
    n_sessions: int
    seed: int
    rows: tuple[AlignmentRow, ...]


def write_alignment(
    family: Family, students: Sequence[Kind], sessions: Sequence[Session], seed: int, folder: Path
) -> AlignmentTable:
    """Measure students on sessions that neither they nor the teacher have met, and draw it into `folder`.

    Maps are fitted to each session's training part and measured on its test part.
    """
    rows = [row for kind in students for row in _rows(family, kind, sessions, seed)]
    table = AlignmentTable(n_sessions=len(sessions), seed=seed, rows=tuple(rows))
    write_text(folder / TABLE_NAME, table.model_dump_json(indent=1) + "\n")
    write_text(folder / PICTURE_NAME, picture(table))
    return table


def picture(table: AlignmentTable) -> str:
    """One panel for each measure, one curve for each student and number of channels."""
    from edgebci.reporting.alignment_figure import AlignmentCurve, AlignmentPanel, alignment_svg

    curves = list(dict.fromkeys((row.student, row.n_channels) for row in table.rows))
    names = {"cka": "linear CKA", "cosine": "cosine after a linear map", "top_1": "retrieval, top 1"}
    panels = []
    for measure in _MEASURES:
        drawn = []
        for student, n_channels in curves:
            points = [row for row in table.rows if (row.student, row.n_channels) == (student, n_channels)]
            scale_ms = tuple(1000 * row.window_s for row in points)
            values = tuple(float(getattr(row, measure)) for row in points)
            drawn.append(AlignmentCurve(f"{student}, {n_channels} channels", scale_ms, values))
        chance = tuple(row.chance_top_1 for row in table.rows[: len(drawn[0].value)]) if measure == "top_1" else None
        panels.append(AlignmentPanel(names[measure], tuple(drawn), chance))
    return alignment_svg(panels)


def _rows(family: Family, kind: Kind, sessions: Sequence[Session], seed: int) -> list[AlignmentRow]:
    points = [_points(family, kind, session, seed) for session in sessions]
    rate_hz = sessions[0].data.frame_rate_hz
    return [_mean(kind.name, same, rate_hz) for same in zip(*points, strict=True)]


def _mean(student: str, points: Sequence[AlignmentPoint], rate_hz: float) -> AlignmentRow:
    means = {
        "cka": float(np.mean([point.cka for point in points])),
        "cosine": float(np.mean([point.cosine_linear for point in points])),
        "top_1": float(np.mean([point.top_1 for point in points])),
        "chance_top_1": float(np.mean([point.chance_top_1 for point in points])),
    }
    window_s = points[0].window_frames / rate_hz
    return AlignmentRow(student=student, n_channels=points[0].n_channels, window_s=window_s, **means)


def _points(family: Family, kind: Kind, session: Session, seed: int) -> tuple[AlignmentPoint, ...]:
    from edgebci.training.crossmodal.alignment import analyse
    from edgebci.training.crossmodal.files import load_student, load_teacher
    from edgebci.training.crossmodal.readout import lfp_view, spike_view

    models = family.of(session)
    of_lfp = lfp_view(load_student(models.path(kind, seed)), models.window_frames)
    of_spikes = spike_view(load_teacher(models.path(TEACHER, seed)))
    rate_hz = session.data.frame_rate_hz
    return analyse(
        lambda channels: _both_parts(of_lfp, shown(session, channels)),
        _both_parts(of_spikes, session),
        subsets(session),
        [max(round(seconds * rate_hz), 1) for seconds in WINDOWS_S],
    )


def _both_parts(view: View, session: Session) -> tuple[Floats, Floats]:
    """Of training and test frames, each part encoded by itself."""
    data = session.data
    train, test = (
        np.concatenate([view(session, piece)[data.valid[slice(*piece)]] for piece in data.intervals(part)])
        for part in ("train", "test")
    )
    return train, test


def subsets(session: Session) -> list[NDArray[np.int64]]:
    """Channels spread over the array, for each share of them."""
    channels = np.unique(_channel_of_feature(session))
    counts = sorted({max(round(share * len(channels)), 1) for share in SHARES})
    return [channels[np.linspace(0, len(channels) - 1, count).round().astype(np.int64)] for count in counts]


def shown(session: Session, channels: NDArray[np.int64]) -> Session:
    """The session with the features of all other channels at zero."""
    kept = np.isin(_channel_of_feature(session), channels)
    return replace(session, data=replace(session.data, frames=session.data.frames * kept.astype(np.float32)))


def _channel_of_feature(session: Session) -> NDArray[np.int64]:
    features = session.data.feature_channels
    return np.arange(session.data.frames.shape[1]) if features is None else features
