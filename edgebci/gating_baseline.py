"""What a decoder is compared with: baseline.json, and beside it the test predictions and, if kept, the bundle.

    baseline.json               this module's `Baseline`: figures, and SHA-256 of the two others
    baseline.predictions.h5     truth of the test part and what every form decoded, `Predictions`
    baseline.bundle/            the bundle; without it times are not gated

A baseline that is missing, older or damaged is refused with the command that makes a new one. Whether a baseline is
authentic, nobody can tell from its files: that is what the repository's review of a change to it is for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgebci.decoding_data import Task
from edgebci.documents import Document, load_json
from edgebci.errors import InputError
from edgebci.files import replacing, sha256, write_text
from edgebci.gating_limits import Counters
from edgebci.metrics import F64

if TYPE_CHECKING:
    import h5py

SCHEMA: Final = "edgebci.baseline/1"
PREDICTIONS_SCHEMA = "edgebci.predictions/1"
SHA = Field(pattern="^[0-9a-f]{64}$")


@dataclass(frozen=True, eq=False)
class Predictions:
    """The test part and what was decoded of it; T scored frames, D axes (in detection one, in [0, 1]).

    Fields:
        truth: (T, D).
        times_s: (T,) in the recording.
        decoded: by artefact, (S, T, D) for S trained seeds.
    """

    task: Task
    rate_hz: float
    axes: tuple[str, ...]
    times_s: F64
    truth: F64
    decoded: Mapping[str, F64]

    def __post_init__(self) -> None:
        wanted = (len(self.times_s), len(self.axes))
        for name, found in {"truth": self.truth[None], **self.decoded}.items():
            if "/" in name or not name:
                raise InputError(f"an artefact is called {name!r}; give it a name without a slash")
            if found.ndim != 3 or found.shape[1:] != wanted or not len(found):
                raise InputError(
                    f"{name} has the shape {found.shape}; with {wanted[0]} frames of {', '.join(self.axes)} it must be "
                    f"(seeds, {wanted[0]}, {wanted[1]}): write all of it from one test part"
                )
            if not np.isfinite(found).all():
                raise InputError(f"{name} holds values that are not finite; a decoder must give a number at each frame")
        if not np.ptp(self.truth, axis=0).all():
            raise InputError("an axis of the truth is constant in the test part; choose a longer test part")

    def same_test_part(self, other: Predictions) -> bool:
        """Whether both decoded the same frames."""
        return (
            (self.task, self.axes) == (other.task, other.axes)
            and np.array_equal(self.times_s, other.times_s)
            and np.array_equal(self.truth, other.truth)
        )


class Kept(Document):
    """A file or folder beside baseline.json."""

    name: str = Field(pattern=r"^[^/\\]+$")
    sha256: str = SHA
    """Of the file; of a bundle, of its manifest, which holds the hashes of all its files."""


class Acceptance(Document):
    """Who reads the history sees why figures were let go."""

    why: str = Field(min_length=1)
    accepted_utc: str
    bundle_id: str


class ImplantFigures(Document):
    """What the simulator says of one implant; all of it is modelled."""

    implant: str
    power_uw: tuple[float, float, float]
    """Low, typical, high."""
    rise_c: tuple[float, float, float] | None
    limit_c: float | None
    latency_us: tuple[float, float, float]
    deadline_us: float


class Measured(Document):
    """The figures of one decoder that a gate compares beside its predictions."""

    bundle_id: str
    checkpoint_sha256: str
    """Of the weights: where they are the same, the test is that of the same weights."""
    recording_sha256: str | None
    frame_rate_hz: float = Field(gt=0)
    counters: Counters | None
    implants: tuple[ImplantFigures, ...] = ()


class Baseline(Document):
    """baseline.json."""

    schema_version: Literal["edgebci.baseline/1"] = SCHEMA
    name: str
    edgebci_version: str
    measured: Measured
    bundle: Kept | None
    predictions: Kept
    history: tuple[Acceptance, ...] = Field(min_length=1)
    """Every acceptance, the last one last."""


@dataclass(frozen=True)
class OpenedBaseline:
    """A baseline whose files are what it says."""

    path: Path
    document: Baseline
    predictions: Predictions

    @property
    def bundle_folder(self) -> Path | None:
        """Where the old bundle lies; None where it was not kept."""
        kept = self.document.bundle
        folder = self.path.parent / kept.name if kept else None
        return folder if folder and folder.is_dir() else None


def open_baseline(path: Path, command: str) -> OpenedBaseline:
    """Read a baseline and compare its files with their hashes.

    Args:
        path: baseline.json.
        command: what makes a new one, for the message.

    Raises:
        InputError: it is missing, older or damaged.
    """
    try:
        document = _read(path)
        _require(path.parent / document.predictions.name, document.predictions.sha256, "the predictions")
        predictions = read_predictions(path.parent / document.predictions.name)
        opened = OpenedBaseline(path, document, predictions)
        if document.bundle and opened.bundle_folder:
            _require(opened.bundle_folder / "manifest.json", document.bundle.sha256, "the bundle's manifest")
    except InputError as error:
        raise InputError(f"{error}; nothing is compared with a baseline like that: {command}") from error
    return opened


def write_baseline(path: Path, document: Baseline) -> None:
    """Write baseline.json; its files lie there already."""
    write_text(path, document.model_dump_json(indent=2) + "\n")


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write the HDF5 file; the same predictions give the same bytes."""
    import h5py

    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["schema"] = PREDICTIONS_SCHEMA
        file.attrs["task"] = predictions.task
        file.attrs["rate_hz"] = predictions.rate_hz
        file.attrs["axes"] = json.dumps(predictions.axes)
        _write(file, "times_s", predictions.times_s)
        _write(file, "truth", predictions.truth)
        for name, decoded in predictions.decoded.items():
            single = decoded.astype(np.float32)
            # Half the size where nothing is lost: what a decoder gave must come back bit for bit.
            _write(file, f"decoded/{name}", single if np.array_equal(single, decoded) else decoded)


