"""POSSM learns sessions of different units and tasks, finds out what new units say, and comes back from its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgebci.documents import Document, load_toml
from edgebci.errors import InputError
from edgebci.metrics import r2
from edgebci.possm_spec import PossmStepSpec
from edgebci.session import Session, SpikeEvents
from edgebci.training.possm.decoding import decode
from edgebci.training.possm.export_form import to_step
from edgebci.training.possm.files import PossmFile, load_possm, save_possm
from edgebci.training.possm.learning import fine_tune, identify_units, n_trained, train
from edgebci.training.possm.recipe import PossmRecipe
from edgebci.training.possm.workload import EDGE_FLASH_BYTES, possm_workload

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
MakeSession = Callable[..., Session]


def score(file: PossmFile, session: Session) -> float:
    """R2 of the test part, mean over axes."""
    rows = session.data.rows("test")
    outputs = decode(file.model, session).outputs[rows]
    return float(r2(session.data.targets[rows].astype(np.float64), outputs.astype(np.float64)).mean())


def weights(file: PossmFile) -> dict[str, NDArray[np.float32]]:
    return {name: tensor.numpy() for name, tensor in file.model.core.state_dict().items()}


def test_one_model_decodes_sessions_of_different_units(pretrained: Path, make_session: MakeSession) -> None:
    file = load_possm(pretrained)
    scores = [score(file, make_session(f"session{seed}", seed)) for seed in (1, 2, 3)]
    # With shuffled spikes R2 is at most 0; 12 units of 14 spikes per second carry about 0.8.
    assert min(scores) > 0.4
    assert file.training.validation_r2 is not None
    assert file.training.validation_r2 > 0.4


def test_unit_identification_trains_new_embeddings_and_nothing_else(
    pretrained: Path, recipe: PossmRecipe, make_session: MakeSession, tmp_path: Path
) -> None:
    new = make_session("new", 11, n_units=20)
    identified = identify_units([new], pretrained, recipe, tmp_path / "identified.safetensors")
    before, after = weights(load_possm(pretrained)), weights(identified)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert score(identified, new) > 0.3
    assert identified.model.units.shape == (20, recipe.model.dim)
    assert not list(tmp_path.glob("*partial*"))


def test_only_embeddings_may_change_in_unit_identification(
    pretrained: Path, make_session: MakeSession, recipe: PossmRecipe
) -> None:
    from edgebci.training.possm.learning import _adapting

    job = _adapting([make_session("new", 11, n_units=20)], pretrained, recipe, pretrained)
    assert n_trained(job.new_model(frozen=True)) == (20 + 1) * recipe.model.dim
    assert n_trained(job.new_model()) > 10 * n_trained(job.new_model(frozen=True))


def test_fine_tuning_changes_everything_and_begins_with_unit_identification(
    pretrained: Path, recipe: PossmRecipe, make_session: MakeSession, tmp_path: Path
) -> None:
    new = make_session("new", 11, n_units=20)
    tuned = fine_tune([new], pretrained, recipe, tmp_path / "tuned.safetensors")
    before, after = weights(load_possm(pretrained)), weights(tuned)
    # The blank token of empty chunks has no part where no chunk is empty.
    assert {name for name in before if np.array_equal(before[name], after[name])} <= {"blank"}
    assert score(tuned, new) > 0.3
    assert tuned.training.teacher_sha256 is not None


def test_sessions_of_different_tasks_and_frame_rates_learn_together(
    recipe: PossmRecipe, make_session: MakeSession, tmp_path: Path
) -> None:
    plane, line = make_session("plane", 1), at_half_the_rate(make_session("line", 2, names=("force",)))
    file = train([plane, line], recipe, tmp_path / "both.safetensors")
    assert [decode(file.model, s).outputs.shape for s in (plane, line)] == [(1500, 2), (750, 1)]
    assert min(score(file, plane), score(file, line)) > 0.2
    with pytest.raises(InputError, match="decodes grip in cm/s, for which the model has no readout"):
        identify_units([make_session("hand", 3, names=("grip",))], tmp_path / "both.safetensors", recipe, tmp_path)


def at_half_the_rate(session: Session) -> Session:
    """Every second frame; the spikes stay."""
    every, data = slice(1, None, 2), session.data
    halved = replace(
        data,
        frames=data.frames[every],
        targets=data.targets[every],
        valid=data.valid[every],
        times_s=data.times_s[every],
        train=((0, 500),),
        validation=((500, 600),),
        test=((600, 750),),
    )
    return replace(session, data=halved)


def test_an_interrupted_training_ends_with_the_same_bits(recipe: PossmRecipe, session: Session, tmp_path: Path) -> None:
    def stopping(fraction: float, _note: str) -> None:
        if fraction > 0.3:
            raise KeyboardInterrupt

    recipe = shortened(recipe, 4)
    whole = train([session], recipe, tmp_path / "whole.safetensors")
    with pytest.raises(KeyboardInterrupt):
        train([session], recipe, tmp_path / "cut.safetensors", stopping)
    assert list(tmp_path.glob("cut*partial*"))
    train([session], recipe, tmp_path / "cut.safetensors")
    assert (tmp_path / "cut.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    save_possm(tmp_path / "again.safetensors", load_possm(tmp_path / "whole.safetensors"))
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert whole.model.spec == recipe.model


def test_training_sees_nothing_of_the_test_part(recipe: PossmRecipe, session: Session, tmp_path: Path) -> None:
    data, spikes = session.data, session.spikes
    assert spikes is not None
    (start, stop), rng = data.test[0], np.random.default_rng(0)
    targets = data.targets.copy()
    targets[start:stop] = rng.standard_normal((stop - start, 2))
    unit, test_from = spikes.unit.copy(), np.searchsorted(spikes.times_s, data.times_s[start - 1], side="right")
    unit[test_from:] = rng.integers(0, spikes.n_units, len(unit) - test_from)
    noisy = replace(session, data=replace(data, targets=targets), spikes=SpikeEvents(spikes.times_s, unit, 12))
    short = shortened(recipe, 2)
    train([session], short, tmp_path / "real.safetensors")
    train([noisy], short, tmp_path / "noisy.safetensors")
    assert (tmp_path / "real.safetensors").read_bytes() == (tmp_path / "noisy.safetensors").read_bytes()


def shortened(recipe: PossmRecipe, epochs: int) -> PossmRecipe:
    optimiser = recipe.training.optimiser.model_copy(update={"epochs": epochs})
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"optimiser": optimiser})})


def test_sessions_without_spikes_or_with_one_name_are_refused(
    recipe: PossmRecipe, session: Session, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="has no sorted spikes"):
        train([replace(session, spikes=None)], recipe, tmp_path / "out")
    with pytest.raises(InputError, match="two sessions have the same name"):
        train([session, session], recipe, tmp_path / "out")


@pytest.mark.parametrize("name", ["possm_paper", "possm_edge"])
def test_recipes_name_every_hyper_parameter(name: str) -> None:
    recipe = load_toml(RECIPES / f"{name}.toml", PossmRecipe)
    stages = ("training", "unit_identification", "identification_before_tuning", "fine_tuning")
    assert recipe.unit_dropout is not None
    parts: list[Document] = [recipe, recipe.model, recipe.unit_dropout, recipe.regularisation]
    parts += [getattr(recipe, stage).optimiser for stage in stages]
    absent = {field for part in parts for field in set(type(part).model_fields) - part.model_fields_set}
    assert absent <= {"time_step_s"}  # TOML has no null: exact spike times are a key that is not there


def test_the_edge_recipe_fits_an_implant(make_session: MakeSession) -> None:
    from edgebci.training.possm.model import Possm
    from edgebci.training.possm.vocabulary import vocabulary_of

    recipe = load_toml(RECIPES / "possm_edge.toml", PossmRecipe)
    session = make_session("wide", 1, n_units=150)
    torch.manual_seed(0)
    model = Possm(recipe.model, vocabulary_of([session])).eval()
    workload = possm_workload(_exported(model))
    assert workload.beyond_macs <= 100_000
    assert workload.flash_bytes <= EDGE_FLASH_BYTES
    assert workload.fits_edge
    assert "MACs per output" in workload.summary()


def _exported(model: object) -> PossmStepSpec:
    from edgebci.checkpoint import TrainingRecord
    from edgebci.training.possm.model import Possm

    assert isinstance(model, Possm)
    record = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=50.0, epochs_run=0, best_epoch=0, versions={})
    return to_step(PossmFile(model, record), "wide").spec


@pytest.mark.parametrize("backbone", ["gru", "s4d", "mamba2"])
def test_the_published_recipe_trains_at_its_own_size(backbone: str, session: Session, tmp_path: Path) -> None:
    published = load_toml(RECIPES / "possm_paper.toml", PossmRecipe)
    few = published.training.optimiser.model_copy(update={"epochs": 2, "batch_windows": 10})
    recipe = published.model_copy(
        update={
            "threads": 1,
            "model": published.model.model_copy(update={"backbone": backbone}),
            "training": published.training.model_copy(update={"optimiser": few}),
        }
    )
    file = train([session], recipe, tmp_path / "published.safetensors")
    assert file.training.epochs_run == 2
    assert np.isfinite(decode(file.model, session).outputs).all()
