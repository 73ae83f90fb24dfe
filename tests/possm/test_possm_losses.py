"""What int8 costs a decoder of spikes, as the study of losses measures it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebci.errors import InputError
from edgebci.pipeline import quantization_spikes
from edgebci.pipeline.quantization_spikes import SpikeCase, SpikeStudy, spike_losses
from edgebci.possm_spec import save_possm_step
from edgebci.progress import silent
from edgebci.session import Session
from edgebci.training.possm.export_form import to_step
from edgebci.training.possm.files import load_possm
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.recipe import Optimiser

RECIPE = QuantizationAwareRecipe(
    burn_in_frames=2,
    optimiser=Optimiser(learning_rate=1e-4, warm_up_epochs=0, epochs=1, batch_windows=4, window_frames=16),
)


def test_the_row_of_a_decoder_of_spikes_compares_integers_with_the_float_step(
    pretrained: Path, make_session: Callable[..., Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_possm_step(tmp_path / "step.safetensors", to_step(load_possm(pretrained), "session1"))
    monkeypatch.setattr(quantization_spikes, "_trained", lambda *_: tmp_path / "step.safetensors")
    case = SpikeCase("rat_possm_gru", make_session("session1", 1), "gru")
    rows = spike_losses([case], SpikeStudy(1, 0, RECIPE, tmp_path), silent)
    assert [(row.case, row.way) for row in rows] == [
        ("rat_possm_gru", "int8 after training"),
        ("rat_possm_gru", "int8 in training"),
    ]
    for row in rows:
        assert row.seconds == pytest.approx(6.0)
        assert row.r2_float > 0.2
        assert row.comparison.difference.value == pytest.approx(row.r2_integers - row.r2_float, abs=1e-9)
        assert row.goal == "cannot tell"  # six seconds of test chunks
    assert not rows[0].start_kept
    assert rows[1].start_kept == (rows[1].r2_integers == rows[0].r2_integers)


def test_a_session_without_a_test_part_is_refused(make_session: Callable[..., Session], tmp_path: Path) -> None:
    session = make_session("session1", 1)
    untested = dataclasses.replace(session, data=dataclasses.replace(session.data, test=()))
    with pytest.raises(InputError, match="session1 has no test part"):
        spike_losses([SpikeCase("possm_gru", untested, "gru")], SpikeStudy(1, 0, RECIPE, tmp_path), silent)
