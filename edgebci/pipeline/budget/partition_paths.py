"""The partitions of a comparison, built for a number of channels from the counts of the decoder and the signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from edgebci.firmware_sim.signal_paths import Sends, SignalPath
from edgebci.hardware import Signal, load_profile
from edgebci.pipeline.budget.counts import FEATURE_BITS, OUTPUT_BITS, Counts, decoder_cycles, front_end_cycles
from edgebci.pipeline.budget.cycle_costs import CoreCosts

PartitionName = Literal[
    "broadband",
    "broadband-coded",
    "lfp",
    "lfp-coded",
    "lfp-input-rate",
    "lfp-input-rate-coded",
    "lfp-features",
    "lfp-decoded",
    "sbp",
    "sbp-features",
    "sbp-decoded",
    "spikes-features",
    "spikes-decoded",
]
PARTITIONS: tuple[PartitionName, ...] = get_args(PartitionName)
_SIGNALS = {"broadband": "broadband", "lfp": "lfp", "sbp": "spiking-band-power", "spikes": "spikes"}


@dataclass(frozen=True)
class Ingredients:
    """What partitions are built of: the decoder's counts, the core's costs, and coded bits per sample by signal."""

    counts: Counts
    costs: CoreCosts
    coded_bits: Mapping[str, float]
    """By signal and rate, `broadband`, `lfp`, `lfp-input-rate`, where data was given."""


def sends_of(name: PartitionName) -> Sends:
    """What a partition sends."""
    ending = name.rsplit("-", 1)[-1]
    found: dict[str, Sends] = {"coded": "coded", "features": "features", "decoded": "decoded"}
    return found.get(ending, "samples")


def paths_for(n_channels: int, parts: Ingredients) -> tuple[SignalPath, ...]:
    """Every partition that can be computed: those that are coded only where their data was given."""
    found = (_path(name, n_channels, parts) for name in PARTITIONS)
    return tuple(path for path in found if path.sends != "coded" or path.coded_bits_per_sample is not None)


@cache
def _signal(kind: str) -> Signal:
    return load_profile(Signal, _SIGNALS[kind])


def _path(name: PartitionName, n_channels: int, parts: Ingredients) -> SignalPath:
    kind = name.partition("-")[0]
    signal = _signal(kind)
    # On the implant, LFP is taken at the rate that the decoder was trained at.
    inside = kind == "lfp" and ("input-rate" in name or sends_of(name) in ("features", "decoded"))
    counts = _scaled(parts.counts, n_channels, kind, signal)
    return SignalPath(
        name=name,
        signal=signal,
        sends=sends_of(name),
        n_channels=n_channels,
        rate_hz=parts.counts.rate_hz if inside else signal.rate_hz.typical,
        output_bits=OUTPUT_BITS * counts.n_outputs,
        front_end_cycles=front_end_cycles(counts, parts.costs) if kind == "lfp" else None,
        decoder_cycles=decoder_cycles(counts, parts.costs),
        coder_cycles_per_sample=parts.costs.per_coded_sample,
        coded_bits_per_sample=parts.coded_bits.get(name.removesuffix("-coded")),
    )


def _scaled(counts: Counts, n_channels: int, kind: str, signal: Signal) -> Counts:
    """The decoder for other channels; what is no LFP has features of its own."""
    features = max(1, round(signal.bits_per_frame_and_channel.typical / FEATURE_BITS))
    return counts.with_channels(n_channels, None if kind == "lfp" else features)
