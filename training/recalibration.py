"""A trained decoder on another day: its layers stay, its linear readout is fitted again to a few minutes of labels.

The new readout is the old one plus a change that is penalised, so that with few labels it stays near the old one; the
penalty is chosen within the calibration part. In detection the change is to the log odds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from edgebci.checkpoint import Checkpoint
from edgebci.decoding_data import DecodingData, Floats
from edgebci.training.baselines.logistic import fit_logistic
from edgebci.training.causal_decoder import CausalDecoder, from_checkpoint
from edgebci.training.recipe import RidgeRecipe
from edgebci.training.ridge import fit_ridge


def refit_readout(checkpoint: Checkpoint, data: DecodingData, recipe: RidgeRecipe) -> Checkpoint:
    """Fit the readout again to the training part of `data`; the decoder's other weights stay as they are.

    Args:
        checkpoint: of a causal decoder.
        data: of the new session, normalised by its own front end; detection needs a validation part too.
        recipe: penalties and folds; its lags do not count.

    Returns:
        The decoder with the new readout. Its record names the old hashes, that of the calibration part, and the
        penalty.

    Raises:
        InputError: too few frames for the folds.
    """
    decoder = from_checkpoint(checkpoint)
    seen, said = _last_layer(decoder, data)
    alone = recipe.model_copy(update={"lags": 1})
    if data.task == "detection":
        change = fit_logistic(replace(data, frames=seen, feature_channels=None), alone, said)
    else:
        left = np.where(data.valid[:, None], data.targets - said, 0.0).astype(np.float32)
        change = fit_ridge(replace(data, frames=seen, targets=left, feature_channels=None), alone)
    old = checkpoint.parameters
    parameters = dict(old) | {
        "readout.weight": old["readout.weight"] + change.weight[0].T,
        "readout.bias": old["readout.bias"] + change.bias,
    }
    how = {"penalty": change.penalty, "frames": len(data.rows("train")), "ridge": alone.model_dump(mode="json")}
    record = checkpoint.training.model_copy(
        update={
            "recipe": checkpoint.training.recipe | {"calibration": how},
            "data_sha256": checkpoint.training.data_sha256 | {"calibration": data.fingerprint("train", "validation")},
        }
    )
    return Checkpoint(checkpoint.spec, parameters, record)


@torch.no_grad()
def _last_layer(decoder: CausalDecoder, data: DecodingData) -> tuple[Floats, Floats]:
    """What the readout sees of every frame (K, d_model), and what the old one makes of it (K, D)."""
    seen, said = [], []
    for start, stop in data.segments(0, len(data.frames)):
        states = decoder.initial_states(1)
        for piece in torch.split(torch.from_numpy(data.frames[None, start:stop]), decoder.stream_frames, dim=1):
            x, states = decoder.encode(piece, states)
            seen.append(decoder.norm(x)[0].numpy())
            said.append(decoder.decode(x)[0].numpy())
    return np.concatenate(seen), np.concatenate(said)
