"""A trained decoder on another day: its layers stay, its linear readout is fitted again to a few minutes of labels.

The new readout is the old one plus a change that is penalised, so that with few labels it stays near the old one; the
penalty is chosen within the calibration part. In detection the change is to the log odds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebci.checkpoint import Checkpoint
from edgebci.decoder_float import FloatDecoder
from edgebci.decoding_data import DecodingData, Floats
from edgebci.training.baselines.logistic import fit_logistic
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
    seen, said = _last_layer(checkpoint, data)
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


def _last_layer(checkpoint: Checkpoint, data: DecodingData) -> tuple[Floats, Floats]:
    """What the readout sees of every frame (K, d_model), and what the old one makes of it (K, D)."""
    seen: list[Floats] = []

    def look(name: str, values: npt.NDArray[Any]) -> None:
        if name == "norm":
            seen.append(values.astype(np.float32))

    said = FloatDecoder.of(checkpoint.spec, checkpoint.parameters).stream(data.frames, data.reset_before, look)
    return np.concatenate(seen), said.astype(np.float32)
