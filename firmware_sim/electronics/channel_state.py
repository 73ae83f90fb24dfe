"""What each channel drew: impedance, offset, gain, life, and how much of the mains it hears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.firmware_sim.electronics.conditions import FrontEndModel
from edgebci.synthetic.signals import F64

BOLTZMANN_J_PER_K = 1.380649e-23
"""CODATA 2018, exact."""
BODY_K = 310.15
OPEN_KOHM = 20_000.0
"""Of an electrode that lost its contact: what its noise and mains are then taken from."""


@dataclass(frozen=True)
class ChannelState:
    """One value for each channel, (C,): impedance_kohm (nan where not modelled), offset_uv, gain, is_dead."""

    impedance_kohm: F64
    offset_uv: F64
    gain: F64
    is_dead: NDArray[np.bool_]

    def thermal_nv_per_rthz(self) -> F64:
        """Thermal noise of each electrode, (C,): sqrt(4 k T R) (Johnson, Nyquist 1928); 0 where not modelled."""
        ohm = 1e3 * np.nan_to_num(self.impedance_kohm)
        return np.asarray(1e9 * np.sqrt(4 * BOLTZMANN_J_PER_K * BODY_K * ohm))


def draw_channels(model: FrontEndModel, n_channels: int) -> ChannelState:
    """Draw the array's state; equal models and seeds give equal arrays."""
    electrode, aging = model.electrode, model.aging
    rng = np.random.default_rng(np.random.SeedSequence(model.seed, spawn_key=(1,)))
    impedance = np.full(n_channels, electrode.impedance_kohm or np.nan)
    impedance *= (1 + aging.impedance_growth_per_month) ** aging.months
    impedance *= _log_normal(rng, n_channels, np.sqrt(np.log1p(electrode.impedance_cv**2)))
    offset_uv = 1000 * electrode.offset_mv * rng.uniform(-1, 1, n_channels)
    gain = _log_normal(rng, n_channels, aging.gain_log_sd_per_rt_month * np.sqrt(aging.months))
    is_dead = np.argsort(rng.permutation(n_channels)) < round(aging.share_of_dead * n_channels)
    impedance[is_dead & ~np.isnan(impedance)] = OPEN_KOHM
    return ChannelState(impedance, offset_uv, np.where(is_dead, 0.0, gain), is_dead)


def mains_uv(model: FrontEndModel, state: ChannelState) -> F64:
    """Mains between each electrode and the reference, rms (C,) with its sign.

    The amplifier lets common_mode / CMRR through, and the potential divider of electrode and input impedance turns an
    impedance that differs from the reference's into a difference of potentials (Huhta & Webster 1973, IEEE TBME 20:91).
    The reference has the median impedance of the living.
    """
    if model.mains is None:
        return np.zeros(len(state.gain))
    common_uv = 1000 * model.mains.common_mode_mv
    impedance = np.nan_to_num(state.impedance_kohm)
    living = impedance[~state.is_dead] if not state.is_dead.all() else impedance
    mismatch = (impedance - np.median(living)) / (1000 * model.amplifier.input_impedance_mohm)
    return np.asarray(common_uv * (10 ** (-model.amplifier.cmrr_db / 20) + mismatch))


def _log_normal(rng: np.random.Generator, n: int, log_sd: float) -> F64:
    """Factors (n,) of median 1."""
    return np.asarray(np.exp(log_sd * rng.standard_normal(n)))
