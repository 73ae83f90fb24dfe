"""Random changes of input frames: a lost channel, another gain, noise."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edgebci.decoding_data import DecodingData
from edgebci.training.recipe import Augmentation


def channels_of(data: DecodingData) -> Tensor:
    """Channel of each feature (F,)."""
    if data.feature_channels is None:
        return torch.arange(data.frames.shape[1])
    return torch.from_numpy(data.feature_channels)


def augment(frames: Tensor, channels: Tensor, recipe: Augmentation, rng: np.random.Generator) -> Tensor:
    """Change windows (b, T, F); a channel's features share its fate for the whole window."""
    shape = (len(frames), int(channels.max()) + 1)
    kept = rng.random(shape, dtype=np.float32) >= recipe.channel_dropout
    gain = rng.uniform(1 - recipe.gain_spread, 1 + recipe.gain_spread, shape).astype(np.float32) * kept
    noise = rng.standard_normal(frames.shape, dtype=np.float32) * np.float32(recipe.noise_sd)
    return frames * torch.from_numpy(gain)[:, None, channels] + torch.from_numpy(noise)
