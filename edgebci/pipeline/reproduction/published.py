"""What REALM's authors report, and of which sessions (second version of their code, arXiv 2605.14867).

Mean over both axes of velocity of R², over seeds 42, 123 and 456, with the split of `segments`.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "read-me of the second version of REALM's code (arXiv 2605.14867)"
SEEDS = (42, 123, 456)
TEACHER_SEED = 42
HELD_OUT = {
    "makin": ("indy_20160622_01", "indy_20160630_01", "indy_20160915_01", "indy_20161013_03", "indy_20170124_01"),
    "flint": ("Flint_e1_1", "Flint_e4_1", "Flint_e5_2"),
}
SEGMENTS = {
    "indy_20160622_01": 482,
    "indy_20160630_01": 292,
    "indy_20160915_01": 75,
    "indy_20161013_03": 103,
    "indy_20170124_01": 117,
    "Flint_e1_1": 152,
    "Flint_e4_1": 110,
    "Flint_e5_2": 110,
}
"""Of each held-out session, Flint's after its artefacts are left out."""
PRETRAINING_SESSIONS = 34
TARGETS = {"makin": "cursor_velocity", "flint": "hand_velocity"}
"""The behaviour that is decoded."""


@dataclass(frozen=True)
class PublishedScore:
    """One row of the published table."""

    way: str
    makin: float
    flint: float
    overall: float
    """Over the eight sessions."""


LABEL_FREE, FINE_TUNED, RIDGE = "label-free", "fine-tuned", "ridge"
SCORES = (
    PublishedScore(LABEL_FREE, makin=0.519, flint=0.630, overall=0.561),
    PublishedScore(FINE_TUNED, makin=0.677, flint=0.701, overall=0.686),
)
"""Per session, and for ridge on the frames themselves, nothing is published."""
