"""Every constant of the synthetic recording, by part of the model.

A value of type `Span` is drawn once for each latent, unit, channel or session; a `sweep` is the range in which a
conclusion should hold its sign (`drawn`). The defaults were tuned on seeds that no claim uses, until recordings passed
`edgebci.synthetic.acceptance`.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import numpy as np
from pydantic import BaseModel, model_validator

from edgebci.documents import Document
from edgebci.synthetic.constants import Span, assumed, setting, sourced, sweep_of

Model = TypeVar("Model", bound=BaseModel)

MORAN_SCHWARTZ = "Moran & Schwartz 1999, J Neurophysiol 82:2676"
TELENCZUK = "Telenczuk, Telenczuk & Destexhe 2020, J Neurosci Methods 344:108871"
RAY_MAUNSELL = "Ray & Maunsell 2011, PLoS Biol 9:e1000610"


class BehaviorSpec(Document):
    """Reaches of one hand in a plane."""

    rate_hz: float = setting(100.0, "rate of the behaviour and of the latents", ge=50.0)
    reach_s: Span = assumed((0.4, 1.0), "duration of a minimum-jerk reach")
    pause_mean_s: float = assumed(0.3, "mean pause between reaches, exponential", ge=0.0)
    workspace_half_width_cm: float = assumed(8.0, "targets are uniform in a square of this half width", ge=0.1)
    corrective_fraction: float = assumed(0.1, "reaches that end off target and are corrected", ge=0.0, le=1.0)
    corrective_error_fraction: float = assumed(0.2, "error of such a reach over its length", ge=0.0, le=1.0)
    corrective_s: Span = assumed((0.2, 0.4), "duration of the corrective submovement")
    work_s: Span = assumed((90.0, 240.0), "time from one rest epoch to the next")
    rest_s: Span = assumed((30.0, 90.0), "duration of a rest epoch")
    engagement_cv: float = assumed(0.3, "engagement is log-normal: shorter pauses and faster reaches", ge=0.0)
    engagement_time_constant_s: float = assumed(60.0, "correlation time of engagement", ge=1.0)
    preparation_s: float = assumed(0.4, "rise time of the preparatory signal before a reach", ge=0.05)


class LatentSpec(Document):
    """What the populations share: six latents carry behaviour, the others are free of it."""

    n_latents: int = assumed(16, "latents of each modality, of which 6 carry behaviour", sweep=(12, 20), ge=8, le=64)
    low_pass_hz: Span = assumed((3.0, 8.0), "corner of a latent")
    lead_ms: Span = sourced((50.0, 150.0), "latents lead the movement by this", MORAN_SCHWARTZ)
    free_variance_fraction: float = assumed(
        0.65, "population variance that is free of behaviour", sweep=(0.6, 0.75), ge=0.0, le=0.99
    )
    encoding_noise_fraction: float = assumed(
        0.12, "variance of a behavioural latent that is not behaviour", sweep=(0.05, 0.2), ge=0.0, le=1.0
    )
    velocity_share: float = assumed(0.7, "share of velocity in the behavioural variance", ge=0.0)
    speed_share: float = assumed(0.12, "share of speed", ge=0.0)
    position_share: float = assumed(0.1, "share of position", ge=0.0)
    preparation_share: float = assumed(0.08, "share of preparation", ge=0.0)
    speed_gain: float = assumed(
        0.3, "gain of directional tuning per standard deviation of speed", sweep=(0.1, 0.5), ge=0.0
    )
    rho: float = assumed(
        0.5,
        "variance beyond behaviour that the latents of spikes and of LFP share",
        sweep=(0.0, 0.9),
        ge=0.0,
        le=1.0,
    )


class UnitSpec(Document):
    """The sorted neurons: recorded, and without influence on the LFP but for their spikes' leakage."""

    n_units: int = assumed(120, "recorded units", sweep=(80, 150), ge=1, le=1000)
    rate_median_hz: float = assumed(6.5, "median of the log-normal mean rates", sweep=(5.0, 8.0), ge=0.1)
    rate_log_sd: float = assumed(0.6, "standard deviation of the logarithm of the mean rate", ge=0.0)
    modulation_fraction: Span = assumed((0.2, 0.6), "standard deviation of a unit's rate by its latents, over its mean")
    private_gain_cv: float = assumed(0.2, "fluctuation of a unit's rate that nothing else shares", ge=0.0)
    private_gain_time_constant_s: float = assumed(0.5, "correlation time of that fluctuation", ge=0.01)
    refractory_ms: float = assumed(2.0, "no second spike within this", ge=0.0, le=10.0)
    turnover_fraction: Span = assumed((0.1, 0.3), "units replaced from one session to the next")
    tuning_rotation_deg: Span = assumed((10.0, 20.0), "turn of all directional tuning from one session to the next")


