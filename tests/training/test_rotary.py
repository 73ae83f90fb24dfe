"""Rotation stays exact for months, and does what a rotation by a growing angle does."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from edgebci.block_spec import BlockSpec
from edgebci.training.rotary import TURN, increments, phases, rotate
from edgebci.training.ssm import BlockState, Mamba2

DAY_FRAMES = 8_640_000
"""One day at 100 Hz."""
SPEC = BlockSpec(d_model=12, d_state=8, headdim=8, late_projections=True, rotary=True, input_scaled_by_dt=False)


def block(dtype: torch.dtype) -> Mamba2:
    torch.manual_seed(0)
    return Mamba2(SPEC).to(dtype)


def aged(state: BlockState, step: Tensor, frames: int) -> BlockState:
    """The state of a stream that has run for `frames` frames: what the accumulator then holds, and some h."""
    generator = torch.Generator().manual_seed(2)
    h = torch.randn(state.ssm.shape, generator=generator, dtype=torch.float64).to(state.ssm.dtype)
    phase = torch.tensor([[int(part) * frames % TURN for part in step]] * len(state.phase))
    return BlockState(state.conv, h, phase)


def frames_of(dtype: torch.dtype) -> Tensor:
    return torch.randn(2, 60, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


@torch.no_grad()
def streamed(model: Mamba2, u: Tensor, frames_before: int) -> Tensor:
    state, outputs = aged(model.initial_state(2), model.turn, frames_before), []
    for frame in u.unbind(1):
        y, state = model.step(frame, state)
        outputs.append(y)
    return torch.stack(outputs, dim=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@torch.no_grad()
def test_a_stream_a_day_old_equals_the_float64_batch(dtype: torch.dtype) -> None:
    exact = block(torch.float64)
    start = aged(exact.initial_state(2), exact.turn, DAY_FRAMES)
    batch, _ = exact.scan(frames_of(torch.float64), start)
    ours = streamed(block(dtype), frames_of(dtype), DAY_FRAMES)
    # float32: sums of some hundred terms of order one, each rounded to 1e-7.
    tolerance = 1e-5 if dtype == torch.float32 else 1e-10
    torch.testing.assert_close(ours.double(), batch, rtol=0, atol=tolerance)


@torch.no_grad()
def test_the_accumulator_after_a_scan_is_that_after_steps() -> None:
    model, u = block(torch.float64), frames_of(torch.float64)
    start = aged(model.initial_state(2), model.turn, DAY_FRAMES)
    _, scanned = model.scan(u, start)
    assert torch.equal(scanned.phase, aged(start, model.turn, DAY_FRAMES + u.shape[1]).phase)
    assert int(scanned.phase.max()) < TURN


def test_a_float32_phase_would_be_off_by_a_tenth_of_a_radian_after_a_day() -> None:
    """What the accumulator is for: the fastest frequencies of base 1e4, and time counted in float32."""
    radians = 1e4 ** -(torch.arange(32, dtype=torch.float64) / 32)
    exact = (radians * (DAY_FRAMES + 12345)) % (2 * math.pi)
    in_float32 = (radians.float() * float(DAY_FRAMES + 12345)).double() % (2 * math.pi)
    error = (exact - in_float32 + math.pi) % (2 * math.pi) - math.pi
    assert error.abs().max() > 0.1


def test_the_integer_frequency_is_close_to_the_asked_one() -> None:
    step = increments(32, 1e4).double() * (2 * math.pi / TURN)
    asked = 1e4 ** -(torch.arange(32, dtype=torch.float64) / 32)
    # Half a part of a turn, relative to the slowest frequency of about 1.3e-4 rad per frame.
    torch.testing.assert_close(step, asked, rtol=1e-5, atol=0)


def test_the_product_of_two_rotated_vectors_depends_on_their_distance_in_time_only() -> None:
    g = torch.Generator().manual_seed(0)
    b, c = torch.randn(2, 8, generator=g, dtype=torch.float64)
    step = increments(4, 1e4)
    angles, _ = phases(torch.zeros(1, 4, dtype=torch.int64), step, 20)
    products = [(rotate(b, angles[0, t]) * rotate(c, angles[0, t + 7])).sum() for t in range(13)]
    # float64 rounding of angles of up to one turn.
    torch.testing.assert_close(torch.stack(products), products[0].expand(13), rtol=0, atol=1e-12)
    assert not math.isclose(float(products[0]), float((b * c).sum()), rel_tol=1e-3)
