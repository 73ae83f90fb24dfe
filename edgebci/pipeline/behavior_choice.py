"""Which series of a recording a decoder decodes, where the user does not name it."""

from __future__ import annotations

from pathlib import Path

from edgebci.errors import InputError
from edgebci.pipeline.target import LOG_ODDS
from edgebci.recordings import open_recording


def behavior_for(path: Path, output_names: tuple[str, ...], output_unit: str) -> str:
    """Name of the one series with the decoder's axes and unit; in detection, the intervals of its output's name.

    Raises:
        InputError: none fits, or several do; lists what there is.
    """
    if output_unit == LOG_ODDS:
        return output_names[0]
    if path.suffix != ".h5":
        raise InputError(f"{path} has to be converted first, which needs a name; give that of the series")
    with open_recording(path) as recording:
        names = recording.info.behavior_names
        series = {name: recording.behavior(name) for name in names}
    wanted = (output_names, output_unit)
    fitting = [name for name, found in series.items() if (found.axis_names, found.unit) == wanted]
    if len(fitting) != 1:
        raise InputError(
            f"{path} has {len(fitting)} behaviours with the axes {', '.join(output_names)} in {output_unit}, needed is "
            f"one; name what is decoded: {', '.join(names) or 'there is none'}"
        )
    return fitting[0]
