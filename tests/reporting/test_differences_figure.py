"""The picture of a study's differences."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from edgebci.comparison import Interval
from edgebci.reporting.differences_figure import Difference, differences_svg

ROWS = (
    Difference("does the teacher help?", Interval(value=0.03, low=0.01, high=0.05), True),
    Difference("in the linear world?", Interval(value=0.06, low=0.04, high=0.08), False),
    Difference("on spikes & LFP?", Interval(value=0.0, low=-0.1, high=0.1), None),
)


def test_every_question_and_every_outcome_is_named() -> None:
    root = ET.fromstring(differences_svg(ROWS, margin=0.02))
    words = ["".join(element.itertext()).strip() for element in root.iter() if element.tag.endswith("text")]
    for wanted in (*(row.question for row in ROWS), "as expected", "not as expected", "open"):
        assert wanted in words


def test_the_same_rows_give_the_same_bytes_and_other_rows_give_others() -> None:
    assert differences_svg(ROWS, 0.02) == differences_svg(ROWS, 0.02)
    assert differences_svg(ROWS, 0.02) != differences_svg(ROWS[:2], 0.02)
    assert differences_svg(ROWS, 0.02) != differences_svg(ROWS, 0.05)
