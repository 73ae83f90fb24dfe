"""POSSM: a model pretrained on some sessions for each backbone, and decoders of another session from it or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgebci.decoding_data import DecodingData, Floats, Part
from edgebci.export.possm_bundle_writer import export_possm_bundle
from edgebci.files import write_text
from edgebci.pipeline.cache import Stage, run_stage, share
from edgebci.pipeline.imports import training_digest
from edgebci.pipeline.studies.trial import Way
from edgebci.pipeline.systems.system import BundleOrder, System
from edgebci.possm_spec import Backbone, save_possm_step
from edgebci.progress import Progress
from edgebci.session import Session
from edgebci.training.recipe import RidgeRecipe

if TYPE_CHECKING:
    from edgebci.training.possm.recipe import PossmRecipe
    from edgebci.training.possm.tokens import TokenCount

MODEL_NAME, STEP_NAME, TOKENS_NAME = "possm.safetensors", "possm_step.safetensors", "tokens.txt"
COUNT_WINDOW_S = 0.1
"""Spikes of the Wiener filter are counted over this time, and looked at so far apart: each is seen once."""
Manner = Literal["scratch", "identified", "tuned"]
_PARTS: tuple[Part, Part] = ("train", "test")
_MODULES = tuple(f"edgebci.training.possm.{name}" for name in ("decoding", "files", "learning", "recipe"))


@dataclass(frozen=True)
class Pretrained:
    """Models trained on the first sessions, one for each backbone and seed; finished ones are kept."""

    sessions: tuple[Session, ...]
    """Spikes and targets of these are learned from."""
    recipe: PossmRecipe
    root: Path
    progress: Progress

    @property
    def identity(self) -> str:
        """What all of them depend on besides backbone and seed, as text."""
        from edgebci.training.possm.files import data_hashes

        return "\n".join([self.recipe.model_dump_json(), *data_hashes(self.sessions).values()])

    def path(self, backbone: Backbone, seed: int) -> Path:
        """The file of one model, trained now if it is not there."""
        return self._stage(backbone, seed).folder / MODEL_NAME

    def train(self, backbones: Sequence[Backbone], seeds: Sequence[int]) -> None:
        """Train those of these backbones and seeds that no other process is at."""
        share((self.root, f"{b}_{seed}", partial(self.path, b, seed)) for seed in seeds for b in backbones)

    def _stage(self, backbone: Backbone, seed: int) -> Stage:
        def work(folder: Path) -> None:
            from edgebci.training.possm.learning import train

            recipe = with_backbone(self.recipe, backbone, seed)
            train(self.sessions, recipe, folder / MODEL_NAME, self.progress)

        inputs = [self.identity, backbone, str(seed)]
        return run_stage(self.root, f"{backbone}_{seed}", inputs, work, training_digest(*_MODULES))


def with_backbone(recipe: PossmRecipe, backbone: Backbone, seed: int) -> PossmRecipe:
    """The recipe with this backbone and seed."""
    model = recipe.model.model_copy(update={"backbone": backbone})
    return recipe.model_copy(update={"model": model, "seed": seed})


def possm_way(pretrained: Pretrained, backbone: Backbone, manner: Manner, recipe: PossmRecipe | None = None) -> Way:
    """A decoder of the session's spikes, trained from scratch, by unit identification, or tuned in full.

    `recipe` says how the session is learned; None: as the pretrained model was. What became of the spikes is written
    beside the model.
    """
    chosen = recipe or pretrained.recipe

    def decode(session: Session, seed: int, folder: Path, progress: Progress) -> Floats:
        from edgebci.training.possm.decoding import decode as decoded_by
        from edgebci.training.possm.learning import fine_tune, identify_units, train

        seeded, out = with_backbone(chosen, backbone, seed), folder / MODEL_NAME
        if manner == "scratch":
            file = train([session], seeded, out, progress)
        else:
            adapt = identify_units if manner == "identified" else fine_tune
            file = adapt([session], pretrained.path(backbone, seed), seeded, out, progress)
        found = decoded_by(file.model, session)
        _report(found.tokens, folder, progress)
        return found.outputs

    source = "" if manner == "scratch" else pretrained.identity
    identity = f"{chosen.model_dump_json()}\n{backbone}\n{source}"
    return Way(f"POSSM {backbone}, {manner}", identity, decode, _MODULES)


def wiener_way(recipe: RidgeRecipe) -> Way:
    """Ridge on spike counts."""

    def decode(session: Session, _seed: int, _folder: Path, _progress: Progress) -> Floats:
        from edgebci.training.ridge_lags import fit_baseline

        data = counted(session)
        return fit_baseline(data, recipe).predict(data)

    return Way("Wiener", recipe.model_dump_json(), decode, ("edgebci.training.ridge_lags",), is_random=False)


def counted(session: Session) -> DecodingData:
    """The session with frames of standardised spike counts over the last `COUNT_WINDOW_S`, one column per unit.

    Raises:
        InputError: the session has no sorted spikes.
    """
    counts, data = session.spike_counts(), session.data
    total, window = np.cumsum(counts, axis=0), round(COUNT_WINDOW_S * data.frame_rate_hz)
    total[window:] -= total[:-window].copy()
    seen = total[data.rows("train")]
    frames = (total - seen.mean(axis=0)) / np.maximum(seen.std(axis=0), 1e-6)
    return replace(data, frames=frames.astype(np.float32), feature_channels=None)


def _report(tokens: TokenCount, folder: Path, progress: Progress) -> None:
    write_text(folder / TOKENS_NAME, tokens.summary() + "\n")
    progress(1.0, tokens.summary())


@dataclass(frozen=True)
class PossmSystem(System):
    """Decoders of spikes by the recipe's own backbone: from a pretrained model, or from scratch where there is none."""

    pretrained: Pretrained

    @property
    def backbone(self) -> Backbone:
        """The recipe's."""
        return self.pretrained.recipe.model.backbone

    def learn(self, seeds: tuple[int, ...]) -> None:
        """The pretrained model of every seed."""
        if self.pretrained.sessions:
            self.pretrained.train((self.backbone,), seeds)

    def ways(self) -> tuple[Way, ...]:
        """The Wiener filter, unit identification, and fine-tuning; training from scratch without other sessions."""
        manners: tuple[Manner, ...] = ("identified", "tuned") if self.pretrained.sessions else ("scratch",)
        ours = (possm_way(self.pretrained, self.backbone, manner) for manner in manners)
        return wiener_way(RidgeRecipe(lag_s=COUNT_WINDOW_S)), *ours

    def costs(self, session: Session) -> str:
        """MACs, bytes and state of the step, where the recipe's form is one that has a step."""
        from edgebci.training.possm.export_form import step_spec_of
        from edgebci.training.possm.vocabulary import vocabulary_of
        from edgebci.training.possm.workload import possm_workload

        spec = self.pretrained.recipe.model
        if reason := spec.why_not_exportable:
            return f"not for an implant: {reason}"
        known = vocabulary_of([session])
        return possm_workload(step_spec_of(spec, known.sessions[0], known.tasks[0])).summary()

    def export(
        self,
        session: Session,
        seed: int,  # noqa: ARG002 (the folder is the seed's)
        trial: Path,
        order: BundleOrder,
        progress: Progress,
    ) -> None:
        """Write the step beside the model, and the bundle of spikes, verified over the test part's chunks."""
        from edgebci.training.possm.export_form import chunk_stream, to_step
        from edgebci.training.possm.files import load_possm

        file, step = load_possm(trial / MODEL_NAME), trial / STEP_NAME
        save_possm_step(step, to_step(file, session.name))
        seen, unseen = (chunk_stream(session, name, file.model.spec) for name in _PARTS)
        export_possm_bundle(order.folder, step, seen, unseen, order.recipe, order.core, progress)
