"""What a decoder learns from and is scored on: normalised frames, targets, and the intervals that each may see."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgebci.errors import InputError

Floats = npt.NDArray[np.float32]
Booleans = npt.NDArray[np.bool_]
Interval = tuple[int, int]
"""Frames [start, stop)."""
Part = Literal["train", "validation", "test"]
Task = Literal["regression", "detection"]
"""Follow a quantity, or say at each moment whether an event is under way."""


@dataclass(frozen=True, eq=False)
class DecodingData:
    """One recording, ready for decoders. Frame k may be used from `times_s[k]` on; `targets[k]` belongs to that time.

    Raises:
        InputError: shapes disagree, a frame or a target that would be used is not finite, intervals overlap or leave
            the recording, or there is nothing to train on.
    """

    frames: Floats
    """Normalised features (K, F)."""
    targets: Floats
    """Behaviour in its own unit (K, D); 1 inside an event and 0 outside where the task is detection."""
    valid: Booleans
    """Frames to learn from and to score (K,): False during start-up and artefacts."""
    times_s: npt.NDArray[np.float64]
    """When each frame is finished (K,)."""
    train: tuple[Interval, ...]
    validation: tuple[Interval, ...]
    test: tuple[Interval, ...]
    target_names: tuple[str, ...]
    target_unit: str
    """Of what is decoded: in detection, log odds."""
    feature_channels: npt.NDArray[np.int64] | None = None
    """Channel of each feature (F,), so that augmentation drops whole channels; None: each feature is its own."""
    reset_before: Booleans | None = None
    """Frames (K,) before which the front end began anew, and with it the decoder's state; None: none."""
    task: Task = "regression"

    def __post_init__(self) -> None:
        self._check_shapes()
        self._check_intervals()
        self._check_values()

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second."""
        return float(1 / np.median(np.diff(self.times_s)))

    def intervals(self, part: Part) -> tuple[Interval, ...]:
        """The intervals of one part."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]

    def rows(self, part: Part) -> npt.NDArray[np.int64]:
        """Indices of the valid frames of one part, in order."""
        ranges = [np.arange(start, stop) for start, stop in self.intervals(part)]
        indices = np.concatenate([*ranges, np.empty(0, dtype=np.int64)]).astype(np.int64)
        return indices[self.valid[indices]]

    def segments(self, start: int, stop: int) -> Iterator[Interval]:
        """Cut frames [start, stop) where the front end began anew."""
        resets = np.zeros(0, dtype=int) if self.reset_before is None else np.flatnonzero(self.reset_before)
        edges = [start, *(int(k) for k in resets if start < k < stop), stop]
        yield from itertools.pairwise(edges)

    def fingerprint(self, *parts: Part) -> str:
        """SHA-256 of everything that a learner sees of these parts."""
        task = "" if self.task == "regression" else self.task
        digest = hashlib.sha256(f"{parts} {self.target_names} {self.target_unit}{task}".encode())
        for part in parts:
            for start, stop in self.intervals(part):
                digest.update(f"{start} {stop}".encode())
                for array in self._arrays():
                    digest.update(np.ascontiguousarray(array[start:stop]).tobytes())
        return digest.hexdigest()

    def _arrays(self) -> list[npt.NDArray[Any]]:
        arrays: list[npt.NDArray[Any]] = [self.frames, self.targets, self.valid, self.times_s]
        return arrays if self.reset_before is None else [*arrays, self.reset_before]

    def _check_shapes(self) -> None:
        count, n_features = self.frames.shape
        optional = {"reset_before": (self.reset_before, count), "feature_channels": (self.feature_channels, n_features)}
        lengths = {name: (len(array), wanted) for name, (array, wanted) in optional.items() if array is not None}
        lengths |= {name: (len(getattr(self, name)), count) for name in ("targets", "valid", "times_s")}
        for name, (found, wanted) in lengths.items():
            if found != wanted:
                raise InputError(f"{name} has {found} entries where {wanted} belong; give one for each")
        if self.targets.shape[1] != len(self.target_names):
            raise InputError(f"{self.targets.shape[1]} target axes but {len(self.target_names)} names; name each axis")

    def _check_intervals(self) -> None:
        previous_stop = 0
        for start, stop in sorted((*self.train, *self.validation, *self.test)):
            if not previous_stop <= start < stop <= len(self.frames):
                raise InputError(
                    f"the interval of frames [{start}, {stop}) is empty, overlaps another or leaves the "
                    f"{len(self.frames)} frames; give disjoint intervals inside the recording"
                )
            previous_stop = stop

    def _check_values(self) -> None:
        broken = np.flatnonzero(~np.isfinite(self.frames).all(axis=1))
        if len(broken):
            raise InputError(
                f"frame {broken[0]} at {self.times_s[broken[0]]:.2f} s holds NaN or infinity, {len(broken)} frames do; "
                "mark missing samples as missing before the features are computed"
            )
        for part in ("train", "validation", "test"):
            rows = self.rows(part)
            broken = rows[~np.isfinite(self.targets[rows]).all(axis=1)]
            if len(broken):
                raise InputError(
                    f"the target at {self.times_s[broken[0]]:.2f} s holds NaN or infinity ({len(broken)} frames of "
                    f"the {part} intervals do); shorten the intervals or mark those frames as not valid"
                )
            if self.task == "detection" and not np.isin(self.targets[rows], (0, 1)).all():
                raise InputError("a target of detection is neither 0 nor 1; give 1 inside events and 0 outside")
