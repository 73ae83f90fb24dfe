"""What studies in tests need not draw as often as those that are published."""

from __future__ import annotations

import pytest

from edgebci import comparison, hierarchical


@pytest.fixture
def few_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals of a study of two subjects, which support no verdict however often they are drawn."""
    for module in (comparison, hierarchical):
        monkeypatch.setattr(module, "REPLICATES", 200)
