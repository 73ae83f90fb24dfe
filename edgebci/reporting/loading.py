"""Reading the report of a finished run, of this version or of those before it."""

from __future__ import annotations

from pathlib import Path

from edgebci.documents import load_json
from edgebci.errors import InputError
from edgebci.reporting.schema import Report

REPORT_NAME = "report.json"


def load_report(run: Path | str) -> Report:
    """Read a run's report.

    Args:
        run: the folder that `edgebci run` made, or its report.json.

    Raises:
        InputError: there is no report, it is cut short, or its schema is none that this version reads.
    """
    path = Path(run)
    if path.is_dir():
        path = path / REPORT_NAME
        if not path.is_file():
            raise InputError(f"{run} holds no {REPORT_NAME}; give the folder of a run that edgebci run has finished")
    return load_json(path, Report)
