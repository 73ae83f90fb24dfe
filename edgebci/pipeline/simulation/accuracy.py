"""The parts of a report that say how well was decoded under each condition."""

from __future__ import annotations

from collections.abc import Mapping

from edgebci.comparison import Comparison, compare
from edgebci.pipeline.simulation.device_side import Device
from edgebci.pipeline.simulation.losses import Losses, policies
from edgebci.pipeline.simulation.playing import Degraded, Played
from edgebci.pipeline.simulation.report import Clipping, FormAccuracy, OutputLoss, PacketLoss, PolicyLoss
from edgebci.pipeline.simulation.setting import Setting
from edgebci.pipeline.simulation.truth import Truth
from edgebci.recordings.intervals import runs

CLEAN, DEGRADED, UNDISTURBED, LOSSY, OTHER = "clean", "degraded", "undisturbed", "lossy", "other reference"
HELD, HELD_UNDISTURBED = "held statistics", "held statistics, undisturbed"
"""Of a decoder whose normalisation learns nothing, with the events and without."""
MARGIN = 0.02
"""Loss in R2 that would be accepted: what the partitions of the budget call the same accuracy."""


def other_reference(setting: Setting) -> str:
    """Without a common reference, or with one where the decoder has none."""
    return "average" if setting.bundle.manifest.features.reference == "none" else "none"


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


def whole_name(policy: str) -> str:
    """The same program on the same recording, nothing lost: it may have been generated anew, by another version."""
    return f"{policy}, nothing lost"


def packet_loss(
    setting: Setting, losses: Losses | None, truth: Truth, played: Mapping[str, Played]
) -> PacketLoss | None:
    """What lost packets cost under each policy; None where nothing says which are lost."""
    if losses is None:
        return None
    features = setting.bundle.manifest.features
    gaps = runs(losses.rows)
    gaps_ms = 1000 * (gaps[:, 1] - gaps[:, 0]) / features.rate_hz
    return PacketLoss(
        origin=losses.origin,
        packets=losses.packets,
        lost_share=float(losses.rows.mean()),
        longest_gap_ms=float(gaps_ms.max(initial=0)),
        mean_gap_ms=float(gaps_ms.mean()) if len(gaps_ms) else 0.0,
        policies=tuple(
            PolicyLoss(
                policy=name,
                r2=truth.r2(played[name]),
                r2_lost=truth.r2(played[whole_name(name)]) - truth.r2(played[name]),
                valid_share=float(played[name].valid[truth.counted].mean()),
            )
            for name in policies(features)
        ),
    )


def output_loss(device: Device | None, truth: Truth, decoded: Played) -> OutputLoss | None:
    """What outputs cost that the radio did not bring in time; None without a radio."""
    if device is None:
        return None
    received = Played(decoded.outputs, decoded.valid & device.arrived[: len(decoded.valid)])
    return OutputLoss(
        lost_share=float(1 - device.arrived.mean()),
        r2=truth.r2(received),
        r2_lost=truth.r2(decoded) - truth.r2(received),
    )
