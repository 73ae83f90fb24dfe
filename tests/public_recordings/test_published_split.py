"""The published split, segment by segment as its authors list it."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.pipeline.reproduction.segments import WINDOW_FRAMES, calm_windows, draw, segment_starts
from edgebci.training.realm.published_permutation import torch_permutation

COUNTS = [
    ("indy_20160622_01", 482, False, (347, 38, 97)),
    ("indy_20160630_01", 292, False, (210, 23, 59)),
    ("indy_20160915_01", 75, False, (54, 6, 15)),
    ("indy_20161013_03", 103, False, (74, 8, 21)),
    ("indy_20170124_01", 117, False, (84, 9, 24)),
    ("Flint_e1_1", 152, True, (108, 12, 32)),
    ("Flint_e4_1", 110, True, (78, 10, 22)),
    ("Flint_e5_2", 110, True, (78, 10, 22)),
]


@pytest.mark.parametrize(("session", "n", "pairs", "counts"), COUNTS)
@pytest.mark.parametrize("seed", [42, 123, 456])
def test_the_parts_have_the_published_sizes_and_share_no_segment(
    session: str, n: int, pairs: bool, counts: tuple[int, int, int], seed: int
) -> None:
    split = draw(session, n, seed, torch_permutation, pairs)
    assert split.counts == counts
    assert sorted((*split.train, *split.validation, *split.test)) == list(range(n))


@pytest.mark.parametrize(
    ("session", "n", "pairs", "seed", "train", "validation", "test"),
    [
        ("indy_20160622_01", 482, False, 42, (421, 344, 372, 70), (396, 418, 9), (60, 307, 83)),
        ("indy_20160622_01", 482, False, 123, (385, 361, 256, 271), (398, 156, 277), (95, 219, 329)),
        ("indy_20160622_01", 482, False, 456, (345, 87, 243, 36), (433, 272, 38), (238, 280, 279)),
        ("Flint_e1_1", 152, True, 123, (24, 25, 120, 121), (86, 87, 90), (103, 128, 129)),
        ("Flint_e4_1", 110, True, 42, (24, 25, 44, 45), (20, 21, 32), (49, 38, 39)),
        ("Flint_e5_2", 110, True, 456, (70, 71, 32, 33), (72, 73, 44), (51, 96, 97)),
    ],
)
def test_the_same_segments_are_drawn_as_in_the_published_list(
    session: str,
    n: int,
    pairs: bool,
    seed: int,
    train: tuple[int, ...],
    validation: tuple[int, ...],
    test: tuple[int, ...],
) -> None:
    split = draw(session, n, seed, torch_permutation, pairs)
    assert (split.train[:4], split.validation[:3], split.test[-3:]) == (train, validation, test)


def test_windows_of_wild_movement_are_left_out_whole() -> None:
    rng = np.random.default_rng(0)
    velocity = rng.standard_normal((20 * WINDOW_FRAMES + 700, 2))
    velocity[3 * WINDOW_FRAMES : 4 * WINDOW_FRAMES] *= 10
    calm = calm_windows(velocity)
    assert not calm[3]
    starts = segment_starts(velocity, leave_out_artefacts=True)
    assert len(starts) == 2 * calm.sum()
    assert {3 * WINDOW_FRAMES, 3 * WINDOW_FRAMES + 500}.isdisjoint(starts.tolist())
    assert len(segment_starts(velocity, leave_out_artefacts=False)) == 41


def test_a_constant_velocity_has_no_artefact() -> None:
    assert calm_windows(np.zeros((3 * WINDOW_FRAMES, 2))).all()
