"""Ways to get a decoder for one session: ridge, and a causal student by itself or with a teacher."""

from __future__ import annotations

from pathlib import Path

from edgebci.decoder_spec import DecoderSpec
from edgebci.decoding_data import Floats
from edgebci.pipeline.studies.trial import Way
from edgebci.progress import Progress, part
from edgebci.session import Session
from edgebci.training.recipe import TrainingRecipe

_STUDENT_MODULES = tuple(
    f"edgebci.training.{name}" for name in ("causal_decoder", "distillation", "masked_autoencoding")
)
_RIDGE_MODULE = "edgebci.training.ridge_lags"


def ridge_way(recipe: TrainingRecipe) -> Way:
    """The baseline on the same frames."""

    def decode(session: Session, _seed: int, _folder: Path, _progress: Progress) -> Floats:
        from edgebci.training.ridge_lags import fit_baseline

        return fit_baseline(session.data, recipe.ridge).predict(session.data)

    return Way("ridge", recipe.ridge.model_dump_json(), decode, (_RIDGE_MODULE,), is_random=False)


def student_way(name: str, recipe: TrainingRecipe) -> Way:
    """A causal student trained on the session's own training part.

    Where the recipe's alignment_weight is not 0, a bidirectional teacher is trained there first, from the same seed;
    where its ridge_weight is not 0, ridge with as many lags as fit best there teaches as well.
    """

    def decode(session: Session, seed: int, folder: Path, progress: Progress) -> Floats:
        from edgebci.training.causal_decoder import from_checkpoint, predict
        from edgebci.training.distillation import distill
        from edgebci.training.masked_autoencoding import train_teacher
        from edgebci.training.ridge_lags import with_chosen_lags

        seeded = with_chosen_lags(session.data, recipe.model_copy(update={"seed": seed}))
        teacher = folder / "teacher.safetensors" if recipe.student.alignment_weight else None
        if teacher is not None and not teacher.exists():
            train_teacher(session.data, seeded, teacher, part(progress, 0.0, 0.5))
        out, spec = folder / "student.safetensors", student_spec(session)
        student = distill(session.data, teacher, spec, seeded, out, part(progress, 0.5, 1.0))
        return predict(from_checkpoint(student), session.data)

    by_ridge = (_RIDGE_MODULE,) if recipe.student.ridge_weight else ()
    return Way(name, recipe.model_dump_json(), decode, (*_STUDENT_MODULES, *by_ridge))


def student_spec(session: Session) -> DecoderSpec:
    """The reference decoder's sizes (examples/edge_student.toml) on this session's frames."""
    data = session.data
    return DecoderSpec(n_inputs=data.frames.shape[1], output_names=data.target_names, output_unit=data.target_unit)
