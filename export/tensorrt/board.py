"""What a board says of itself: model, release, power mode, clocks, temperatures, power. Reads files, changes nothing.

Part of a Jetson bundle: needs Python 3.10 and nothing else. What a board does not say is left out, never guessed.
Paths: the Jetson Linux Developer Guide, "Platform Power and Performance" (nvpmodel, cpufreq, devfreq, INA3221).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path("/")
_FREQUENCIES = (
    ("gpu", "sys/class/devfreq/*", "", 1),
    ("cpu", "sys/devices/system/cpu/cpufreq/policy*", "scaling_", 1000),
)
"""Kind, where its folders are, what their files' names begin with, and how many Hz their unit is."""

Run = Callable[[list[str]], str]


def ran(command: list[str]) -> str:
    """What a program prints; nothing where it is absent or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def identity(root: Path = ROOT, run: Run = ran) -> dict[str, str]:
    """Model and release of the board, or name and driver of a graphics card."""
    found = {"model": _text(root / "proc/device-tree/model"), "release": _text(root / "etc/nv_tegra_release")}
    if not found["model"]:
        card = run(["nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader"])
        found["model"] = card.partition("\n")[0].strip()
    return {name: value for name, value in found.items() if value}


def power_mode(run: Run = ran) -> str | None:
    """Name of the power mode, as `nvpmodel -q` says it; None where it says nothing."""
    for line in run(["nvpmodel", "-q"]).splitlines():
        if line.startswith("NV Power Mode:"):
            return line.partition(":")[2].strip()
    return None


def clocks(root: Path = ROOT) -> list[dict[str, Any]]:
    """Every clock that the kernel shows, in Hz; locked where its least and greatest are the same (jetson_clocks)."""
    found = []
    for kind, place, start, hz in _FREQUENCIES:
        for folder in sorted(root.glob(place)):
            values = [_number(folder / f"{start}{what}_freq") for what in ("cur", "min", "max")]
            now, least, greatest = (None if value is None else value * hz for value in values)
            if now is None or least is None or greatest is None:
                continue
            found.append(
                {
                    "name": f"{kind} {folder.name}",
                    "current_hz": now,
                    "least_hz": least,
                    "greatest_hz": greatest,
                    "governor": _text(folder / f"{start}governor"),
                }
            )
    return found


def temperatures(root: Path = ROOT) -> dict[str, float]:
    """Degrees Celsius by thermal zone."""
    found = {}
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        value = _number(zone / "temp")
        if value is not None:
            found[_text(zone / "type") or zone.name] = value / 1000
    return found


def power_w(root: Path = ROOT) -> dict[str, float]:
    """Watts by rail, of the INA3221 monitors: volts times amperes at this moment."""
    found = {}
    for monitor in sorted(root.glob("sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*")):
        for channel in (1, 2, 3):
            label = _text(monitor / f"in{channel}_label")
            volts, amperes = (_number(monitor / f"{what}{channel}_input") for what in ("in", "curr"))
            if label and volts is not None and amperes is not None:
                found[label] = volts * amperes / 1e6
    return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().split(b"\0")[0].decode("utf-8", "replace").strip().partition("\n")[0]
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.lstrip("-").isdigit() else None
