"""Which system a recipe is of: its `schema` says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edgebci.documents import load_toml, nearest, schema_of
from edgebci.errors import InputError
from edgebci.pipeline.systems.system import System
from edgebci.progress import Progress
from edgebci.session import Session

Make = Callable[[Path, Sequence[Session], Path, Path | None, Progress], System]


def make_system(
    recipe: Path, sessions: Sequence[Session], root: Path, teacher: Path | None, progress: Progress
) -> System:
    """The system that a recipe describes.

    Args:
        recipe: its TOML.
        sessions: that encoders learn from.
        root: where they are kept.
        teacher: one that exists already; None: one is trained.
        progress: of training encoders.

    Raises:
        InputError: the recipe is wrong, or of no system that is known.
    """
    schema = schema_of(recipe)
    if schema not in _SYSTEMS:
        raise InputError(f"{recipe}: schema {schema!r} is of no system; {nearest(schema, list(_SYSTEMS))}")
    return _SYSTEMS[schema](recipe, sessions, root, teacher, progress)


def _realm(recipe: Path, sessions: Sequence[Session], root: Path, teacher: Path | None, progress: Progress) -> System:
    from edgebci.pipeline.systems.realm import Encoders, RealmSystem
    from edgebci.training.realm.recipe import RealmRecipe

    loaded = load_toml(recipe, RealmRecipe)
    if "paper" in (loaded.teacher.preprocessing, loaded.student.preprocessing):
        raise InputError(
            f'{recipe}: preprocessing = "paper" is zero-phase, and a training run makes causal frames; say "causal" or '
            "use edgebci reproduce realm --preprocessing paper"
        )
    return RealmSystem(Encoders(tuple(sessions), loaded, root, progress, teacher))


def _crossmodal(
    recipe: Path, sessions: Sequence[Session], root: Path, teacher: Path | None, progress: Progress
) -> System:
    from edgebci.pipeline.systems.crossmodal import CrossModalSystem, Models
    from edgebci.training.crossmodal.recipe import CrossModalRecipe

    return CrossModalSystem(Models(tuple(sessions), load_toml(recipe, CrossModalRecipe), root, progress, teacher))


def _possm(recipe: Path, sessions: Sequence[Session], root: Path, teacher: Path | None, progress: Progress) -> System:
    from edgebci.pipeline.systems.possm import PossmSystem, Pretrained
    from edgebci.training.possm.recipe import PossmRecipe

    if teacher is not None:
        raise InputError("POSSM has no teacher; leave --teacher away: edgebci train")
    return PossmSystem(Pretrained(tuple(sessions), load_toml(recipe, PossmRecipe), root, progress))


_SYSTEMS: dict[str, Make] = {
    "edgebci.realm/1": _realm,
    "edgebci.crossmodal/1": _crossmodal,
    "edgebci.possm/1": _possm,
}
