"""What the teacher is not shown, and what the student's input loses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgebci.training.augmentation import augment
from edgebci.training.masking import block_mask
from edgebci.training.recipe import Augmentation


def run_lengths(mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[int]:
    edges = np.flatnonzero(np.diff(np.r_[0, mask.astype(int), 0]))
    return list(edges[1::2] - edges[::2])


@given(seed=st.integers(0, 1000), frames=st.integers(20, 300), fraction=st.floats(0.1, 0.9))
def test_a_mask_hides_exactly_the_fraction_of_every_window(seed: int, frames: int, fraction: float) -> None:
    mask = block_mask(np.random.default_rng(seed), (3, frames), fraction, 5, 15)
    assert (mask.sum(axis=1) == round(fraction * frames)).all()


def test_hidden_frames_are_contiguous_blocks_and_not_scattered() -> None:
    mask = block_mask(np.random.default_rng(0), (20, 256), 0.6, 5, 25)
    lengths = np.concatenate([run_lengths(row) for row in mask])
    assert np.median(lengths) >= 5
    assert mask.any(axis=0).all(), "every position of a window is hidden sometimes"
    assert not mask.all(axis=0).any()


def test_all_features_of_a_channel_share_its_fate() -> None:
    frames, channels = torch.ones(50, 4, 6), torch.tensor([0, 1, 2, 0, 1, 2])
    recipe = Augmentation(channel_dropout=0.3, gain_spread=0.2, noise_sd=0.0)
    changed = augment(frames, channels, recipe, np.random.default_rng(0))
    assert torch.equal(changed[..., :3], changed[..., 3:])
    assert torch.equal(changed[:, :1].expand_as(changed), changed), "for the whole window"
    kept = changed[changed != 0]
    assert float((changed == 0).float().mean()) == pytest.approx(0.3, abs=0.1)  # 150 draws: sd 0.04
    assert 0.8 <= float(kept.min()) <= float(kept.max()) <= 1.2


def test_augmentation_leaves_its_input_as_it_was() -> None:
    frames = torch.ones(2, 4, 3)
    changed = augment(frames, torch.arange(3), Augmentation(), np.random.default_rng(0))
    assert torch.equal(frames, torch.ones(2, 4, 3))
    assert not torch.equal(changed, frames)