class PopulationSpec(Document):
    """The cells that no electrode isolates, as rate fields on a sheet of cortex."""

    sheet_mm: float = assumed(4.0, "side of the sheet", ge=1.0)
    grid_mm: float = assumed(0.2, "side of a patch with one rate", ge=0.05)
    n_cells: int = assumed(1_000_000, "cells on the sheet", sweep=(500_000, 2_000_000), ge=10_000)
    noise_correlation: float = assumed(
        0.04, "correlation of the noise of two cells of one patch and kind", sweep=(0.03, 0.06), ge=0.0, le=1.0
    )
    inhibitory_fraction: float = assumed(0.2, "part of the cells that is inhibitory", ge=0.0, le=1.0)
    excitatory_rate_hz: float = assumed(5.0, "mean rate of an excitatory cell", ge=0.1)
    inhibitory_rate_hz: float = assumed(12.0, "mean rate of an inhibitory cell", ge=0.1)
    responsive_fraction: float = assumed(
        0.21, "cells of a patch that follow its latents", sweep=(0.15, 0.25), ge=0.0, le=1.0
    )
    modulation_fraction: float = assumed(
        0.4, "standard deviation of such a cell's rate, over its mean", sweep=(0.2, 0.6), ge=0.0
    )
    map_correlation_mm: float = assumed(0.6, "smoothness of the tuning maps", ge=0.0)
    inhibitory_map_overlap: float = assumed(
        0.95, "correlation of the inhibitory with the excitatory maps", ge=0.0, le=1.0
    )


class KernelSpec(Document):
    """The potential that one spike of one cell leaves at an electrode."""

    excitatory_amplitude_uv: float = assumed(-0.18, "peak beside an excitatory cell")
    inhibitory_amplitude_uv: float = assumed(0.28, "peak beside an inhibitory cell")
    space_constant_mm: float = sourced(0.28, "exponential decay with distance", TELENCZUK, sweep=(0.2, 0.5), ge=0.05)
    propagation_m_per_s: float = sourced(
        0.2, "speed with which the potential spreads", TELENCZUK, sweep=(0.05, 0.2), ge=0.05
    )
    excitatory_decay_ms: float = assumed(11.0, "decay of the excitatory kernel", sweep=(10.0, 20.0), ge=1.0)
    inhibitory_decay_ms: float = assumed(14.0, "decay of the inhibitory kernel", sweep=(10.0, 20.0), ge=1.0)
    rise_ms: float = assumed(1.0, "rise of both kernels", ge=0.1)
    reach_space_constants: float = setting(4.0, "a cell farther than this many space constants is not heard", ge=1.0)


class BackgroundSpec(Document):
    """What comes from far away and from the reference electrode: large, slow and nearly the same everywhere."""

    density_10hz_uv2_per_hz: float = assumed(35.0, "density at 10 Hz of the sum of both", ge=0.0)
    reference_fraction: float = assumed(
        0.5, "part of it that the reference adds to every channel alike", ge=0.0, le=1.0
    )
    n_sources: int = assumed(12, "distant sources", ge=1)
    source_distance_mm: Span = assumed((3.0, 8.0), "distance of a source from the centre of the sheet")
    corners_hz: Span = assumed((3.0, 15.0), "two poles of its spectrum")


class BetaSpec(Document):
    """Bursts that travel over the sheet as a modulation of the rates."""

    burst_rate_hz: float = assumed(3.5, "bursts that begin in a second", ge=0.0)
    frequency_hz: Span = assumed((15.0, 30.0), "frequency of a burst")
    burst_s: Span = assumed((0.1, 0.3), "duration of a burst")
    modulation_fraction: float = assumed(0.6, "median modulation of the rates at the peak of a burst", ge=0.0)
    amplitude_log_sd: float = assumed(0.4, "spread of the logarithm of that peak", ge=0.0)
    inhibitory_lag_ms: float = assumed(8.0, "inhibitory cells follow the wave after this", ge=0.0)
    wave_m_per_s: Span = assumed((0.1, 0.3), "speed of the travelling wave")
    extent_mm: float = assumed(2.0, "standard deviation of a burst's extent", ge=0.1)
    desynchronization_fraction: float = assumed(0.85, "loss of amplitude in full movement", ge=0.0, le=1.0)


class LeakageSpec(Document):
    """Spikes of cells beside the electrode, above 100 Hz, in proportion to the local rate."""

    corner_hz: float = sourced(100.0, "high-pass corner of the leakage", RAY_MAUNSELL, ge=10.0)
    density_300hz_uv2_per_hz: float = assumed(0.008, "density at 300 Hz at the mean rate", ge=0.0)
    responsive_fraction: float = assumed(
        0.25, "cells beside an electrode that follow the local latents", ge=0.0, le=1.0
    )
    recorded_spike_uv_ms: float = assumed(4.0, "area of a recorded unit's spike below half the sampling rate", ge=0.0)


