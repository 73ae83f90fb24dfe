"""The shipped decoder compiled for this machine, and the same decoder with another reference or policy.

The first is the bundle's own C. The others are generated anew from the bundle's graph with kernels for this machine's
vectors: the shipped decoder to be played several times as fast, bit for bit the same, and decoders that nobody ships,
which answer what a choice of the feature specification is worth.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path

from edgebci.bundle import Bundle, open_bundle
from edgebci.errors import InputError
from edgebci.export.c_generator import generate
from edgebci.export.host_kernels import put_vector_kernels
from edgebci.features.fitting import fit_front_end
from edgebci.features.front_end import FrontEnd
from edgebci.features.specification import FeatureSpec, Missing
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.toolchain import compile_host
from edgebci.pipeline.bundle_kinds import manifest_of
from edgebci.pipeline.device import first_difference
from edgebci.pipeline.simulation.playing import Portion, Source, chunks
from edgebci.recordings import Recording

FITTED_S = 60.0
"""Of the clean recording, for the statistics of a front end with another reference; from there it follows itself."""


def bundle_with_program(folder: Path) -> Bundle:
    """Open a bundle that takes LFP and holds C; raises InputError for any other."""
    kind, _ = manifest_of(folder)
    if kind != "frames":
        raise InputError(f"{folder} takes {kind}, not the samples of a recording; give a bundle that decodes LFP")
    bundle = open_bundle(folder)
    if not bundle.firmware.is_dir():
        raise InputError(
            f"{folder} was exported for {bundle.manifest.target} and holds no C to play the recording through; export "
            "it for a core or for host"
        )
    return bundle


def shipped(bundle: Bundle, folder: Path) -> Path:
    """The library of the bundle's own C."""
    return compile_host(bundle.firmware, folder / "shipped.so")


@dataclass(frozen=True)
class Programs:
    """shipped: the library of the bundle's own C. played: the same decoder with vector kernels, or the former."""

    shipped: Future[Path]
    played: Future[Path]


def compiled(bundle: Bundle, folder: Path, portion: Portion, pool: Executor) -> Programs:
    """Compile both in `pool`; where the other, generated anew, differs on these samples, the shipped C is played."""
    own = pool.submit(shipped, bundle, folder)
    return Programs(own, pool.submit(_played, bundle, folder, own, portion))


def _played(bundle: Bundle, folder: Path, own: Future[Path], portion: Portion) -> Path:
    vectors = _generated(bundle, bundle.front_end(), folder, "vectors")
    return vectors if _are_alike(own.result(), vectors, portion) else own.result()


def _are_alike(library: Path, other: Path, portion: Portion) -> bool:
    one, two = (HostTwin(path).run(*portion) for path in (library, other))
    pairs = (one.outputs, two.outputs), (one.valid, two.valid), (one.features, two.features)
    return all(first_difference(*pair) is None for pair in pairs)


def with_policy(bundle: Bundle, missing: Missing, folder: Path, name: str) -> Path:
    """The library of the decoder with another policy for missing samples; statistics stay."""
    front_end = bundle.front_end()
    spec = front_end.spec.model_copy(update={"missing": missing})
    return _generated(bundle, replace(front_end, spec=spec), folder, name)


def with_held_statistics(bundle: Bundle, folder: Path) -> Path:
    """The library of the decoder whose normalisation stays at the statistics that it was exported with."""
    front_end = bundle.front_end()
    held = front_end.spec.normalization.model_copy(update={"mode": "frozen"})
    spec = front_end.spec.model_copy(update={"normalization": held})
    return _generated(bundle, replace(front_end, spec=spec), folder, "held_statistics")


def with_reference(bundle: Bundle, reference: str, recording: Recording, source: Source, folder: Path) -> Path:
    """The library of the decoder with another reference, its statistics fitted to the first minute of `source`.

    Raises:
        InputError: the recording has no valid frame in its first minute.
    """
    shipped_front_end = bundle.front_end()
    spec = shipped_front_end.spec.model_copy(update={"reference": reference})
    fitted = _fitted(spec, shipped_front_end, recording, source)
    return _generated(bundle, fitted, folder, f"reference_{reference}")


def _fitted(spec: FeatureSpec, shipped_front_end: FrontEnd, recording: Recording, source: Source) -> FrontEnd:
    portions: list[Portion] = [source.push(lfp_uv) for _, lfp_uv in chunks(recording, FITTED_S)]

    def again() -> Iterator[Portion]:
        yield from portions

    fitted = fit_front_end(spec, again)
    # The decoder knows the channels that it was trained on, whatever this minute shows.
    return replace(fitted, good_channels=shipped_front_end.good_channels)


def _generated(bundle: Bundle, front_end: FrontEnd, folder: Path, name: str) -> Path:
    generate(bundle.shipped_onnx, front_end, folder / name, "host", form=bundle.manifest.front_end)
    put_vector_kernels(folder / name)
    return compile_host(folder / name, folder / f"{name}.so")
