"""A decoder's regression as an ordinary test: the fixture `edgebci_gate` and the option `--edgebci-baseline`.

    def test_my_decoder_is_no_worse(edgebci_gate):
        edgebci_gate(truth=truth, predictions={"my decoder": decoded}, times_s=times_s)

The baseline is made from the same call: `pytest --edgebci-accept "why"`. Nothing heavy is imported before a test asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgebci.gating_result import GateResult

    Traces = NDArray[np.floating] | Sequence[NDArray[np.floating]]

BASELINE_OPTION, ACCEPT_OPTION = "--edgebci-baseline", "--edgebci-accept"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("edgebci")
    group.addoption(BASELINE_OPTION, default="baseline.json", help="What edgebci_gate compares decoders with.")
    group.addoption(ACCEPT_OPTION, default=None, metavar="WHY", help="Make what the tests decode the new baseline.")


@pytest.fixture
def edgebci_gate(request: pytest.FixtureRequest) -> Callable[..., GateResult]:
    """Call it with what a decoder gave; the test fails where it got worse, or where the data can't tell."""
    option = request.config.getoption
    baseline, why = Path(str(option(BASELINE_OPTION))), option(ACCEPT_OPTION)

    def check(
        *,
        truth: NDArray[np.floating],
        predictions: Mapping[str, Traces],
        times_s: NDArray[np.floating],
        axes: Sequence[str] | None = None,
        detection: bool = False,
        retrained: bool = False,
    ) -> GateResult:
        """Compare predictions with the baseline's.

        Args:
            truth: (T,) or (T, D) of the test part; in detection, 1 inside events.
            predictions: by a name of your own, like the truth; for several seeds a list of them.
            times_s: (T,) of the frames, evenly spaced.
            axes: names of the D axes.
            detection: compare AUROC.
            retrained: the weights are new; at least 5 seeds a side, all names are compared over their seeds.
        """
        from edgebci.pipeline.gating.own_predictions import gate_predictions, predictions_of

        given = predictions_of(truth, predictions, times_s, axes, detection)
        result = gate_predictions(baseline, given, None if why is None else str(why), retrained)
        if result.exit_code:
            wrong = [check for check in result.checks if check.outcome in ("fail", "undecided")]
            lines = "\n".join(f"  {check.outcome}: {check.name}: {check.sentence}" for check in wrong)
            pytest.fail(f"{result.sentence()}\n{lines}", pytrace=False)
        return result

    return check
