"""The study of losses holds the cross-modal student, which a session's spikes teach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebci.checkpoint import load_checkpoint
from edgebci.pipeline import quantization_crossmodal
from edgebci.pipeline.quantization_crossmodal import crossmodal_decoder
from edgebci.pipeline.quantization_study import MARGINS, Case, measure_losses
from edgebci.progress import silent
from edgebci.session import Session
from edgebci.training.crossmodal.recipe import CrossModalRecipe
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.recipe import Optimiser

EPOCH = Optimiser(learning_rate=1e-3, warm_up_epochs=0, epochs=1, batch_windows=8, window_frames=32)


def test_a_student_that_spikes_taught_is_quantized_both_ways_and_trained_once(
    sessions: list[Session], recipe: CrossModalRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization_crossmodal, "recipe_for", lambda _: recipe)
    file = crossmodal_decoder(sessions[0], 1, 3, tmp_path, "crossmodal", silent)
    written = file.stat().st_mtime_ns
    assert crossmodal_decoder(sessions[0], 1, 3, tmp_path, "crossmodal", silent) == file
    assert file.stat().st_mtime_ns == written
    checkpoint = load_checkpoint(file)
    assert checkpoint.spec.output_unit == "cm/s"
    assert checkpoint.spec.n_inputs == sessions[0].data.frames.shape[1]
    learning = QuantizationAwareRecipe(burn_in_frames=4, optimiser=EPOCH)
    table = measure_losses([Case("crossmodal", file, sessions[0].data)], tmp_path, learning, "test", silent)
    assert [row.way for row in table.rows] == [*MARGINS, *MARGINS]
    for row in table.rows:
        assert row.comparison.difference.value == pytest.approx(row.r2_integers - row.r2_float, abs=1e-9)
        assert row.r2_integers != row.r2_float  # something was rounded
        assert np.isfinite(row.upper_loss)
