"""Encoders with random weights: the control for what training an encoder is worth."""

from __future__ import annotations

from pathlib import Path

from edgebci.checkpoint import TrainingRecord
from edgebci.training.loop import reproducible
from edgebci.training.realm.files import EncoderFile, save_encoder
from edgebci.training.realm.model import make_encoder
from edgebci.training.realm.recipe import RealmRecipe
from edgebci.training.record import versions
from edgebci.training.ssm import spread_time_constants


def save_untrained(recipe: RealmRecipe, out: Path) -> EncoderFile:
    """Write a student of the recipe's sizes as it is before training; the seed decides its weights."""
    spec = recipe.student
    with reproducible(recipe.seed, recipe.threads):
        encoder = make_encoder(spec)
        if recipe.time_constants_s != "published":
            spread_time_constants(encoder, recipe.time_constants_s, spec.frame_rate_hz)
    record = TrainingRecord(
        recipe=recipe.model_dump(mode="json", by_alias=True),
        data_sha256={},
        frame_rate_hz=spec.frame_rate_hz,
        epochs_run=0,
        best_epoch=0,
        versions=versions(),
    )
    file = EncoderFile(encoder.eval(), record)
    save_encoder(out, file)
    return file
