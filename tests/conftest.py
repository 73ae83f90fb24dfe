"""What every test may ask for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Before NumPy and torch are imported, here and in the programs that tests start. Each of pytest's workers has a core;
# threads that wait for one another on too few cores only take time from the other worker. Figures of tests are small.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples on every machine and day, so a red run is the fault of the change in it, and no example is timed,
# because a busy machine is not a failure. `make explore` looks for new examples.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=2_000, deadline=None, print_blob=True)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings and format fixtures, which is not part of the project."""
    folder = Path(os.environ.get("EDGEBCI_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test recordings at {folder}; set EDGEBCI_TEST_DATA")
    return folder


@pytest.fixture
def few_evaluator_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports of this test go through onnx's own evaluator, which is slow, for a few steps of the stream."""
    from edgebci.export import verification

    monkeypatch.setattr(verification, "EVALUATOR_STEPS", 20)


@pytest.fixture
def heed_interrupts() -> Callable[[], None]:
    """For Popen's preexec_fn: a job that a shell put into the background ignores Ctrl-C, and so would its children."""

    def restore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return restore
