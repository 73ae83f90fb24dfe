"""Spikes become tokens of the right chunk; what does not fit is counted, and it is the oldest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebci.possm_spec import PossmSpec
from edgebci.session import Session, SpikeEvents
from edgebci.training.possm.corpus import kept_units, stretch_of
from edgebci.training.possm.decoding import decode
from edgebci.training.possm.model import Possm
from edgebci.training.possm.recipe import UnitDropout
from edgebci.training.possm.tokens import BLANK, chunk_spikes

SPEC = PossmSpec(max_tokens=3)


def events(times_s: list[float], unit: list[int] | None = None) -> SpikeEvents:
    units = np.arange(len(times_s)) % 5 if unit is None else np.array(unit)
    return SpikeEvents(np.array(times_s), units.astype(np.int64), 5)


def test_a_spike_at_the_end_of_a_chunk_belongs_to_it() -> None:
    chunks = chunk_spikes(events([2.0, 2.05, 2.05001, 2.1]), 2.0, 2, SPEC, 1)
    # The first lies at the very start, in the chunk before.
    assert chunks.unit.tolist() == [[2, 0], [3, 4]]
    np.testing.assert_allclose(chunks.time_s, [[0.05, 0.0], [1e-5, 0.05]], atol=1e-7)


def test_an_empty_chunk_has_one_blank_token() -> None:
    chunks = chunk_spikes(events([0.01]), 0.0, 3, SPEC, 1)
    assert chunks.mask.sum(1).tolist() == [1, 1, 1]
    assert chunks.unit[:, 0].tolist() == [1, BLANK, BLANK]


def test_of_too_many_spikes_the_oldest_are_dropped_and_counted() -> None:
    chunks = chunk_spikes(events([0.01, 0.02, 0.03, 0.04, 0.045, 0.06]), 0.0, 2, SPEC, 1)
    assert chunks.unit[0].tolist() == [3, 4, 5]
    count = chunks.count
    assert (count.spikes, count.dropped, count.overfull_chunks, count.chunks) == (6, 2, 1, 2)
    assert count.summary().startswith("2 of 6 spikes were dropped")


@given(st.lists(st.floats(0.0, 1.0), max_size=60), st.integers(1, 8))
def test_every_spike_is_a_token_or_dropped(times_s: list[float], max_tokens: int) -> None:
    spec = PossmSpec(max_tokens=max_tokens)
    chunks = chunk_spikes(events(sorted(times_s)), 0.0, 20, spec, 1)
    tokens = int((chunks.mask & (chunks.unit != BLANK)).sum())
    assert tokens + chunks.count.dropped == chunks.count.spikes == sum(t > 5e-8 for t in times_s)
    assert chunks.unit.shape[1] <= max_tokens
    assert chunks.time_s.min() >= -1e-6
    assert chunks.time_s.max() <= spec.chunk_s + 1e-6


def test_rounded_times_are_the_middles_of_steps() -> None:
    spec = PossmSpec(time_step_s=1e-3)
    chunks = chunk_spikes(events([0.0001, 0.001, 0.0011, 0.05]), 0.0, 1, spec, 1)
    assert chunks.time_step[0].tolist() == [0, 0, 1, 49]
    np.testing.assert_allclose(chunks.time_s[0], [0.0005, 0.0005, 0.0015, 0.0495], atol=1e-8)


def test_no_spike_after_the_last_frame_of_a_window_is_seen(session: Session) -> None:
    spec, times_s = PossmSpec(within_chunk="published"), session.data.times_s
    assert session.spikes is not None
    cut = SpikeEvents(
        session.spikes.times_s[session.spikes.times_s <= times_s[56]],
        session.spikes.unit[session.spikes.times_s <= times_s[56]],
        session.spikes.n_units,
    )
    whole = stretch_of(session, 7, 57, spec, 1)
    alone = stretch_of(Session("cut", "subject", session.data, cut), 7, 57, spec, 1)
    assert np.array_equal(whole.chunks.unit, alone.chunks.unit)


def test_unit_dropout_draws_near_the_mode_and_keeps_small_sessions_whole() -> None:
    dropout, rng = UnitDropout(least=20, mode=40, most=100), np.random.default_rng(0)
    drawn = np.array([kept_units(100, dropout, rng).sum() for _ in range(2000)])
    assert drawn.min() >= 20
    assert drawn.max() <= 100
    near, far = np.mean((drawn > 35) & (drawn < 45)), np.mean(drawn > 90)
    assert near > 2 * far  # per unit, 4 to 1 between mode and ends
    assert kept_units(12, dropout, rng).all()


def test_decoding_reports_the_spikes_that_no_output_saw(
    session: Session, specs: dict[str, PossmSpec], make_model: Callable[[PossmSpec, list[Session]], Possm]
) -> None:
    model = make_model(specs["edge"].model_copy(update={"max_tokens": 5}), [session])
    decoded = decode(model, session)
    assert session.spikes is not None
    assert decoded.tokens.spikes == len(session.spikes.times_s)
    assert 0.1 < decoded.tokens.dropped / decoded.tokens.spikes < 0.9
    roomy = decode(make_model(specs["edge"].model_copy(update={"max_tokens": 500}), [session]), session)
    assert roomy.tokens.dropped == 0


def test_a_spec_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="does not divide chunk_s"):
        PossmSpec(time_step_s=0.0033)
