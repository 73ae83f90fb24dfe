"""Figures of the Cortex-M55 are estimates that meet or miss, and are not had without its emulator."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgebci.pipeline.proof.claim import CannotMeasureError, Place
from edgebci.pipeline.proof.helium_claim import measure_helium, verdict
from edgebci.progress import silent


def test_a_bound_is_met_or_missed_by_an_estimate() -> None:
    assert verdict(0.26, 0.26) == "estimated: met, asked was at most 0.26"
    assert verdict(67_178.0, 35_000) == "estimated: missed, asked was at most 35,000"


def test_without_the_emulator_nothing_is_estimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(CannotMeasureError, match="qemu-system-arm is not installed"):
        measure_helium(Place(folder=tmp_path, checkout=tmp_path), silent)
