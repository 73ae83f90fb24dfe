"""The files that a gate writes for whoever reads it next: programs, CI servers, people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgebci.files import make_folder, write_text
from edgebci.gating_result import GateResult
from edgebci.reporting.gate_badge import gate_badges
from edgebci.reporting.gate_github import github_annotations
from edgebci.reporting.gate_junit import gate_junit
from edgebci.reporting.gate_markdown import gate_comment, gate_markdown

JSON_NAME, JUNIT_NAME, COMMENT_NAME = "gate.json", "gate.junit.xml", "gate.comment.md"


def write_outputs(result: GateResult, folder: Path) -> None:
    """Write gate.json, gate.junit.xml, gate.comment.md and the badges."""
    make_folder(folder)
    write_text(folder / JSON_NAME, result.model_dump_json(indent=2) + "\n")
    write_text(folder / JUNIT_NAME, gate_junit(result))
    write_text(folder / COMMENT_NAME, gate_comment(result))
    for name, svg in gate_badges(result).items():
        write_text(folder / f"{name}.svg", svg)


def tell_github(result: GateResult, pipeline: Path, environment: Mapping[str, str]) -> list[str]:
    """On GitHub's runners: add the step summary to its file and give the lines of the annotations; else nothing."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return []
    if summary := environment.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(gate_markdown(result) + "\n")
    return github_annotations(result, str(pipeline))
