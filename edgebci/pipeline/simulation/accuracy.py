"""The parts of a report that say how well was decoded under each condition."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgebci.comparison import Comparison, compare
from edgebci.pipeline.simulation.losses import lost_rows, policies
from edgebci.pipeline.simulation.playing import Degraded, Played
from edgebci.pipeline.simulation.report import Clipping, FormAccuracy, PacketLoss, PolicyLoss
from edgebci.pipeline.simulation.setting import Setting
from edgebci.pipeline.simulation.truth import Truth
from edgebci.recordings.intervals import runs

CLEAN, DEGRADED, UNDISTURBED, LOSSY, OTHER = "clean", "degraded", "undisturbed", "lossy", "other reference"
MARGIN = 0.02
"""Loss in R2 that would be accepted: what the partitions of the budget call the same accuracy."""


def other_reference(setting: Setting) -> str:
    """Without a common reference, or with one where the decoder has none."""
    return "average" if setting.bundle.manifest.features.reference == "none" else "none"


def lost_samples(setting: Setting) -> NDArray[np.bool_]:
    """Which rows of samples are lost, (T,); the conditions name packets."""
    packets = setting.conditions.packets
    assert packets is not None
    return lost_rows(packets, setting.model.rate_hz, setting.n_rows, setting.conditions.seed)


def accuracies(setting: Setting, truth: Truth, played: Mapping[str, Played]) -> tuple[FormAccuracy, ...]:
    """R2 of every condition that was played, on the same frames."""
    reference, other = setting.bundle.manifest.features.reference, other_reference(setting)
    names = {CLEAN: reference, UNDISTURBED: reference, DEGRADED: reference, OTHER: other}
    shown = {OTHER: DEGRADED, UNDISTURBED: "degraded, without events"}
    return tuple(
        FormAccuracy(
            name=shown.get(name, name),
            reference=used,
            r2=truth.r2(played[name]),
            valid_share=float(played[name].valid[truth.counted].mean()),
        )
        for name, used in names.items()
        if name in played
    )


def compared(truth: Truth, played: Mapping[str, Played]) -> Comparison:
    """The degraded against the clean run, paired, with its interval."""
    kept = truth.counted
    candidate, reference = (played[name].held()[kept] for name in (DEGRADED, CLEAN))
    return compare(truth.values[kept], [candidate], reference, truth.rate_hz, MARGIN)


def clipping_of(degraded: Degraded) -> Clipping:
    """How much the implant's converter clipped."""
    shares = degraded.clipped / max(degraded.n_samples, 1)
    return Clipping(
        clipped_share=float(shares.mean()),
        worst_channel_share=float(shares.max()),
        channels_over_1_percent=int((shares > 0.01).sum()),
    )


def packet_loss(setting: Setting, truth: Truth, played: Mapping[str, Played]) -> PacketLoss | None:
    """What lost packets cost under each policy; None where none were asked for."""
    packets, features = setting.conditions.packets, setting.bundle.manifest.features
    if packets is None:
        return None
    lost, whole = lost_samples(setting), truth.r2(played[CLEAN])
    gaps = runs(lost)
    return PacketLoss(
        packets=packets,
        lost_share=float(lost.mean()),
        longest_gap_ms=1000 * float((gaps[:, 1] - gaps[:, 0]).max(initial=0)) / features.rate_hz,
        policies=tuple(
            PolicyLoss(
                policy=name,
                r2=truth.r2(played[name]),
                r2_lost=whole - truth.r2(played[name]),
                valid_share=float(played[name].valid[truth.counted].mean()),
            )
            for name in policies(features)
        ),
    )
