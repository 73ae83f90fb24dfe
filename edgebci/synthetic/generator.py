"""The synthetic recording: a world is drawn, then its LFP is written chunk by chunk, with the truth beside it.

    behaviour -> latents -+-> unrecorded populations -> kernels -> LFP (+ background, leakage, floor, mains)
                          +-> recorded units -> spikes

No arrow leads from behaviour to LFP but through the latents of the populations, and none from recorded units but their
faint leakage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebci.progress import Progress, silent
from edgebci.recordings import RecordingInfo, RecordingWriter
from edgebci.recordings.intervals import union
from edgebci.synthetic import chance
from edgebci.synthetic.background import Background
from edgebci.synthetic.behavior import Movement, move
from edgebci.synthetic.beta import Bursts, draw_bursts
from edgebci.synthetic.electrodes import Amplifier, Electrodes, draw_electrodes
from edgebci.synthetic.latents import Latents, draw_latents, free_variance_fraction, session_rotation_deg
from edgebci.synthetic.lfp import KernelField, Leakage, LocalField
from edgebci.synthetic.oscillators import OscillatorField
from edgebci.synthetic.population import TuningMaps, draw_maps
from edgebci.synthetic.sheet import Sheet, lay
from edgebci.synthetic.signals import F32, F64
from edgebci.synthetic.specification import SyntheticSpec
from edgebci.synthetic.units import SpikeTrain, Units, draw_units, fire

CHUNK_S = 4.0


@dataclass(frozen=True)
class World:
    """Everything about a session but the LFP itself."""

    spec: SyntheticSpec
    sheet: Sheet
    movement: Movement
    latents: Latents
    maps: TuningMaps
    bursts: Bursts
    units: Units
    spikes: SpikeTrain
    electrodes: Electrodes


def draw_world(spec: SyntheticSpec) -> World:
    """Draw a session; equal specifications give equal worlds."""
    sheet = lay(spec)
    movement = move(spec.behavior, spec.duration_s, chance.for_session(spec, "behavior"))
    latents = draw_latents(spec, movement)
    units = draw_units(spec)
    return World(
        spec,
        sheet,
        movement,
        latents,
        draw_maps(spec, sheet),
        draw_bursts(spec, latents),
        units,
        fire(spec, units, latents),
        draw_electrodes(spec),
    )


class LfpStream:
    """The LFP of a world, by chunk; keeps account of how much of its variance recorded units make."""

    def __init__(self, world: World) -> None:
        spec = world.spec
        self._world = world
        self._field = _local_field(world)
        self._background = Background(spec, world.sheet)
        self._leakage = Leakage(spec, world.units, world.spikes)
        self._amplifier = Amplifier(spec, world.electrodes)
        self._power = np.zeros(2)

    @property
    def unrecorded_variance_fraction(self) -> float:
        """Part of the neural variance written so far that comes from cells that no electrode records."""
        of_recorded, of_all = self._power
        return float(1 - of_recorded / of_all) if of_all else 1.0

    def chunks(self, chunk_s: float = CHUNK_S) -> Iterator[F32]:
        """The LFP (T, C) in microvolt, chunk after chunk."""
        spec = self._world.spec
        step = max(1, round(chunk_s * spec.rate_hz))
        for start in range(0, spec.n_samples, step):
            yield self._next(start, min(step, spec.n_samples - start))

    def _next(self, start: int, n: int) -> F32:
        times_s = (start + np.arange(n)) / self._world.spec.rate_hz
        potential, relative_rate = self._field.next_uv(_latents_at(self._world.latents, times_s), times_s)
        unrecorded, recorded = self._leakage.next_uv(relative_rate, start)
        potential += unrecorded
        potential += recorded
        potential += self._background.next_uv(n)
        self._power += [float(np.vdot(recorded, recorded)), float(np.vdot(potential, potential))]
        return self._amplifier.record(potential, times_s)


def synthesize(spec: SyntheticSpec, path: Path, progress: Progress = silent) -> RecordingInfo:
    """Write the recording that `spec` describes, with behaviour, spikes, events and ground truth.

    Behaviour: `velocity` (N, 2) cm/s, `position` (N, 2) cm, `speed` (N,) cm/s. Intervals: `rest` and
    `beta_bursts`, the time in which at least one burst is under way. Ground truth stands in the group
    `truth`: the latents of both modalities, engagement, the whole specification as JSON, units, maps, electrodes,
    bursts, and the measured fraction of LFP variance that comes from unrecorded neurons.

    Raises:
        InputError: no space left, or the folder can't be written.
    """
    progress(0.0, "drawing behaviour and latents")
    world = draw_world(spec)
    writer = RecordingWriter(
        path,
        subject_id=f"synthetic-{spec.seed}-{spec.subject}",
        session_id=f"session-{spec.session}",
        lfp_rate_hz=spec.rate_hz,
        channel_names=tuple(f"ch{i:03d}" for i in range(spec.n_channels)),
    )
    with writer:
        stream = LfpStream(world)
        for chunk in stream.chunks():
            writer.append_lfp(chunk)
            progress(writer.n_samples / spec.n_samples, "writing LFP")
        _write_behavior(writer, world)
        _write_truth(writer, world, stream.unrecorded_variance_fraction)
        return writer.close()


def _local_field(world: World) -> LocalField:
    if world.spec.family == "oscillators":
        return OscillatorField(world.spec, world.sheet, world.maps, world.bursts)
    return KernelField(world.spec, world.sheet, world.maps, world.bursts)


def _latents_at(latents: Latents, times_s: F64) -> F32:
    """The LFP's latents (T, K) at the times of LFP samples."""
    # They are far slower than their own rate, so a line from one to the next is enough.
    columns = [np.interp(times_s, latents.times_s, column) for column in latents.lfp.T]
    return np.stack(columns, axis=1).astype(np.float32)


