"""Whether a calibration set is long enough for the states to have reached the range that they will have.

A state that begins at zero grows for a few of its time constants. A group of a state (a head, a mode, a unit) is
settled when the longest stretch without a reset is at least three of its time constants (it is then within exp(-3) =
5 % of where it goes), or when the second half of that stretch drives it no further than 1.25 times the first half did:
a stationary stream of a few hundred frames differs by less between its halves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.decoder_float import FloatDecoder, Parameters
from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.export.quantization import check_frames
from edgebci.export.time_constants import Forgetting, both, grouped
from edgebci.export.widths import state_names
from edgebci.operators.cell import F64

ENOUGH_TIME_CONSTANTS = 3.0
LARGEST_GROWTH = 1.25
NEVER_FRAMES = 1e7
"""A time constant of more than two days at 50 frames per second is no memory but a sum: it never settles."""


class SettledGroup(Document):
    """One group of a state, by the state's name and the group's place in it."""

    state: str
    place: tuple[int, ...]
    time_constant_frames: float
    growth: float
    """Largest magnitude in the second half of the stretch over that in the first."""


class Settling(Document):
    """The longest stretch of a calibration set and how far it settled each state."""

    frames: int
    """In the longest stretch without a reset."""
    slowest: SettledGroup
    """The group with the longest time constant."""
    fastest_growing: SettledGroup


@dataclass
class _Halves:
    """A tap: the largest magnitude of each group in each half of one stretch."""

    spec: DecoderSpec
    half: int = 0
    largest: dict[tuple[str, int], F64] = field(default_factory=dict)

    def __call__(self, name: str, values: NDArray[Any]) -> None:
        """Take one chunk (T, ...)."""
        state = name.removesuffix(".next")
        if state in state_names(self.spec) and state != name:
            seen = np.abs(grouped(self.spec, np.abs(values), np.max)).max(axis=0)
            key = (state, self.half)
            self.largest[key] = np.maximum(self.largest.get(key, np.float64(0.0)), seen)

    def growth(self, state: str) -> F64:
        """(groups,) of the second half over the first; 1 where nothing ever drove the group."""
        first, second = self.largest[state, 0], self.largest[state, 1]
        ratio: F64 = np.where(second > 0, second / np.where(first > 0, first, 1e-300), 1.0)
        return ratio


def check_settled(
    spec: DecoderSpec,
    parameters: Parameters,
    frames: F32,
    reset_before: NDArray[np.bool_] | None = None,
) -> Settling:
    """Run the float decoder over the longest stretch of (T, n_inputs) and see whether its states settled.

    Raises:
        InputError: the frames do not fit the decoder or are not finite; they are too short for a state to settle; or a
            state never does.
    """
    check_frames(spec, frames)
    stretch = longest_stretch(frames, reset_before)
    if len(stretch) < 2:
        raise InputError(
            "the longest stretch of the calibration set without a reset has 1 frame, needed are 2; take a longer one"
        )
    decoder = FloatDecoder.of(spec, parameters)
    halves, forgetting = _Halves(spec), Forgetting(spec, decoder.parameters)
    _run_halves(decoder, stretch, halves, forgetting)
    groups = [group for i, state in enumerate(state_names(spec)) for group in _groups(state, i, halves, forgetting)]
    _require_settled(groups, len(stretch))
    return Settling(
        frames=len(stretch),
        slowest=max(groups, key=lambda group: group.time_constant_frames),
        fastest_growing=max(groups, key=lambda group: group.growth),
    )


def longest_stretch(frames: F32, reset_before: NDArray[np.bool_] | None) -> F32:
    """The longest part without a reset inside."""
    resets = np.zeros(len(frames), bool) if reset_before is None else reset_before
    cuts = np.unique([0, *np.flatnonzero(resets).tolist(), len(frames)])
    longest = int(np.argmax(np.diff(cuts)))
    return frames[cuts[longest] : cuts[longest + 1]]


def _run_halves(decoder: FloatDecoder, stretch: F32, halves: _Halves, forgetting: Forgetting) -> None:
    states, middle = decoder.initial_states(), len(stretch) // 2
    tap = both(halves, forgetting)
    for half, part in enumerate((stretch[:middle], stretch[middle:])):
        halves.half = half
        for start in range(0, len(part), 512):
            _, states = decoder.run(part[start : start + 512], states, tap)


def _groups(state: str, layer: int, halves: _Halves, forgetting: Forgetting) -> list[SettledGroup]:
    constants, growth = forgetting.time_constants(layer), halves.growth(state)
    return [
        SettledGroup(
            state=state,
            place=tuple(int(k) for k in place),
            time_constant_frames=float(constants[place]),
            growth=min(float(growth[place]), 1e300),
        )
        for place in np.ndindex(constants.shape)
    ]


def _require_settled(groups: list[SettledGroup], n_frames: int) -> None:
    growing = [group for group in groups if group.growth > LARGEST_GROWTH]
    never = [group for group in growing if group.time_constant_frames > NEVER_FRAMES]
    if never:
        raise InputError(
            f"{_named(never[0])} never settles: it forgets a part in {never[0].time_constant_frames:.3g} per frame and "
            f"grew {never[0].growth:.2f} times from the first half of {n_frames:,} calibration frames to the second, "
            f"allowed is a time constant of {NEVER_FRAMES:.0e} frames; train the decoder again"
        )
    short = [group for group in growing if group.time_constant_frames * ENOUGH_TIME_CONSTANTS > n_frames]
    if short:
        worst = max(short, key=lambda group: group.time_constant_frames)
        raise InputError(
            f"the calibration set is too short: in its longest stretch of {n_frames:,} frames {_named(worst)} still "
            f"grew {worst.growth:.2f} times from one half to the next, and its time constant is "
            f"{worst.time_constant_frames:,.0f} frames; give at least "
            f"{int(np.ceil(ENOUGH_TIME_CONSTANTS * worst.time_constant_frames)):,} frames without a reset"
        )


def _named(group: SettledGroup) -> str:
    return f"{group.state}[{', '.join(map(str, group.place))}]"
