"""What a gate found: one check for each figure, and the decision that follows from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edgebci.documents import Document
from edgebci.gating_limits import Outcome

EXIT_CODES = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.UNDECIDED: 3}
"""2 is a mistake in what was given, as everywhere."""
Group = Literal["accuracy", "counter", "time", "implant"]


class LossFound(Document):
    """A loss of accuracy and how sure it is."""

    test: Literal["same weights", "retrained"]
    metric: Literal["R²", "AUROC"]
    loss: float
    """Baseline minus candidate: positive is worse."""
    standard_error: float
    upper: float
    """One-sided 97.5 % bound."""
    margin: float
    p_worse: float
    """Chance of such a loss if nothing were lost; Holm's procedure over all checks with noise decides."""
    findable: float
    """The smallest loss that would have been found with 95 % power."""
    minutes: float
    minutes_more: float | None
    """About how much more test data would decide; None: decided, or no amount would."""
    block_s: float
    n_blocks: int
    n_seeds: tuple[int, int]
    """Of baseline and candidate."""


class Check(Document):
    """One figure against what the baseline had."""

    name: str
    """What is compared, for example `device (host twin), x`."""
    group: Group
    outcome: Outcome
    evidence: Literal["measured", "counted", "modelled"]
    unit: str
    baseline: float | None
    candidate: float | None
    limit: float | None
    """The largest (of accuracy: the smallest) candidate that passes; None where the rule is a test."""
    sentence: str
    """What was found and why it passes or not."""
    accuracy: LossFound | None = None


class GateResult(Document):
    """Everything that a gate found."""

    schema_version: Literal["edgebci.gate/1"] = "edgebci.gate/1"
    name: str
    edgebci_version: str
    decision: Outcome
    baseline_bundle: str
    """Its id."""
    candidate_bundle: str
    level: float
    """Chance of a false alarm that Holm's procedure was given."""
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 undecided."""
        return EXIT_CODES[self.decision]

    def of(self, outcome: Outcome) -> list[Check]:
        """The checks with that outcome."""
        return [check for check in self.checks if check.outcome == outcome]

    @property
    def minutes_more(self) -> float | None:
        """About how many more minutes of test data would decide all that is undecided; None: no amount is known to."""
        needed = [check.accuracy.minutes_more if check.accuracy else None for check in self.of(Outcome.UNDECIDED)]
        known = [one for one in needed if one is not None]
        return max(known) if known and len(known) == len(needed) else None

    @property
    def findable(self) -> float | None:
        """The smallest loss of accuracy that every check would have found with 95 % power; None: none was compared."""
        found = [check.accuracy.findable for check in self.checks if check.accuracy]
        return max(found) if found else None

    def sentence(self) -> str:
        """The decision in one line."""
        if self.decision is Outcome.FAIL:
            worse = [check.name for check in self.of(Outcome.FAIL)]
            return f"FAIL: {len(worse)} of {len(self.checks)} checks got worse: {', '.join(worse)}"
        if self.decision is Outcome.UNDECIDED:
            return f"UNDECIDED: the test data can't tell, {needed_text(self.minutes_more)}"
        gated = [check for check in self.checks if check.outcome is Outcome.PASS]
        return f"PASS: {len(gated)} checks, none worse than the baseline allows"


def needed_text(minutes: float | None) -> str:
    """Needs about 12 more minutes."""
    if minutes is None:
        return "and no amount of data that can be named would: the loss lies too near the margin"
    return f"needs about {max(1, round(minutes)):,} more minute{'s' if round(minutes) > 1 else ''}"


def decide(checks: Sequence[Check]) -> Outcome:
    """Worse in one: fail; undecided in one: undecided; a gate that checked nothing never passes."""
    outcomes = {check.outcome for check in checks}
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    return Outcome.PASS if Outcome.PASS in outcomes and Outcome.UNDECIDED not in outcomes else Outcome.UNDECIDED