def read_predictions(path: Path) -> Predictions:
    """Read the HDF5 file.

    Raises:
        InputError: it is missing, is none, or does not fit together.
    """
    import h5py

    if not path.is_file():
        raise InputError(f"no file {path}; write test truth and predictions as edgebci.predictions/1")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("schema") != PREDICTIONS_SCHEMA:
                raise InputError(f"{path} says it is {file.attrs.get('schema')!r} where {PREDICTIONS_SCHEMA!r} is read")
            return Predictions(
                task=_task(str(file.attrs["task"]), path),
                rate_hz=float(file.attrs["rate_hz"]),
                axes=tuple(json.loads(file.attrs["axes"])),
                times_s=np.asarray(file["times_s"], np.float64),
                truth=np.asarray(file["truth"], np.float64),
                decoded={name: np.asarray(found, np.float64) for name, found in file["decoded"].items()},
            )
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} can't be read as predictions ({error}); write it again") from error


def _task(text: str, path: Path) -> Task:
    if text not in ("regression", "detection"):
        raise InputError(f"{path} holds the task {text!r}; allowed are regression and detection: write it again")
    return "regression" if text == "regression" else "detection"


def _write(file: h5py.File, name: str, values: NDArray[np.floating]) -> None:
    # Times of creation would make equal content differ.
    file.create_dataset(name, data=values, compression="gzip", shuffle=True, track_times=False)


def _read(path: Path) -> Baseline:
    if not path.is_file():
        raise InputError(f"there is no baseline {path}")
    try:
        schema = json.loads(path.read_text(encoding="utf-8")).get("schema_version")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is no JSON of a baseline ({error})") from error
    if schema != SCHEMA:
        raise InputError(f"{path} is of the schema {schema!r}, and this edgebci reads {SCHEMA!r}")
    return load_json(path, Baseline)


def _require(path: Path, expected: str, what: str) -> None:
    if not path.is_file():
        raise InputError(f"{what} {path} of the baseline is missing")
    if sha256(path) != expected:
        raise InputError(f"{what} {path} is not the one that the baseline names: its SHA-256 differs")
