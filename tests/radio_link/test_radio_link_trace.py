"""Traces of lost packets: their share, their bursts, and that a seed is a trace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebci.errors import InputError
from edgebci.firmware_sim.radio_link_trace import BurstChannel, burst_trace, channel_trace, missing_rows


def _bursts(lost: np.ndarray) -> np.ndarray:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(int), [0]])))
    return edges[1::2] - edges[::2]


@pytest.mark.parametrize(("share", "burst"), [(0.01, 1.2), (0.05, 4.0), (0.3, 10.0)])
def test_a_burst_trace_loses_its_share_in_bursts_of_its_length(share: float, burst: float) -> None:
    lost = burst_trace(share, burst, 400_000, seed=3).lost
    # Some 3,000 bursts or more, each of which varies about as much as its mean: 5 standard errors are under 10 %.
    assert lost.mean() == pytest.approx(share, rel=0.1)
    assert _bursts(lost).mean() == pytest.approx(burst, rel=0.1)


def test_a_trace_belongs_to_its_seed() -> None:
    first, again, other = (burst_trace(0.1, 3.0, 2_000, seed).lost for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_loss_loses_nothing_and_a_short_trace_is_as_long_as_asked() -> None:
    assert not burst_trace(0.0, 5.0, 100, seed=1).lost.any()
    assert len(burst_trace(0.5, 2.0, 3, seed=1).lost) == 3


@pytest.mark.parametrize(("share", "burst"), [(1.0, 5.0), (-0.1, 5.0), (0.5, 1.5)])
def test_a_channel_that_cannot_be_is_refused(share: float, burst: float) -> None:
    with pytest.raises(InputError, match="give"):
        burst_trace(share, burst, 10, seed=0)


def test_bad_times_take_their_share_and_last_as_long_as_they_should() -> None:
    channel = BurstChannel(good_loss=0.001, bad_loss=0.6, bad_share=0.1, bad_s=0.2)
    trace = channel_trace(channel, 200_000, packet_period_s=0.01, seed=9)
    # 2,000 s hold 1,000 bad times; 4 standard errors of a sum of exponential stays are some 18 %.
    assert trace.bad.mean() == pytest.approx(0.1, rel=0.18)
    assert _bursts(trace.bad).mean() * 0.01 == pytest.approx(0.2, rel=0.18)
    assert trace.lost[trace.bad].mean() == pytest.approx(0.6, rel=0.05)
    assert trace.lost.mean() == pytest.approx(channel.loss_share, rel=0.18)


@given(st.integers(1, 50), st.integers(1, 400), st.integers(0, 100))
def test_missing_rows_are_the_rows_of_lost_packets(rows_per_packet: int, n_rows: int, seed: int) -> None:
    trace = burst_trace(0.4, 2.0, 400, seed)
    missing = missing_rows(trace, rows_per_packet, n_rows)
    assert missing.tolist() == [bool(trace.lost[row // rows_per_packet]) for row in range(n_rows)]


def test_a_trace_that_ends_too_early_is_refused() -> None:
    with pytest.raises(InputError, match="longer"):
        missing_rows(burst_trace(0.1, 2.0, 10, seed=0), rows_per_packet=4, n_rows=41)
