"""The scan is the recurrence, the step is the scan, and every chunking of a stream gives the same."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgebci.block_spec import BlockSpec
from edgebci.decoder_spec import DecoderSpec
from edgebci.training.bidirectional import BidirectionalMamba2
from edgebci.training.causal_decoder import CausalDecoder
from edgebci.training.loop import reproducible
from edgebci.training.selective_scan import selective_scan
from edgebci.training.ssm import Mamba2, spread_time_constants

SPEC = DecoderSpec(
    n_inputs=6, output_names=("vx", "vy"), output_unit="cm/s", d_model=12, n_layers=2, d_state=8, headdim=8
)


def assert_equal(ours: Tensor, expected: Tensor) -> None:
    """Up to float64 rounding of sums of some hundred terms of order one."""
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-11)


def random_scan_input(seed: int, frames: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """x, dt, A, B, C, h of two streams with 3 heads of 4 channels and 5 states, float64."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    # dt over four decades: from a state that forgets in one frame to one that lasts thousands.
    dt = torch.exp(2.5 * normal(2, frames, 3) - 2)
    return normal(2, frames, 3, 4), dt, -normal(3).exp(), normal(2, frames, 5), normal(2, frames, 5), normal(2, 3, 4, 5)


def recurrence(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """The definition, frame by frame."""
    outputs = []
    for t in range(x.shape[1]):
        written = torch.einsum("bh,bhp,bn->bhpn", dt[:, t], x[:, t], B[:, t])
        h = torch.exp(dt[:, t] * A)[..., None, None] * h + written
        outputs.append(torch.einsum("bhpn,bn->bhp", h, C[:, t]))
    return torch.stack(outputs, dim=1), h


def attention_form(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor) -> Tensor:
    """The quadratic dual: y_i = sum over j <= i of (C_i . B_j) exp(sum of dt A over j+1..i) dt_j x_j."""
    steps = dt * A
    total = steps.cumsum(1)
    y = torch.einsum("bin,bhpn,bih->bihp", C, h, total.exp())
    for i in range(x.shape[1]):
        for j in range(i + 1):
            decay = steps[:, j + 1 : i + 1].sum(1).exp()
            weight = (C[:, i] * B[:, j]).sum(-1, keepdim=True) * decay * dt[:, j]
            y[:, i] += weight.unsqueeze(-1) * x[:, j]
    return y


@pytest.mark.parametrize("chunk", [1, 3, 16, 64])
def test_scan_equals_the_sequential_recurrence(chunk: int) -> None:
    arguments = random_scan_input(0, 50)
    y, h = selective_scan(*arguments, chunk=chunk)
    expected_y, expected_h = recurrence(*arguments)
    assert_equal(y, expected_y)
    assert_equal(h, expected_h)


def test_scan_equals_the_quadratic_dual_form() -> None:
    arguments = random_scan_input(1, 21)
    assert_equal(selective_scan(*arguments, chunk=8)[0], attention_form(*arguments))


def test_scan_gradients_equal_those_of_the_recurrence() -> None:
    def gradients(scan: object) -> list[Tensor]:
        arguments = [v.requires_grad_() for v in random_scan_input(2, 20)]
        assert callable(scan)
        y, h = scan(*arguments)
        return list(torch.autograd.grad((y.sin().sum() + h.cos().sum()), arguments))

    for ours, expected in zip(gradients(selective_scan), gradients(recurrence), strict=True):
        # Looser than the values: a decade of dt multiplies the terms of its own gradient.
        torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-9)


def test_scan_survives_steps_so_large_that_their_exponential_overflows() -> None:
    x, dt, A, B, C, h = random_scan_input(3, 40)
    dt = (dt * 0 + 1e4).requires_grad_()
    y, _ = selective_scan(x, dt, A, B, C, h)
    (gradient,) = torch.autograd.grad(y.sum(), dt)
    assert torch.isfinite(y).all()
    assert torch.isfinite(gradient).all()


