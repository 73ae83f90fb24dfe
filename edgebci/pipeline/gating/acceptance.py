"""`edgebci gate accept`: make a candidate the baseline, and say why."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from pathlib import Path

import edgebci
from edgebci.bundle import MANIFEST
from edgebci.documents import load_json
from edgebci.errors import InputError
from edgebci.files import replacing_folder, sha256
from edgebci.gating_baseline import (
    Acceptance,
    Baseline,
    Kept,
    Measured,
    write_baseline,
    write_predictions,
)
from edgebci.pipeline.gating.candidate import Candidate


def accept(path: Path, candidate: Candidate, why: str, keep_bundle: bool) -> Baseline:
    """Write the baseline and its files; the document goes last, so that half of it is refused and not used.

    Args:
        path: baseline.json.
        candidate: what becomes the baseline.
        why: kept in its history, after those before.
        keep_bundle: also copy the bundle, without which times are not gated.
    """
    stem, folder, history = path.name.removesuffix(".json"), path.parent, _history(path)
    write_predictions(folder / f"{stem}.predictions.h5", candidate.predictions)
    target = folder / f"{stem}.bundle"
    bundle = _copied(candidate.bundle, target) if keep_bundle and candidate.bundle else None
    if bundle is None and (target / MANIFEST).is_file():
        shutil.rmtree(target)
    measured = candidate.measured or _of_predictions(candidate)
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    last = Acceptance(why=why.strip(), accepted_utc=now, bundle_id=measured.bundle_id)
    document = Baseline(
        name=candidate.name,
        edgebci_version=edgebci.__version__,
        measured=measured,
        bundle=bundle,
        predictions=Kept(name=f"{stem}.predictions.h5", sha256=sha256(folder / f"{stem}.predictions.h5")),
        history=(*history, last),
    )
    write_baseline(path, document)
    return document


def _copied(source: Path, target: Path) -> Kept:
    with replacing_folder(target) as fresh:
        shutil.copytree(source, fresh, dirs_exist_ok=True)
    return Kept(name=target.name, sha256=sha256(target / MANIFEST))


def _of_predictions(candidate: Candidate) -> Measured:
    """Predictions alone: their own hash stands where a bundle's would."""
    digest = hashlib.sha256()
    for name, decoded in sorted(candidate.predictions.decoded.items()):
        digest.update(name.encode() + decoded.tobytes())
    return Measured(
        bundle_id=digest.hexdigest(),
        checkpoint_sha256=digest.hexdigest(),
        recording_sha256=None,
        frame_rate_hz=candidate.predictions.rate_hz,
        counters=None,
    )


def _history(path: Path) -> tuple[Acceptance, ...]:
    """Of the baseline that is replaced; one that can't be read has none."""
    try:
        return load_json(path, Baseline).history
    except InputError:
        return ()
