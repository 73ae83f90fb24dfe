"""Exporting in tests as the command does, in one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebci.pipeline.export_command import export
from edgebci.pipeline.export_order import ExportOrder, ExportResult
from edgebci.progress import silent


def exported(model: Path, out: Path, target: str = "host", **more: Any) -> ExportResult:
    """A bundle of `model` in `out`; `more` are fields of the order."""
    return export(ExportOrder(model=model, out=out, target=target, **more), silent)