def _write_behavior(writer: RecordingWriter, world: World) -> None:
    spec, movement = world.spec, world.movement
    if spec.label_shuffle:
        movement = move(spec.behavior, spec.duration_s, chance.for_session(spec, "shuffled behavior"))
    inside = movement.inside(spec.duration_s)
    rate_hz = spec.behavior.rate_hz
    axes = ("x", "y")
    writer.set_behavior("velocity", movement.velocity_cm_s[inside], unit="cm/s", rate_hz=rate_hz, axis_names=axes)
    writer.set_behavior("position", movement.position_cm[inside], unit="cm", rate_hz=rate_hz, axis_names=axes)
    writer.set_behavior("speed", movement.speed_cm_s[inside], unit="cm/s", rate_hz=rate_hz, axis_names=("speed",))
    rest = np.clip(movement.rest_s, 0, spec.duration_s)
    writer.set_intervals("rest", rest[rest[:, 1] > rest[:, 0]])
    writer.set_intervals("beta_bursts", np.clip(_burst_times_s(world.bursts), 0, spec.duration_s))
    writer.set_spikes(world.spikes.times_s, world.spikes.unit_index, world.units.names)


def _burst_times_s(bursts: Bursts) -> F64:
    return union([np.stack([bursts.start_s, bursts.start_s + bursts.duration_s], axis=1)])


def _write_truth(writer: RecordingWriter, world: World, unrecorded_fraction: float) -> None:
    spec, electrodes, units = world.spec, world.electrodes, world.units
    inside = world.movement.inside(spec.duration_s)
    series = {
        "latents_of_spikes": world.latents.spikes,
        "latents_of_lfp": world.latents.lfp,
        "engagement": world.movement.engagement,
    }
    for name, values in series.items():
        writer.set_series(f"truth.{name}", values[inside].astype(np.float32), unit="1", rate_hz=spec.behavior.rate_hz)
    arrays = {
        "electrodes_mm": world.sheet.electrodes_mm,
        "gain": electrodes.gain,
        "is_dead": electrodes.is_dead,
        "is_noisy": electrodes.is_noisy,
        "mains_uv": electrodes.mains_uv,
        "unit_rate_hz": units.rate_hz,
        "unit_weights": units.weights,
        "unit_channel": units.channel,
        "excitatory_maps": world.maps.excitatory.astype(np.float32),
        "inhibitory_maps": world.maps.inhibitory.astype(np.float32),
        "burst_start_s": world.bursts.start_s,
        "burst_duration_s": world.bursts.duration_s,
    }
    for name, array in arrays.items():
        writer.set_value(f"truth.{name}", array)
    numbers = {
        "rho": spec.latents.rho,
        "tuning_rotation_deg": session_rotation_deg(spec),
        "unrecorded_variance_fraction": unrecorded_fraction,
        "free_variance_fraction": min(
            free_variance_fraction(world.latents.lfp, world.maps.excitatory),
            free_variance_fraction(world.latents.spikes, units.weights),
        ),
    }
    for name, number in numbers.items():
        writer.set_value(f"truth.{name}", number)
    writer.set_value("truth.specification", spec.model_dump_json())
