"""The integer path against its own docstring, written out row by row in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebci.arithmetic import I32
from edgebci.errors import InputError
from edgebci.features.cases import case_names, front_end_case
from edgebci.features.coefficients import IntegerPath, integer_path
from edgebci.features.conditioning import Conditioned, Conditioner
from edgebci.features.front_end import Bool
from edgebci.features.specification import Adc, Band, FeatureSpec, Missing


@dataclass
class PlainConditioner:
    """One channel, one row, one branch at a time."""

    path: IntegerPath
    missing_run: int = 0
    reset_due: bool = False
    flagged: int = 0
    frames: int = 0
    offset: dict[int, int] = field(default_factory=dict)
    held: dict[int, int] = field(default_factory=dict)

    def run(self, counts: I32, missing: Bool) -> tuple[list[list[int]], list[tuple[bool, bool, bool]]]:
        steps, flags = [], []
        d = self.path.samples_per_frame
        reset_before = False
        for t in range(len(counts) - len(counts) % d):
            if t % d == 0:
                reset_before = self.reset_due
                if self.reset_due:
                    self.offset, self.held, self.frames, self.reset_due = {}, {}, 0, False
            steps.append(self.row(counts[t], bool(missing[t])))
            if t % d == d - 1:
                self.frames += 1
                artefact = self.flagged > self.path.flagged_limit
                flags.append((self.frames > self.path.startup_frames and not artefact, artefact, reset_before))
                self.flagged = 0
        return steps, flags

    def row(self, counts: I32, missing: bool) -> list[int]:
        for c in self.path.good.tolist():
            count = int(counts[c])
            if missing:
                self.flagged += 1
                if not self.path.hold:
                    self.held[c] = 0
            elif count in (self.path.lowest_count, self.path.highest_count):
                self.flagged += 1
            else:
                self.held[c] = count - self.offset.setdefault(c, count)
        self.missing_run = self.missing_run + 1 if missing else 0
        self.reset_due |= self.missing_run >= self.path.reset_after_samples
        values = [self.held.get(c, 0) for c in self.path.good.tolist()]
        return [self.path.multiplier * value - self.reference(values) for value in values]

    def reference(self, values: list[int]) -> int:
        ranked = sorted(values)
        middle = ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]
        return {"average": sum(values), "median": middle, "none": 0}[self.path.reference]


def in_portions(path: IntegerPath, counts: I32, missing: Bool, cuts: list[int]) -> Conditioned:
    conditioner = Conditioner(path)
    edges = [0, *sorted(cuts), len(counts)]
    parts = [conditioner.push(counts[a:b], missing[a:b]) for a, b in pairwise(edges)]
    names = ("steps", "valid", "artefact", "reset_before")
    return Conditioned(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def assert_same(got: Conditioned, steps: list[list[int]], flags: list[tuple[bool, bool, bool]]) -> None:
    assert got.steps.dtype == np.int32
    assert got.steps.reshape(-1, got.steps.shape[2]).tolist() == steps
    assert list(zip(got.valid, got.artefact, got.reset_before, strict=True)) == flags


@pytest.mark.parametrize("name", case_names())
def test_every_case_follows_the_rules_row_by_row(name: str) -> None:
    case = front_end_case(name)
    path = integer_path(case.front_end.spec, case.front_end.good_channels)
    counts = case.counts.astype(np.int32)
    got = in_portions(path, counts, case.missing, [])
    assert len(got.valid) == len(counts) // path.samples_per_frame
    assert_same(got, *PlainConditioner(path).run(counts, case.missing))


@settings(max_examples=60)
@given(data=st.data())
def test_any_stream_in_any_portions_follows_the_rules_row_by_row(data: st.DataObject) -> None:
    """Four-bit counts, so that rails are common; gaps and resets are common too."""
    n_rows = data.draw(st.integers(0, 60))
    n_channels = data.draw(st.integers(1, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    good = rng.random(n_channels) < 0.8
    good[data.draw(st.integers(0, n_channels - 1))] = True
    spec = FeatureSpec(
        rate_hz=100,
        frame_rate_hz=100 / data.draw(st.integers(1, 7)),
        bands=(Band(low_hz=5, high_hz=20),),
        adc=Adc(bits=4),
        reference=data.draw(st.sampled_from(["average", "median", "none"])),
        missing=Missing(policy=data.draw(st.sampled_from(["hold", "zero"])), reset_after_s=0.05),
        invalid_fraction=data.draw(st.sampled_from([0.0, 0.3])),
        startup_s=0.1,
    )
    counts = rng.integers(-8, 8, size=(n_rows, n_channels), dtype=np.int32)
    # Runs of missing rows, some long enough for a reset.
    missing = np.repeat(rng.random(n_rows) < 0.3, rng.integers(1, 9, size=n_rows))[:n_rows]
    cuts = data.draw(st.lists(st.integers(0, n_rows), max_size=8))
    path = integer_path(spec, good)
    assert_same(in_portions(path, counts, missing, cuts), *PlainConditioner(path).run(counts, missing))


def test_the_reference_is_exact_at_full_scale() -> None:
    """One channel goes from rail to rail against all others: the largest integers that 64 channels of 24 bits give."""
    spec = FeatureSpec(rate_hz=100, bands=(Band(low_hz=5, high_hz=20),), adc=Adc(bits=24))
    lowest, highest = spec.adc.lowest_count + 1, spec.adc.highest_count - 1
    counts = np.full((2, 64), highest, dtype=np.int32)
    counts[1] = lowest
    counts[:, 0] = lowest, highest
    path = integer_path(spec, np.ones(64, dtype=bool))
    steps = Conditioner(path).push(counts).steps
    difference = [int(value) for value in counts[1].astype(np.int64) - counts[0]]
    assert steps[0, 1].tolist() == [64 * value - sum(difference) for value in difference]
    assert steps.max() > 2**31 - 2**26


def test_more_channels_than_32_bits_can_average_are_refused() -> None:
    spec = FeatureSpec(rate_hz=100, bands=(Band(low_hz=5, high_hz=20),), adc=Adc(bits=24))
    with pytest.raises(InputError, match=r"65 channels of 24 bits overflow .* at most 64 channels"):
        integer_path(spec, np.ones(65, dtype=bool))
    median = spec.model_copy(update={"reference": "median"})
    assert integer_path(median, np.ones(65, dtype=bool)).multiplier == 2


def test_no_good_channel_is_refused() -> None:
    spec = FeatureSpec(rate_hz=100, bands=(Band(low_hz=5, high_hz=20),))
    with pytest.raises(InputError, match="none of the 3 channels is good"):
        integer_path(spec, np.zeros(3, dtype=bool))
