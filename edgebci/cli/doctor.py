"""`edgebci doctor`: what this machine can do, and what it lacks."""

from __future__ import annotations

from edgebci.cli.output import JsonFlag, print_json, print_rows


def doctor(json: JsonFlag = False) -> None:
    """Tell what is installed, what each part enables, and the line that installs what is missing."""
    from edgebci.doctor import diagnose

    found = diagnose()
    if json:
        print_json(found)
        return
    rows = [
        (part.name, f"{part.found}: {part.enables}" if part.found else f"missing: {part.enables}; {part.cure}")
        for part in found.parts
    ]
    rows.append(("all that is missing", found.install_line or "nothing that a command could install"))
    print_rows("this machine", rows)
