"""What a gate found as JUnit XML, which every CI server shows as tests."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from edgebci.gating_limits import Outcome
from edgebci.gating_result import Check, GateResult

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def gate_junit(result: GateResult) -> str:
    """A suite with one case for each check; what is undecided is an error, not a failure."""
    suite = ET.Element(
        "testsuite",
        name=_text(f"edgebci gate {result.name}"),
        tests=str(len(result.checks)),
        failures=str(len(result.of(Outcome.FAIL))),
        errors=str(len(result.of(Outcome.UNDECIDED))),
        skipped=str(len(result.of(Outcome.NOT_GATED))),
    )
    for check in result.checks:
        _case(suite, check)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, check: Check) -> None:
    case = ET.SubElement(suite, "testcase", classname=f"edgebci.gate.{check.group}", name=_text(check.name))
    tags = {Outcome.FAIL: "failure", Outcome.UNDECIDED: "error", Outcome.NOT_GATED: "skipped"}
    if check.outcome in tags:
        ET.SubElement(case, tags[check.outcome], message=_text(check.sentence))
    ET.SubElement(case, "system-out").text = _text(f"{check.sentence} ({check.evidence})")


def _text(text: str) -> str:
    """XML has no way to write control characters."""
    return _FORBIDDEN.sub("?", text)