@pytest.fixture(scope="module")
def decoder() -> CausalDecoder:
    torch.manual_seed(0)
    model = CausalDecoder(SPEC).double().eval()
    spread_time_constants(model, (0.02, 4.0), 50.0)
    return model


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return torch.randn(2, 90, SPEC.n_inputs, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def stream_by_steps(decoder: CausalDecoder, frames: Tensor) -> Tensor:
    states, outputs = decoder.initial_states(len(frames)), []
    for frame in frames.unbind(1):
        output, states = decoder.step(frame, states)
        outputs.append(output)
    return torch.stack(outputs, dim=1)


@torch.no_grad()
def test_stream_by_steps_equals_batch(decoder: CausalDecoder, frames: Tensor) -> None:
    batch, _ = decoder.scan(frames, decoder.initial_states(2))
    assert_equal(stream_by_steps(decoder, frames), batch)


@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 90), max_size=12))
@torch.no_grad()
def test_stream_equals_batch_for_any_chunking(decoder: CausalDecoder, frames: Tensor, cuts: list[int]) -> None:
    batch, last = decoder.scan(frames, decoder.initial_states(2))
    states, outputs = decoder.initial_states(2), []
    edges = sorted({0, 90, *cuts})
    for start, stop in itertools.pairwise(edges):
        output, states = decoder.scan(frames[:, start:stop], states)
        outputs.append(output)
    assert_equal(torch.cat(outputs, dim=1), batch)
    for ours, expected in zip(states, last, strict=True):
        assert_equal(ours.ssm, expected.ssm)
        assert_equal(ours.conv, expected.conv)


@torch.no_grad()
def test_no_output_depends_on_a_later_frame(decoder: CausalDecoder, frames: Tensor) -> None:
    changed = frames.clone()
    changed[:, 40:] += 5.0
    before, _ = decoder.scan(frames, decoder.initial_states(2))
    after, _ = decoder.scan(changed, decoder.initial_states(2))
    # Not bit for bit: a matrix product may sum a chunk's rows in another order when other rows change nothing.
    assert_equal(before[:, :40], after[:, :40])
    assert not torch.allclose(before[:, 40], after[:, 40])


def test_state_dict_has_the_names_and_shapes_of_the_spec() -> None:
    found = {name: tuple(tensor.shape) for name, tensor in CausalDecoder(SPEC).state_dict().items()}
    assert found == SPEC.parameter_shapes()


def test_a_block_has_the_parameters_of_mamba_ssm() -> None:
    # Listed from mamba_ssm.Mamba2(d_model=64, d_state=16, headdim=32, ngroups=1): 4 heads, 160 channels convolved.
    expected = {
        "dt_bias": (4,),
        "A_log": (4,),
        "D": (4,),
        "in_proj.weight": (292, 64),
        "conv1d.weight": (160, 1, 4),
        "conv1d.bias": (160,),
        "norm.weight": (128,),
        "out_proj.weight": (64, 128),
    }
    block = Mamba2(BlockSpec())
    assert {name: tuple(tensor.shape) for name, tensor in block.state_dict().items()} == expected


def test_the_block_of_realm_has_the_published_number_of_parameters() -> None:
    spec = BlockSpec(
        d_model=256,
        expand=2,
        headdim=64,
        d_state=64,
        late_projections=True,
        rotary=True,
        input_scaled_by_dt=False,
        gated_norm=False,
    )
    block = Mamba2(spec)
    assert spec.n_parameters == sum(p.numel() for p in block.parameters()) == 465_432
    assert {name: tuple(tensor.shape) for name, tensor in block.state_dict().items()} == spec.parameter_shapes()
    torch.testing.assert_close(block.A_log.exp(), torch.arange(1.0, 9.0))


def test_a_bidirectional_block_sees_both_ways_and_can_normalise_what_it_joins() -> None:
    u = torch.randn(1, 30, 12, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for joined_norm in (False, True):
        block = BidirectionalMamba2(SPEC.block, joined_norm)
        y = block(u)
        (gradient,) = torch.autograd.grad(y[0, 15, 0], u)
        assert (gradient.abs().amax(-1) > 0).all()
        extra = sum(p.numel() for p in block.norm.parameters())
        assert extra == (2 * SPEC.d_model if joined_norm else 0)


def test_training_a_block_twice_gives_the_same_bits() -> None:
    def gradient() -> Tensor:
        with reproducible(seed=0, threads=1):
            block = Mamba2(SPEC.block)
            (found,) = torch.autograd.grad(block(torch.randn(2, 70, 12)).square().sum(), block.in_proj.weight)
            return found

    assert torch.equal(gradient(), gradient())


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="headdim 32 does not divide"):
        BlockSpec(d_model=12)
    with pytest.raises(ValueError, match="d_state 7 is odd"):
        BlockSpec(d_state=7, rotary=True)


def test_time_constants_span_the_range_that_was_asked_for() -> None:
    block = Mamba2(BlockSpec())
    spread_time_constants(block, (0.02, 4.0), 50.0)
    decay = torch.exp(torch.nn.functional.softplus(block.dt_bias) * -block.A_log.exp()).detach()
    time_constants_s = -1 / decay.log() / 50.0
    expected = torch.tensor([0.02 * 200 ** (i / 3) for i in range(4)])
    assert torch.allclose(time_constants_s, expected, rtol=1e-3, atol=0.0)  # float32 near decay = 1