class ElectrodeSpec(Document):
    """Electrodes and amplifier, drawn for each session."""

    pitch_mm: float = assumed(0.4, "distance of neighbours in the square array", ge=0.05)
    floor_nv_per_rthz: float = assumed(50.0, "noise of electrode and amplifier", sweep=(30.0, 70.0), ge=0.0)
    signal_to_floor_db: float = setting(
        0.0, "sweep: raises the LFP over that floor by lowering the floor", ge=-40, le=40
    )
    flicker_corner_hz: float = assumed(100.0, "where 1/f noise equals white noise", sweep=(10.0, 300.0), ge=1.0)
    gain_cv: Span = assumed((0.15, 0.30), "spread of gain and impedance over channels, log-normal")
    dead_fraction: Span = assumed((0.02, 0.05), "channels with floor only")
    noisy_fraction: float = assumed(0.05, "channels with a raised floor", ge=0.0, le=1.0)
    noisy_floor_factor: float = assumed(20.0, "how much it is raised", ge=1.0)
    mains_hz: float = setting(50.0, "mains frequency", ge=1.0)
    mains_uv: Span = assumed((0.0, 20.0), "rms of mains with its harmonics, one draw for a session")
    mains_harmonics: tuple[float, ...] = assumed(
        (1.0, 0.15, 0.25, 0.05, 0.1), "relative amplitude of harmonic 1, 2, ..."
    )
    high_pass_hz: float = assumed(0.3, "first-order high-pass of the amplifier", ge=0.0)


class OscillatorSpec(Document):
    """The second family: no cells and no kernels, but 1/f noise and oscillators whose amplitude the latents drive."""

    density_100hz_uv2_per_hz: float = assumed(0.5, "density of the 1/f noise at 100 Hz", ge=0.0)
    corners_hz: Span = assumed((12.0, 160.0), "two poles of the 1/f noise")
    bands_hz: tuple[Span, ...] = assumed(((7.0, 12.0), (35.0, 60.0)), "pass-bands of the oscillators")
    bands_uv: tuple[float, ...] = assumed((8.0, 3.0), "rms of each oscillator")
    beta_uv: float = assumed(100.0, "peak of a beta burst whose modulation is 1", ge=0.0)
    power_depth: float = assumed(0.06, "standard deviation of the logarithm of power by the latents", ge=0.0)
    slow_wave_uv: float = assumed(5.0, "rms of the latents' slow wave", ge=0.0)
    correlation_mm: float = assumed(0.25, "extent of the noise and of the oscillators", ge=0.05)

    @model_validator(mode="after")
    def _one_level_each(self) -> OscillatorSpec:
        if len(self.bands_hz) != len(self.bands_uv):
            raise ValueError(f"{len(self.bands_hz)} bands_hz but {len(self.bands_uv)} bands_uv; give one for each")
        return self


class SyntheticSpec(Document):
    """One synthetic session: which, how long, how many channels, and all constants."""

    seed: int = setting(1, "a different world for each seed", ge=0)
    subject: int = setting(1, "array, maps and units belong to the subject", ge=0)
    session: int = setting(1, "the first session is 1; units turn over from each to the next", ge=1, le=100)
    duration_s: float = setting(600.0, "length", ge=1.0)
    n_channels: int = setting(96, "channels of LFP", ge=1, le=1024)
    rate_hz: float = setting(1000.0, "sampling rate of the LFP", ge=500.0, le=2000.0)
    family: Literal["kernel", "oscillators"] = setting("kernel", "how latents make LFP")
    linear: bool = setting(False, "control: no speed gain, no rectification, logarithm of power linear in the latents")
    label_shuffle: bool = setting(False, "control: the behaviour of another, independent session is written")
    spike_shuffle: bool = setting(False, "control: spikes are shifted in time against everything else")
    behavior: BehaviorSpec = BehaviorSpec()
    latents: LatentSpec = LatentSpec()
    units: UnitSpec = UnitSpec()
    population: PopulationSpec = PopulationSpec()
    kernel: KernelSpec = KernelSpec()
    background: BackgroundSpec = BackgroundSpec()
    beta: BetaSpec = BetaSpec()
    leakage: LeakageSpec = LeakageSpec()
    electrodes: ElectrodeSpec = ElectrodeSpec()
    oscillators: OscillatorSpec = OscillatorSpec()

    @model_validator(mode="after")
    def _fits_together(self) -> SyntheticSpec:
        if self.rate_hz % self.behavior.rate_hz:
            raise ValueError(
                f"behavior.rate_hz {self.behavior.rate_hz:g} does not divide rate_hz {self.rate_hz:g}; choose a divisor"
            )
        return self

    @property
    def n_samples(self) -> int:
        """Samples of LFP."""
        return round(self.duration_s * self.rate_hz)


def drawn(spec: SyntheticSpec, rng: np.random.Generator) -> SyntheticSpec:
    """Give `spec` with every swept constant drawn uniformly from its range: for conclusions over many generators."""
    return _drawn(spec, rng)


def _drawn(model: Model, rng: np.random.Generator) -> Model:
    changes: dict[str, object] = {}
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        sweep = sweep_of(field)
        if isinstance(value, BaseModel):
            changes[name] = _drawn(value, rng)
        elif sweep:
            changes[name] = type(value)(rng.uniform(*sweep))
    return model.model_copy(update=changes)
