"""Figures of the Cortex-M55 are estimates that meet or miss, and are not had without its emulator."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgebci.pipeline.proof.claim import CannotMeasureError, Place
from edgebci.pipeline.proof.helium_claim import measure_helium
from edgebci.progress import silent


def test_without_the_emulator_nothing_is_estimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(CannotMeasureError, match="qemu-system-arm is not installed"):
        measure_helium(Place(folder=tmp_path, checkout=tmp_path), silent)
