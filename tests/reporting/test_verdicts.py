"""What the decision says, and of what it is made."""

from __future__ import annotations

import pytest

from edgebci.comparison import Verdict
from edgebci.reporting import Report
from edgebci.reporting.schema import Span
from edgebci.reporting.verdicts import MARKS, limits, verdicts


@pytest.mark.parametrize(("latency_ms", "answer"), [((5, 6, 19), "yes"), ((5, 6, 21), "depends"), ((21, 22, 23), "no")])
def test_a_limit_holds_over_the_whole_range_or_it_depends(
    report: Report, latency_ms: tuple[float, float, float], answer: str
) -> None:
    low, typical, high = (1e3 * value for value in latency_ms)
    changed = report.implants[0].model_copy(update={"latency_us": Span(low=low, typical=typical, high=high)})
    found = verdicts(report.model_copy(update={"implants": (changed,)}))[0]
    assert found.answer == answer
    assert ("worst step" in found.why) == (answer != "yes")


def test_memory_radio_and_heat_are_limits_too(report: Report) -> None:
    warm = Span(low=0.5, typical=1.5, high=2.5)
    implant = report.implants[0].model_copy(update={"temperature_rise_c": warm, "temperature_limit_c": 1.0})
    found = {limit.name: limit for limit in limits(implant)}
    assert list(found) == ["worst step", "flash", "RAM", "radio", "tissue warmer by"]
    assert found["flash"].share.typical == 0.25
    assert found["tissue warmer by"].holds == "depends"


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        (Verdict.SUPERIOR, "yes"),
        (Verdict.NON_INFERIOR, "yes"),
        (Verdict.INFERIOR, "no"),
        (Verdict.CANNOT_TELL, "cannot tell"),
    ],
)
def test_a_verdict_of_the_statistics_is_never_softened(report: Report, verdict: Verdict, answer: str) -> None:
    changed = report.baseline.device_against_torch.model_copy(update={"verdict": verdict})
    baseline = report.baseline.model_copy(update={"device_against_torch": changed})
    found = verdicts(report.model_copy(update={"baseline": baseline}))
    assert next(one for one in found if "device program" in one.question).answer == answer


def test_forms_that_differ_are_a_no(report: Report) -> None:
    exact = report.bit_exactness.model_copy(update={"host_equals_target": False, "first_difference": "frame 3"})
    last = verdicts(report.model_copy(update={"bit_exactness": exact}))[-1]
    assert (last.answer, last.mark) == ("no", MARKS["no"])
    assert "frame 3" in last.why
