"""The decay report: whether each state can be kept in int8, or in int16, measured.

The float decoder runs over the stream three times, once as it is and once for each width with its states rounded to
that width's grid after every step, and nothing else rounded. What differs between the runs is the noise of rounding the
state, accumulated by the recurrence that carries it on: a mode with decay a gathers 1 / (1 - a^2) times what one
rounding leaves, and an update below half a count is lost altogether, which no formula for noise shows. Signal over
noise is that of each group (a head, a mode, a unit) over the whole stream.

A width holds for a state when every group of it that matters keeps its noise at 30 dB below its signal, the noise that
int8 weights and activations leave at their best (edgebci's int8 forms were seen to have 25 to 37 dB at the output). A
group whose signal is below a thousandth of the largest of its state carries nothing that could be lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.decoder_float import F64, FloatDecoder, Parameters, States, no_tap
from edgebci.decoder_spec import DecoderSpec
from edgebci.documents import Document
from edgebci.export.calibration import QuantizationRecipe, Width
from edgebci.export.quantization import check_frames
from edgebci.export.time_constants import Forgetting, both, grouped
from edgebci.export.widths import state_names
from edgebci.metrics import r2
from edgebci.operators.gru import HIDDEN_SCALE, HIDDEN_SCALE_INT8
from edgebci.progress import Progress, part, silent

FEWEST_DB = 30.0
SMALLEST_SIGNAL = 1e-3
LARGEST_DB = 200.0
"""What is written where a state has no noise at all: JSON has no infinity."""
StateWidth = Literal[8, 16]


class DecayGroup(Document):
    """One head, mode or unit.

    Fields:
        place: its indices in the state.
        time_constant_frames: how long it remembers.
        largest, rms: of its elements over the stream.
        int8_snr_db, int16_snr_db: signal over the noise of rounding this state in that width.
        matters: whether its signal is worth looking at.
    """

    place: tuple[int, ...]
    time_constant_frames: float
    largest: float
    rms: float
    int8_snr_db: float
    int16_snr_db: float
    matters: bool


class StateDecay(Document):
    """One state; `holds` tells by width whether every group that matters keeps enough of its signal."""

    name: str
    groups: tuple[DecayGroup, ...]
    int8_holds: bool
    int16_holds: bool

    @property
    def width(self) -> StateWidth:
        """The narrowest that holds; int16 where none does, which is the widest there is."""
        return 8 if self.int8_holds else 16


class DecayReport(Document):
    """All states of a decoder on one stream.

    Fields:
        frames: of the stream.
        states: one entry for each that remembers.
        int8_r2_loss, int16_r2_loss: of the outputs with every state in that width and all else in float.
        needed_db: what a width must keep.
    """

    schema_version: Literal["edgebci.decay_report/1"] = "edgebci.decay_report/1"
    frames: int
    states: tuple[StateDecay, ...]
    int8_r2_loss: float
    int16_r2_loss: float
    needed_db: float = FEWEST_DB

    def widths(self) -> dict[str, Width]:
        """What a recipe takes: int8 for each state where it holds."""
        return {state.name: 8 for state in self.states if state.int8_holds}

    def sentences(self) -> list[str]:
        """One line for each state."""
        return [_sentence(state) for state in self.states]


@dataclass
class _Recorder:
    """A tap that keeps the states after every step, and passes all on."""

    spec: DecoderSpec
    seen: dict[str, list[F64]]

    def __call__(self, name: str, values: NDArray[Any]) -> None:
        """Take one chunk (T, ...)."""
        state = name.removesuffix(".next")
        if state != name and state in state_names(self.spec):
            self.seen.setdefault(state, []).append(values.astype(np.float32))


def decay_report(
    spec: DecoderSpec,
    parameters: Parameters,
    frames: F32,
    recipe: QuantizationRecipe | None = None,
    progress: Progress = silent,
) -> DecayReport:
    """Measure on (T, n_inputs) of a stream without a reset; a thousand frames or more, or slow groups stay at rest.

    Args:
        spec, parameters: of the float decoder.
        frames: normalised features.
        recipe: whose headroom the grids have; None takes the defaults.
        progress: told how far it is.

    Raises:
        InputError: the frames do not fit the decoder or are not finite.
    """
    check_frames(spec, frames)
    decoder, recorder = FloatDecoder.of(spec, parameters), _Recorder(spec, {})
    forgetting = Forgetting(spec, decoder.parameters)
    exact = decoder.stream(frames, None, both(recorder, forgetting))
    states = {name: np.concatenate(parts) for name, parts in recorder.seen.items()}
    settings = recipe or QuantizationRecipe()
    found: dict[StateWidth, tuple[dict[str, F64], F64]] = {
        8: _rounded(decoder, frames, states, settings, 8, part(progress, 0.0, 0.5)),
        16: _rounded(decoder, frames, states, settings, 16, part(progress, 0.5, 1.0)),
    }
    reports = [
        _state(spec, name, states[name], {bits: noise[name] for bits, (noise, _) in found.items()}, forgetting, i)
        for i, name in enumerate(state_names(spec))
    ]
    losses = {bits: float(np.mean(1 - r2(exact, outputs))) for bits, (_, outputs) in found.items()}
    return DecayReport(frames=len(frames), states=tuple(reports), int8_r2_loss=losses[8], int16_r2_loss=losses[16])


def grid(spec: DecoderSpec, name: str, states: F64, recipe: QuantizationRecipe, bits: Width) -> tuple[F64, int]:
    """One count of each element of a state (its shape), and the largest count, in so many bits."""
    most = 127 if bits == 8 else 32767
    if spec.cell == "gru":
        return np.full(states.shape[1:], float(HIDDEN_SCALE_INT8 if bits == 8 else HIDDEN_SCALE)), most
    seen = grouped(spec, np.abs(states).max(axis=0), np.max)
    widths: dict[str, Width] = {name: bits}
    scale = recipe.model_copy(update={"widths": widths}).state_scale(name, seen).astype(np.float64)
    if spec.cell == "mamba2":
        return np.broadcast_to(scale[:, None, None], states.shape[1:]).copy(), most
    return np.concatenate([scale, scale], axis=-1), most


def _rounded(
    decoder: FloatDecoder,
    frames: F32,
    states: dict[str, F64],
    recipe: QuantizationRecipe,
    bits: StateWidth,
    progress: Progress,
) -> tuple[dict[str, F64], F64]:
    """Mean squared difference of each element of each state to the exact one, and the outputs (T, n_outputs)."""
    grids = {name: grid(decoder.spec, name, values, recipe, bits) for name, values in states.items()}
    squares = {name: np.zeros(values.shape[1:]) for name, values in states.items()}
    outputs, current = np.empty((len(frames), decoder.spec.n_outputs)), decoder.initial_states()
    for t in range(len(frames)):
        outputs[t : t + 1], current = decoder.run(frames[t : t + 1], current, no_tap)
        current |= _on_grid(current, grids)
        for name, values in states.items():
            squares[name] += (current[name] - values[t]) ** 2
        if t % 128 == 0:
            progress(t / len(frames), f"states in int{bits}")
    return {name: total / len(frames) for name, total in squares.items()}, outputs


def _on_grid(states: States, grids: dict[str, tuple[F64, int]]) -> States:
    return {
        name: np.clip(np.rint(states[name] / scale), -most - 1, most) * scale for name, (scale, most) in grids.items()
    }


def _state(
    spec: DecoderSpec, name: str, states: F64, noise: dict[StateWidth, F64], forgetting: Forgetting, layer: int
) -> StateDecay:
    constants = forgetting.time_constants(layer)
    power = grouped(spec, np.mean(states.astype(np.float64) ** 2, axis=0), np.mean)
    largest = grouped(spec, np.abs(states).max(axis=0), np.max)
    ratios = {bits: _decibels(power, grouped(spec, squares, np.mean)) for bits, squares in noise.items()}
    matters = np.sqrt(power) > SMALLEST_SIGNAL * np.sqrt(power.max())
    groups = [
        DecayGroup(
            place=tuple(int(k) for k in place),
            time_constant_frames=float(constants[place]),
            largest=float(largest[place]),
            rms=float(np.sqrt(power[place])),
            int8_snr_db=float(ratios[8][place]),
            int16_snr_db=float(ratios[16][place]),
            matters=bool(matters[place]),
        )
        for place in np.ndindex(constants.shape)
    ]
    holds = {bits: bool((ratios[bits][matters] >= FEWEST_DB).all()) for bits in ratios}
    return StateDecay(name=name, groups=tuple(groups), int8_holds=holds[8], int16_holds=holds[16])


def _decibels(signal: F64, noise: F64) -> F64:
    ratio = np.where(signal > 0, signal, 1e-300) / np.where(noise > 0, noise, 1e-300)
    result: F64 = np.clip(10 * np.log10(ratio), -LARGEST_DB, LARGEST_DB)
    return result


def _sentence(state: StateDecay) -> str:
    seen = [group for group in state.groups if group.matters]
    worst = min(seen, key=lambda group: group.int8_snr_db)
    verdict = "int8 holds" if state.int8_holds else "int16 holds" if state.int16_holds else "neither holds"
    return (
        f"{state.name}: {verdict}; the worst of {len(seen)} groups remembers {worst.time_constant_frames:,.0f} frames "
        f"and keeps {worst.int8_snr_db:.0f} dB in int8, {min(g.int16_snr_db for g in seen):.0f} dB in int16"
    )
