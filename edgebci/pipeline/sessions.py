"""Sessions of recordings, prepared once and kept: what multi-session training takes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from edgebci.checkpoint import read_tensors, write_tensors
from edgebci.documents import Document
from edgebci.files import sha256
from edgebci.pipeline.cache import run_stage, source_digest
from edgebci.pipeline.configuration import PreparationConfig
from edgebci.pipeline.preparation import load_prepared, prepare
from edgebci.pipeline.source import obtain, recording_path
from edgebci.progress import Progress, part
from edgebci.recordings import open_recording
from edgebci.session import Session, SpikeEvents

SPIKES_NAME = "spikes.safetensors"
# What a prepared session depends on besides its configuration; a change elsewhere must not cost an hour of synthesis.
_SOURCES = (
    "recordings",
    "synthetic",
    "features",
    "decoding_data.py",
    "pipeline/preparation.py",
    "pipeline/sessions.py",
    "pipeline/source.py",
    "pipeline/split.py",
    "pipeline/target.py",
)


class SpikesHeader(Document):
    """Whose spikes, and of which session."""

    schema_version: Literal["edgebci.spikes/1"] = "edgebci.spikes/1"
    name: str
    subject: str
    n_units: int
    """0 where nothing was sorted."""
    recording: str
    """Name of the file, without its folder."""
    recording_sha256: str


def obtain_session(
    config: PreparationConfig, root: Path, name: str, subject: str | None, progress: Progress
) -> Session:
    """Make or read a recording, compute its frames, and keep both them and its spikes in `root/name`.

    A synthetic recording itself is not kept: its specification makes it again.

    Args:
        config: source, split, features and target.
        root: folder of all sessions.
        name: of the session and of its folder.
        subject: whose it is; None: as the recording says.
        progress: of this session.
    """
    source = config.recording
    identity = config.model_dump_json() + (sha256(source.path) if source.path else "")
    stage = run_stage(
        root,
        name,
        [identity, str(subject)],
        lambda folder: _fill(config, folder, name, subject, progress),
        source_digest(*_SOURCES),
    )
    return load_session(stage.folder)


def load_session(folder: Path) -> Session:
    """Read what `obtain_session` kept."""
    arrays, header = read_tensors(folder / SPIKES_NAME, SpikesHeader)
    spikes = SpikeEvents(arrays["times_s"].astype(np.float64), arrays["unit"].astype(np.int64), header.n_units)
    return Session(header.name, header.subject, load_prepared(folder).data, spikes if header.n_units else None)


def load_source(folder: Path) -> tuple[str, str]:
    """File name and SHA-256 of the recording that `obtain_session` prepared; a synthetic one is gone by now."""
    _, header = read_tensors(folder / SPIKES_NAME, SpikesHeader)
    return header.recording, header.recording_sha256


def _fill(config: PreparationConfig, folder: Path, name: str, subject: str | None, progress: Progress) -> None:
    obtain(config.recording, folder, part(progress, 0.0, 0.5))
    path = recording_path(config.recording, folder)
    prepare(path, config, folder, part(progress, 0.5, 1.0))
    with open_recording(path) as recording:
        spikes, info = recording.spikes(), recording.info
    header = SpikesHeader(
        name=name,
        subject=subject or info.subject_id,
        n_units=spikes.n_units,
        recording=path.name,
        recording_sha256=sha256(path),
    )
    write_tensors(folder / SPIKES_NAME, {"times_s": spikes.times_s, "unit": spikes.unit_index}, header)
    if config.recording.synthetic is not None:
        path.unlink()
