"""The POSSM study: what it asks, that its ways see what they should, and that it runs end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebci.comparison import Verdict
from edgebci.decoding_data import DecodingData
from edgebci.errors import InputError
from edgebci.export.quantization import QuantizationRecipe
from edgebci.pipeline.studies import possm_study
from edgebci.pipeline.studies.cohort import Cohort
from edgebci.pipeline.studies.possm_study import BACKBONES, UPDATES_PER_EPOCH, backbones, questions, recipe_for, run
from edgebci.pipeline.studies.realm_study import with_labels
from edgebci.pipeline.studies.reproduce import STUDIES
from edgebci.pipeline.studies.size import FULL, QUICK
from edgebci.pipeline.studies.trial import Grid
from edgebci.pipeline.systems import possm
from edgebci.pipeline.systems.possm import TOKENS_NAME, PossmSystem, Pretrained, counted, wiener_way
from edgebci.pipeline.systems.system import BundleOrder
from edgebci.possm_spec import load_possm_step
from edgebci.possm_stream import ChunkStream
from edgebci.progress import silent
from edgebci.session import Session, SpikeEvents

pytestmark = pytest.mark.usefixtures("few_replicates")
TINY = QUICK.model_copy(update={"label_minutes": (0.2,)})
FRAMES, UNITS = 1600, 12


def toy_session(subject: int, session: int) -> Session:
    """Two slow latents are the targets and drive twelve units, which differ between sessions; 32 s at 50 Hz."""
    rng = np.random.default_rng([subject, session])
    latents = np.zeros((FRAMES, 2))
    for t in range(1, FRAMES):
        latents[t] = 0.95 * latents[t - 1] + 0.31 * rng.standard_normal(2)
    counts = rng.poisson(np.exp(0.5 * latents @ rng.standard_normal((2, UNITS)) - 1.5))
    times_s = (np.arange(FRAMES) + 1) / 50
    frame, unit = np.repeat(np.indices(counts.shape).reshape(2, -1), counts.ravel(), axis=1)
    data = DecodingData(
        frames=np.zeros((FRAMES, 1), dtype=np.float32),
        targets=latents.astype(np.float32),
        valid=np.ones(FRAMES, dtype=bool),
        times_s=times_s,
        train=((0, 900),),
        validation=((950, 1150),),
        test=((1200, FRAMES),),
        target_names=("x", "y"),
        target_unit="cm/s",
    )
    spikes = SpikeEvents(times_s[frame] - 0.01, unit.astype(np.int64), UNITS)
    return Session(f"subject{subject}_session{session}", f"subject{subject}", data, spikes)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    made = [[toy_session(subject, session) for session in (1, 2)] for subject in (1, 2)]
    return Cohort(tuple(of[0] for of in made), tuple(of[1] for of in made))


def test_the_study_runs_and_answers_for_every_backbone_and_manner(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(possm_study, "obtain_cohort", lambda *_: cohort)
    monkeypatch.setattr(possm_study, "FEWEST_UPDATES", 2)
    monkeypatch.setattr(possm_study, "UPDATES_PER_EPOCH", 1)
    rows = run(TINY, tmp_path, silent)
    pairs = {(row.candidate, row.reference) for row in rows}
    assert {(f"POSSM {backbone}, scratch", "Wiener") for backbone in BACKBONES} <= pairs
    assert ("POSSM gru, identified", "POSSM gru, scratch") in pairs
    assert ("POSSM gru, tuned", "POSSM gru, scratch") in pairs
    assert sum("0.2 min of labels" in row.question for row in rows) == 2
    assert all(row.comparison.verdict is Verdict.CANNOT_TELL for row in rows), "two subjects support no verdict"
    said = next((tmp_path / "trials" / "POSSM gru, scratch").rglob(TOKENS_NAME)).read_text()
    assert said.startswith("0 of "), "what became of the spikes is beside every model"
    assert STUDIES[possm_study.NAME] is possm_study.run


def test_held_out_sessions_get_the_same_updates_in_every_manner_and_with_few_labels() -> None:
    session = toy_session(1, 1)
    recipe = recipe_for(session, FULL.student_epochs)
    epochs = {
        recipe.training.optimiser.epochs,
        recipe.unit_identification.optimiser.epochs,
        recipe.identification_before_tuning.optimiser.epochs + recipe.fine_tuning.optimiser.epochs,
    }
    updates = UPDATES_PER_EPOCH * FULL.student_epochs
    assert epochs == {updates // 2}, "900 frames are 9 windows of 2 s, 2 updates an epoch"
    few = recipe_for(with_labels(session, 0.2), FULL.student_epochs)
    assert few.training.optimiser.epochs == updates, "6 windows, 1 update an epoch"
    assert recipe.model.within_chunk == "strict", "a rival that looks at later spikes would win by that"


def test_ways_that_differ_in_their_training_have_different_identities(cohort: Cohort, tmp_path: Path) -> None:
    pretrained = Pretrained(cohort.pretraining, recipe_for(toy_session(1, 1), 2), tmp_path, silent)
    asked = [q for ask in (questions, backbones) for q in ask(pretrained, pretrained.recipe, TINY)]
    ways = {way.name: way.identity for q in asked for way in (q.candidate, q.reference)}
    assert len(set(ways.values())) >= len(BACKBONES) + 2
    assert ways["POSSM gru, scratch"] != ways["POSSM gru, identified"]


def test_the_wiener_filter_sees_every_spike_once_and_scales_by_training_alone(cohort: Cohort) -> None:
    session = cohort.held_out[0]
    data, counts = counted(session), session.spike_counts()
    train = data.frames[data.rows("train")]
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-4)
    window = np.stack([counts[k - 4 : k + 1].sum(axis=0) for k in range(4, FRAMES)])
    mean, sd = window[: 900 - 4].mean(axis=0), window[: 900 - 4].std(axis=0)
    # The first frames, whose window is not full, shift mean and sd by under 1 %.
    np.testing.assert_allclose(data.frames[4:], (window - mean) / sd, atol=0.1)
    with pytest.raises(InputError, match="has no sorted spikes"):
        counted(replace(session, spikes=None))


def test_the_system_hands_the_exporter_its_step_and_the_chunks_of_training_and_test(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[tuple[Path, ChunkStream, ChunkStream]] = []
    monkeypatch.setattr(possm_study, "FEWEST_UPDATES", 2)
    monkeypatch.setattr(possm, "export_possm_bundle", lambda _, *given: handed.append(given[:3]))
    recipe = recipe_for(toy_session(1, 1), 0)
    system = PossmSystem(Pretrained(cohort.pretraining, recipe, tmp_path / "models", silent))
    session, grid = cohort.held_out[0], Grid(tmp_path / "trials", (1,))
    way = system.ways()[-1]
    assert way.name == "POSSM gru, tuned"
    system.learn((1,))
    grid.trials(way, session)
    folder = grid.folder(way, session, 1)
    order = BundleOrder(tmp_path / "bundle", tmp_path, QuantizationRecipe(), "cortex-m4f", trials=1)
    system.export(session, 1, folder, order, silent)
    step, seen, unseen = handed[0]
    assert load_possm_step(step).spec.n_units == UNITS
    assert (len(seen.chunks), len(unseen.chunks)) == (360, 160)  # 900 and 400 frames of 20 ms in chunks of 50 ms
    assert "MACs per output" in system.costs(session)
    alone = PossmSystem(Pretrained((), recipe, tmp_path / "none", silent))
    assert [way.name for way in alone.ways()] == ["Wiener", "POSSM gru, scratch"]
    assert wiener_way(TINY.recipe().ridge).is_random is False
