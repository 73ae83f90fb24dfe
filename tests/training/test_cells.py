"""Every cell: a stream cut anywhere, or fed frame by frame, gives what the whole gives, from any age of the stream."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgebci.block_spec import BlockSpec
from edgebci.training.cells import Cell, CellKind, make_cell
from edgebci.training.gru_cell import GruCell
from edgebci.training.s4d import S4D

FRAMES = 70
REALM = {"late_projections": True, "rotary": True, "input_scaled_by_dt": False, "gated_norm": False}
VARIANTS: list[tuple[CellKind, dict[str, bool]]] = [
    *((kind, {}) for kind in get_args(CellKind)),
    *(("mamba2", {name: value}) for name, value in REALM.items()),
    ("mamba2", REALM),
]


def cell_of(kind: CellKind, options: dict[str, bool]) -> Cell:
    torch.manual_seed(0)
    spec = BlockSpec.model_validate({"d_model": 12, "d_state": 8, "headdim": 8, **options})
    return make_cell(kind, spec).double()


def frames_of(batch: int, seed: int = 1) -> Tensor:
    return torch.randn(batch, FRAMES, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_equal(ours: Any, expected: Any) -> None:
    """Up to float64 rounding of sums of some hundred terms of order one."""
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
@torch.no_grad()
def test_stream_by_steps_equals_batch(kind: CellKind, options: dict[str, bool]) -> None:
    cell, u = cell_of(kind, options), frames_of(2)
    batch, last = cell.scan(u, cell.initial_state(2))
    state, outputs = cell.initial_state(2), []
    for frame in u.unbind(1):
        y, state = cell.step(frame, state)
        outputs.append(y)
    assert_equal(torch.stack(outputs, dim=1), batch)
    assert_equal(tuple(state), tuple(last))


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, FRAMES), max_size=8))
@torch.no_grad()
def test_any_cuts_of_a_stream_give_the_whole(kind: CellKind, options: dict[str, bool], cuts: list[int]) -> None:
    cell, u = cell_of(kind, options), frames_of(2)
    batch, last = cell.scan(u, cell.initial_state(2))
    state, outputs = cell.initial_state(2), []
    for start, stop in itertools.pairwise([0, *sorted(cuts), FRAMES]):  # equal cuts: a piece of no frames
        y, state = cell.scan(u[:, start:stop], state)
        outputs.append(y)
    assert_equal(torch.cat(outputs, dim=1), batch)
    assert_equal(tuple(state), tuple(last))


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_no_output_depends_on_a_later_frame(kind: CellKind, options: dict[str, bool]) -> None:
    cell, u = cell_of(kind, options), frames_of(1).requires_grad_()
    y, _ = cell.scan(u, cell.initial_state(1))
    (gradient,) = torch.autograd.grad(y[:, 40].sum(), u)
    assert (gradient[:, 41:] == 0).all()
    assert (gradient[:, :41].abs().amax(-1) > 0).all()


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_every_parameter_is_used(kind: CellKind, options: dict[str, bool]) -> None:
    cell, u = (
        make_cell(kind, BlockSpec.model_validate({"d_model": 12, "d_state": 8, "headdim": 8, **options})),
        frames_of(1),
    )
    cell(u.float()).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in cell.parameters())


@torch.no_grad()
def test_s4d_is_the_sum_over_complex_modes() -> None:
    """Against the definition in complex numbers, frame by frame, in none of the layer's own arithmetic."""
    cell, u = S4D(BlockSpec(d_model=12, d_state=8, headdim=8)).double(), frames_of(1)
    a = torch.complex(-cell.A_log.exp(), cell.A_imag)
    decay = (cell.dt_log.exp().unsqueeze(1) * a).exp()
    weight = torch.view_as_complex(cell.C.contiguous()) * (decay - 1) / a
    h, outputs = torch.zeros_like(a), []
    for x in u[0]:
        h = decay * h + x.unsqueeze(1)
        y = 2 * (weight * h).sum(1).real + cell.D * x
        outputs.append(torch.nn.functional.glu(cell.out_proj(torch.nn.functional.gelu(y)), dim=-1))
    assert_equal(cell.scan(u)[0][0], torch.stack(outputs))


def test_s4d_keeps_d_state_numbers_per_channel() -> None:
    assert S4D(BlockSpec(d_model=12, d_state=8, headdim=8)).initial_state(3).modes.shape == (3, 12, 8)


@torch.no_grad()
def test_gru_takes_the_weights_of_torch() -> None:
    reference = torch.nn.GRU(5, 7, batch_first=True)
    cell = GruCell(5, 7)
    cell.gru.load_state_dict(reference.state_dict())
    u = torch.randn(2, 9, 5)
    assert torch.equal(cell(u), reference(u)[0])
