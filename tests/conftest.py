"""What every test may ask for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
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


# Folders of which tests share what takes seconds to make: trained decoders, bundles, compiled programs.
COSTLY = (
    ("crossmodal", "export_command", "foreign", "graph", "host", "kernels"),
    ("evaluation", "export", "gating", "pipeline", "possm", "realm", "studies", "training_run"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under two workers, each begins with costly folders of its own and ends with the others.

    A worker that has nothing left takes tests from the end of what the other has, and makes anew what they share.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    here = Path(__file__).parent
    folders = [item.path.relative_to(here).parts[0] for item in items]
    first, second = ([item for item, name in zip(items, folders, strict=True) if name in half] for half in COSTLY)
    others = [item for item, name in zip(items, folders, strict=True) if name not in COSTLY[0] + COSTLY[1]]
    fill = max(len(items) // 2 - len(first), 0)
    items[:] = [*first, *others[:fill], *second, *others[fill:]]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings and format fixtures, which is not part of the project."""
    folder = Path(os.environ.get("EDGEBCI_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test recordings at {folder}; set EDGEBCI_TEST_DATA")
    return folder


@pytest.fixture
def few_evaluator_steps() -> Iterator[None]:
    """See `few_steps`."""
    from tests.exporting import few_steps

    with few_steps():
        yield


@pytest.fixture
def blank_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of this test leave an empty page: drawing its pictures takes as long as training the decoder."""
    from edgebci.pipeline import conclusion

    monkeypatch.setattr(conclusion, "render", lambda _report, path: path.touch())


@pytest.fixture
def heed_interrupts() -> Callable[[], None]:
    """For Popen's preexec_fn: a job that a shell put into the background ignores Ctrl-C, and so would its children."""

    def restore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return restore
