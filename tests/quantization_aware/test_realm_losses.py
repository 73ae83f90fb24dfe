"""The study of losses holds REALM's edge decoders, whose tokenizer and lagged readout no plain student has."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgebci.checkpoint import load_checkpoint
from edgebci.pipeline import quantization_realm, quantization_sessions
from edgebci.pipeline.quantization_realm import REALM_READOUTS, realm_decoder
from edgebci.pipeline.quantization_sessions import FULL, QUICK, reproduce_quantization
from edgebci.pipeline.quantization_spikes import SpikeCase
from edgebci.pipeline.quantization_stream import Disturbance
from edgebci.pipeline.quantization_study import MARGINS, Case, LossTable, measure_losses
from edgebci.progress import silent
from edgebci.session import Session
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.realm.recipe import DistillationRecipe, FineTuningRecipe, PretrainingRecipe, RealmRecipe
from edgebci.training.realm.spec import EDGE, EDGE_BI
from edgebci.training.recipe import Optimiser
from tests.quantization_aware.conftest import example

OPTIMISER = Optimiser(learning_rate=1e-3, warm_up_epochs=0, epochs=1, batch_windows=8, window_frames=32)
LAGS = 10
"""Of the published readout."""


def small_recipe(_size: object, session: Session) -> RealmRecipe:
    sizes = {"n_channels": session.data.frames.shape[1], "frame_rate_hz": session.data.frame_rate_hz}
    sizes |= {"d_model": 16, "headdim": 16, "d_state": 4, "n_layers": 1}
    return RealmRecipe(
        threads=1,
        time_constants_s=(0.02, 4.0),
        teacher=EDGE_BI.model_copy(update=sizes),
        student=EDGE.model_copy(update=sizes),
        pretraining=PretrainingRecipe(predictor_hidden=16, validation_sessions=0.0, optimiser=OPTIMISER),
        distillation=DistillationRecipe(validation_sessions=0.0, optimiser=OPTIMISER),
        fine_tuning=FineTuningRecipe(freeze_tokenizer=False, optimiser=OPTIMISER),
    )


def test_realms_decoders_are_quantized_both_ways_with_their_tokenizer_and_their_lags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization_realm, "recipe_for", small_recipe)
    data = example("mamba2").data
    session = Session("one", "a subject", data)
    cases = [
        Case(readout, realm_decoder(session, readout, 1, 3, tmp_path, readout, silent), data)
        for readout in REALM_READOUTS
    ]
    assert [case.checkpoint.parent for case in cases] == [tmp_path / readout for readout in REALM_READOUTS]
    specs = [load_checkpoint(case.checkpoint).spec for case in cases]
    assert [spec.readout_lags for spec in specs] == [0, LAGS]
    assert all(spec.tokenizer is not None and spec.tokenizer.channel_features == 2 for spec in specs)
    recipe = QuantizationAwareRecipe(burn_in_frames=4, optimiser=OPTIMISER)
    table = measure_losses(cases, tmp_path, recipe, "test", silent)
    assert [(row.case, row.way) for row in table.rows] == [
        (case, w) for case in REALM_READOUTS for w in (*MARGINS,) * 2
    ]
    for row in table.rows:
        assert row.comparison.difference.value == pytest.approx(row.r2_integers - row.r2_float, abs=1e-9)
        assert row.r2_integers != row.r2_float  # something was rounded


def test_a_study_holds_every_cell_and_realm_on_every_session_and_what_learns_from_spikes_where_units_are_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def measured(cases: list[Case], root: Path, _recipe: object, size: str, *_: object) -> LossTable:
        asked.extend(case.name for case in cases)
        return LossTable(size=size, rows=(), margins=dict(MARGINS), disturbance=Disturbance())

    def spikes(cases: list[SpikeCase], *_: object) -> tuple[()]:
        asked.extend(case.name for case in cases)
        return ()

    session: Any = SimpleNamespace(name="synthetic", data=None, spikes=())
    without_units: Any = SimpleNamespace(name="rat", data=None, spikes=None)
    rat = SimpleNamespace(name="r1838", path=tmp_path / "rat.nwb", file="rat.nwb")
    rat.path.touch()
    monkeypatch.setattr(quantization_sessions, "RATS", (rat,))
    monkeypatch.setattr(quantization_sessions, "obtain_session", lambda *_: session)
    monkeypatch.setattr(quantization_sessions, "obtain_rat", lambda *_: without_units)
    monkeypatch.setattr(quantization_sessions, "_student", lambda *_: tmp_path)
    monkeypatch.setattr(quantization_sessions, "realm_decoder", lambda *_: tmp_path)
    monkeypatch.setattr(quantization_sessions, "crossmodal_decoder", lambda *_: tmp_path)
    monkeypatch.setattr(quantization_sessions, "measure_losses", measured)
    monkeypatch.setattr(quantization_sessions, "spike_losses", spikes)
    assert QUICK.realm == FULL.realm == REALM_READOUTS
    reproduce_quantization(FULL, tmp_path, silent)
    each = ["mamba2", "s4d", "gru", "realm_fine_tuned", "realm_label_free"]
    of_units = ["possm_gru", "possm_mamba2", "possm_s4d"]
    assert asked == [*each, "crossmodal", *(f"r1838_{name}" for name in each), *of_units]
