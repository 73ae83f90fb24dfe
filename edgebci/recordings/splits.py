"""Splitting a recording by time."""

from __future__ import annotations

from pydantic import Field, model_validator

from edgebci.documents import Document
from edgebci.errors import InputError


class TimeSplit(Document):
    """Fractions of the time for training, validation and test, in that order, with `gap_s` left out between two.

    The gap keeps what a filter or a smoothed target remembers from leaking across the border.
    """

    train: float = Field(default=0.7, gt=0, lt=1)
    valid: float = Field(default=0.1, gt=0, lt=1)
    test: float = Field(default=0.2, gt=0, lt=1)
    gap_s: float = Field(default=2.0, ge=0)

    @model_validator(mode="after")
    def _fills_the_time(self) -> TimeSplit:
        if abs(self.train + self.valid + self.test - 1.0) > 1e-9:
            raise ValueError(
                f"train + valid + test = {self.train + self.valid + self.test:g}; they are fractions of the time "
                "and must add up to 1"
            )
        return self

    def intervals(self, start_s: float, end_s: float) -> dict[str, tuple[float, float]]:
        """Start and end in seconds of "train", "valid" and "test" within [start_s, end_s).

        Raises:
            InputError: the time is too short for two gaps.
        """
        usable_s = end_s - start_s - 2 * self.gap_s
        if usable_s <= 0:
            raise InputError(
                f"the recording has {end_s - start_s:g} s with LFP and behaviour, too short to split with two gaps of "
                f"{self.gap_s:g} s; give a longer one or a smaller gap_s"
            )
        first = start_s + self.train * usable_s
        second = first + self.gap_s + self.valid * usable_s
        return {
            "train": (start_s, first),
            "valid": (first + self.gap_s, second),
            "test": (second + self.gap_s, end_s),
        }
