"""Streams: any portions give the same bits, nothing looks ahead, and float32 follows float64 on every case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgebci.features.cases import FrontEndCase, case_names, front_end_case
from edgebci.features.device import DeviceFrontEnd
from edgebci.features.front_end import Bool
from edgebci.features.specification import Counts
from edgebci.features.stream import FeatureStream, Normalizer


@dataclass(frozen=True)
class Run:
    """What either reference gives, as one array per thing."""

    z: NDArray[np.floating]
    features: NDArray[np.floating]
    flags: NDArray[np.bool_]


Push = Callable[[Counts, Bool], Run]


def float64_reference(case: FrontEndCase) -> Push:
    stream = FeatureStream(case.front_end.spec, case.front_end.good_channels)
    normalizer = Normalizer(case.front_end)

    def push(counts: Counts, missing: Bool) -> Run:
        frames = stream.push(counts, missing)
        flags = np.stack([frames.valid, frames.artefact, frames.reset_before], axis=1)
        return Run(normalizer.push(frames), frames.features, flags)

    return push


def device_reference(case: FrontEndCase) -> Push:
    device = DeviceFrontEnd(case.front_end)

    def push(counts: Counts, missing: Bool) -> Run:
        frames = device.push(counts, missing)
        flags = np.stack([frames.valid, frames.artefact, frames.reset_before], axis=1)
        return Run(frames.z, frames.features, flags)

    return push


REFERENCES = pytest.mark.parametrize("reference", [float64_reference, device_reference])


def run(push: Push, case: FrontEndCase, edges: list[int]) -> Run:
    parts = [push(case.counts[a:b], case.missing[a:b]) for a, b in pairwise(edges)]
    return Run(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("z", "features", "flags")))


def shortened(name: str, start: int, stop: int) -> FrontEndCase:
    case = front_end_case(name)
    return FrontEndCase(name, case.front_end, case.counts[start:stop], case.missing[start:stop])


def assert_same_bits(a: Run, b: Run) -> None:
    for name in ("z", "features", "flags"):
        left, right = getattr(a, name), getattr(b, name)
        assert left.dtype == right.dtype
        assert left.tobytes() == right.tobytes(), f"{name} differs first in frame {first_difference(left, right)}"


def first_difference(a: NDArray[np.generic], b: NDArray[np.generic]) -> int:
    return int(np.flatnonzero((a != b).any(axis=1))[0]) if a.shape == b.shape else -1


@REFERENCES
@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 500), max_size=12))
def test_stream_is_the_same_for_any_portions(reference: Callable[[FrontEndCase], Push], cuts: list[int]) -> None:
    """Rows 600 to 1100 hold a gap that resets, so portions end within gaps, frames and start-up."""
    case = shortened("gap_that_resets_zeroed", 600, 1100)
    whole = run(reference(case), case, [0, 500])
    assert whole.flags[:, 2].any()
    assert_same_bits(run(reference(case), case, [0, *sorted(cuts), 500]), whole)


@REFERENCES
@pytest.mark.parametrize("name", ["clean", "saturated_across_a_gap", "median_of_an_odd_number"])
def test_one_row_at_a_time_is_the_same_as_all_at_once(reference: Callable[[FrontEndCase], Push], name: str) -> None:
    case = shortened(name, 500, 800)
    assert_same_bits(run(reference(case), case, list(range(301))), run(reference(case), case, [0, 300]))


def test_blocks_inside_the_float64_reference_do_not_show() -> None:
    """Longer than a block, so that one push is several blocks inside."""
    case = front_end_case("clean")
    long = np.concatenate([case.counts] * 8)
    whole = FeatureStream(case.front_end.spec, case.front_end.good_channels).push(long)
    stream = FeatureStream(case.front_end.spec, case.front_end.good_channels)
    parts = [stream.push(long[start : start + 1777]).features for start in range(0, len(long), 1777)]
    assert np.concatenate(parts).tobytes() == whole.features.tobytes()


@REFERENCES
@settings(max_examples=10)
@given(row=st.integers(200, 499), channel=st.integers(0, 9))
def test_a_sample_changes_nothing_before_its_time(
    reference: Callable[[FrontEndCase], Push], row: int, channel: int
) -> None:
    """One sample moves by 1 mV: frames that ended before it keep every bit, its own frame changes."""
    case = shortened("clean", 0, 500)
    counts = case.counts.copy()
    counts[row, channel] += 5000
    before = run(reference(case), case, [0, 500])
    after = run(reference(case), FrontEndCase(case.name, case.front_end, counts, case.missing), [0, 500])
    frame = row // case.front_end.spec.samples_per_frame
    assert before.z[:frame].tobytes() == after.z[:frame].tobytes()
    assert before.features[:frame].tobytes() == after.features[:frame].tobytes()
    assert (before.features[frame] != after.features[frame]).any()


@REFERENCES
def test_a_frame_is_given_with_its_last_sample_and_never_revised(reference: Callable[[FrontEndCase], Push]) -> None:
    """So a frame cannot hold anything later than its time, the timestamp of sample (k + 1) * D - 1."""
    case = shortened("clean", 0, 300)
    push, d = reference(case), case.front_end.spec.samples_per_frame
    rows = [push(case.counts[t : t + 1], case.missing[t : t + 1]) for t in range(300)]
    assert [len(part.z) for part in rows] == [int(t % d == d - 1) for t in range(300)]
    online = np.concatenate([part.z for part in rows])
    assert online.tobytes() == run(reference(case), case, [0, 300]).z.tobytes()


@pytest.mark.parametrize("name", case_names())
def test_float32_follows_float64_on_every_case(name: str) -> None:
    case = front_end_case(name)
    exact = run(float64_reference(case), case, [0, len(case.counts)])
    device = run(device_reference(case), case, [0, len(case.counts)])
    assert device.z.dtype == np.float32
    assert (exact.flags == device.flags).all()
    # -60 dB: 1e-3 of a signal in uV is 2e-3 in the logarithm of its power; a low-pass is compared to its largest value.
    scale = np.maximum(1.0, np.abs(exact.features).max(axis=0) / 2.0)
    assert (np.abs(exact.features - device.features) <= 2e-3 * scale).all()
    # z is in standard deviations; 1e-3 of one is a hundredth of the decoder's int8 step.
    assert np.abs(exact.z - device.z).max() < 1e-3
    assert np.isfinite(device.z).all()
