"""Exporting in tests as the command does, in one call, and in fewer steps of the slow evaluator than it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edgebci.pipeline.export_command import export
from edgebci.pipeline.export_order import ExportOrder, ExportResult
from edgebci.progress import silent


def exported(model: Path, out: Path, target: str = "host", **more: Any) -> ExportResult:
    """A bundle of `model` in `out`; `more` are fields of the order."""
    return export(ExportOrder(model=model, out=out, target=target, **more), silent)


@contextmanager
def few_steps() -> Iterator[None]:
    """Exports meanwhile go through onnx's own evaluator, which is slow, for a few steps and one chunk."""
    from edgebci.export import target_files, verification
    from edgebci.export.foreign import target_files as foreign_files

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "EVALUATOR_STEPS", 20)
        for files in (target_files, foreign_files):
            patch.setattr(files, "verify_chunk", partial(files.verify_chunk, evaluator_chunks=1))
        yield
