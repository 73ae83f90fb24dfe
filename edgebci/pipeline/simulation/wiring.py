"""What is played in a simulation: which front ends hear the recording, and which decoders listen to each."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

from edgebci.pipeline.simulation import forms
from edgebci.pipeline.simulation.accuracy import (
    CLEAN,
    DEGRADED,
    HELD,
    HELD_UNDISTURBED,
    LOSSY,
    OTHER,
    UNDISTURBED,
    other_reference,
    whole_name,
)
from edgebci.pipeline.simulation.losses import Losses, policies
from edgebci.pipeline.simulation.playing import Lossy, Route, Source
from edgebci.pipeline.simulation.setting import Setting


@dataclass(frozen=True)
class Variants:
    """Libraries: of the shipped decoder, with another reference, with held statistics (None: it has no others), and by
    the name of each policy.
    """

    shipped: Path
    other_reference: Path
    held: Path | None
    policies: Mapping[str, Path]


def variants_of(setting: Setting, shipped: Future[Path], pool: Executor) -> Variants:
    """Compile every decoder that may be played, in `pool`, `shipped` apart."""
    bundle, folder = setting.bundle, setting.folder
    features = bundle.manifest.features
    named = policies(features)
    # The policy that the decoder was made with is in the C that ships.
    others = {
        name: pool.submit(forms.with_policy, bundle, policy, folder, f"policy_{i}")
        for i, (name, policy) in enumerate(named.items())
        if policy != features.missing
    }
    learns = setting.model.events and features.normalization.mode == "running"
    held = pool.submit(forms.with_held_statistics, bundle, folder) if learns else None
    # Last, and here: it looks at a minute of the recording while the others compile.
    reference = forms.with_reference(bundle, other_reference(setting), setting.recording, setting.clean(), folder)
    return Variants(
        shipped=shipped.result(),
        other_reference=reference,
        held=held.result() if held else None,
        policies={name: others.get(name, shipped).result() for name in named},
    )


def wiring(setting: Setting, losses: Losses | None, variants: Variants) -> tuple[dict[str, Source], dict[str, Route]]:
    """What is played but for the degraded source, and the decoders that listen."""
    shipped, sources = variants.shipped, dict[str, Source]({CLEAN: setting.clean()})
    routes = {name: Route(name, shipped) for name in (CLEAN, DEGRADED)}
    routes[OTHER] = Route(DEGRADED, variants.other_reference)
    if setting.model.events:
        sources[UNDISTURBED] = setting.degraded(setting.model.model_copy(update={"events": ()}))
        routes[UNDISTURBED] = Route(UNDISTURBED, shipped)
    if variants.held:
        routes |= {HELD: Route(DEGRADED, variants.held), HELD_UNDISTURBED: Route(UNDISTURBED, variants.held)}
    if losses is not None:
        received = LOSSY if losses.rows.any() else CLEAN
        if received == LOSSY:
            sources[LOSSY] = Lossy(setting.clean(), losses.rows)
        for name, program in variants.policies.items():
            routes |= {name: Route(received, program), whole_name(name): Route(CLEAN, program)}
    return sources, routes
