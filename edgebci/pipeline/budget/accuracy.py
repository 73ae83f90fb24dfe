"""How well each partition decodes: measured elsewhere, read from a file, and the rule by which one may be said to win.

Power alone names no winner. Among partitions whose R2 is within 0.02 of the best, the cheapest wins; and decoding on
the implant wins only against the cheapest streaming partition whose R2 is within 0.02 of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgebci.documents import Document, load_toml, nearest
from edgebci.errors import InputError
from edgebci.pipeline.budget.partition_paths import PARTITIONS, PartitionName, sends_of

MARGIN = 0.02


class Measured(Document):
    """R2 of one partition.

    Fields:
        n_channels: that it was measured with; None: it is taken to hold for any number.
        noise_ratio: how much denser the noise may be until R2 is 0.01 lower.
    """

    partition: PartitionName
    r2: float = Field(le=1.0)
    n_channels: int | None = Field(default=None, gt=0)
    noise_ratio: float = Field(default=1.0, ge=1.0)
    source: str = Field(min_length=1)


class Accuracies(Document):
    """A file of measured accuracies."""

    schema_version: Literal["edgebci.partition_accuracy/1"] = Field(alias="schema")
    partitions: tuple[Measured, ...] = Field(min_length=1)


def read_accuracies(path: Path) -> tuple[Measured, ...]:
    """Read the TOML; raises InputError as `load_toml` does."""
    return load_toml(path, Accuracies).partitions


def parse_r2(text: str) -> Measured:
    """Read `lfp-decoded=0.61`; raises InputError where it is not of that form."""
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"the accuracy {text!r} has no value; write it as lfp-decoded=0.61")
    for known in PARTITIONS:
        if known == name:
            return Measured(partition=known, r2=_r2(name, value), source="given on the command line")
    raise InputError(f"no partition {name!r}; {nearest(name, list(PARTITIONS))}")


def _r2(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 2.0
    if not -1e6 < number <= 1.0:
        raise InputError(f"the R2 of {name} is {value!r}; give a number of at most 1")
    return number


def find(measured: Sequence[Measured], partition: str, n_channels: int) -> Measured | None:
    """What was measured for a partition with that many channels, or for any number of them."""
    fitting = [one for one in measured if one.partition == partition and one.n_channels in (None, n_channels)]
    return max(fitting, key=lambda one: one.n_channels or 0, default=None)


@dataclass(frozen=True)
class Contender:
    """A partition that the radio carries, with its typical power and what it decodes."""

    partition: PartitionName
    total_uw: float
    r2: float | None


@dataclass(frozen=True)
class Outcome:
    """The winner and the partition that it is compared with; None with the reason."""

    winner: PartitionName | None
    against: PartitionName | None
    reason: str


def decide(contenders: Sequence[Contender]) -> Outcome:
    """Name a winner where the rule allows one."""
    known = [(one, one.r2) for one in contenders if one.r2 is not None]
    if not known:
        return Outcome(None, None, "no accuracy was given, and power alone names no winner")
    if len(known) < 2:
        return Outcome(None, None, "the R2 of at least two partitions that the link carries is needed")
    best = max(r2 for _, r2 in known)
    ranked = sorted((pair for pair in known if pair[1] >= best - MARGIN), key=lambda pair: pair[0].total_uw)
    first, r2 = ranked[0]
    if sends_of(first.partition) == "decoded":
        return _against_streaming(first, r2, known)
    if len(ranked) == 1:
        return Outcome(first.partition, None, f"no other partition has an R2 within {MARGIN} of its {r2:.3g}")
    return Outcome(first.partition, ranked[1][0].partition, f"the cheapest of those within {MARGIN} of the best R2")


def _against_streaming(decoded: Contender, r2: float, known: Sequence[tuple[Contender, float]]) -> Outcome:
    streaming = [one for one, own in known if sends_of(one.partition) != "decoded" and abs(own - r2) <= MARGIN]
    if not streaming:
        return Outcome(
            None,
            None,
            f"{decoded.partition} is the cheapest, and is not said to win: the link carries no streaming partition "
            f"with an R2 within {MARGIN} of its {r2:.3g}",
        )
    other = min(streaming, key=lambda one: one.total_uw)
    if other.total_uw <= decoded.total_uw:
        return Outcome(other.partition, decoded.partition, f"streams cheaper at an R2 within {MARGIN}")
    return Outcome(decoded.partition, other.partition, f"the cheapest streaming partition within {MARGIN} of its R2")
