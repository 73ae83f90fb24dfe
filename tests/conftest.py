"""What every test may ask for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings and format fixtures, which is not part of the project."""
    folder = Path(os.environ.get("EDGEBCI_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test recordings at {folder}; set EDGEBCI_TEST_DATA")
    return folder


@pytest.fixture
def heed_interrupts() -> Callable[[], None]:
    """For Popen's preexec_fn: a job that a shell put into the background ignores Ctrl-C, and so would its children."""

    def restore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return restore
