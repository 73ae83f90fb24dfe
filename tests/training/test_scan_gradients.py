"""The fast scan and the fast convolution give the values and gradients of their plain forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from edgebci.block_spec import BlockSpec
from edgebci.training.depthwise import causal_convolution
from edgebci.training.plain_scan import quadratic_scan, sequential_scan
from edgebci.training.selective_scan import selective_scan
from edgebci.training.ssm import Mamba2

ARGUMENTS = ("x", "dt", "A", "B", "C", "h", "D")


def scan_arguments(dtype: torch.dtype, frames: int = 90) -> list[Tensor]:
    """Of two streams with 3 heads of 4 channels and 5 states, dt over four decades."""
    g = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    dt = torch.exp(2 * normal(2, frames, 3) - 2)
    values = [normal(2, frames, 3, 4), dt, -normal(3).exp(), normal(2, frames, 5), normal(2, frames, 5)]
    return [v.to(dtype).requires_grad_() for v in [*values, normal(2, 3, 4, 5), normal(3)]]


def gradients(scan: Any, arguments: list[Tensor], **options: Any) -> list[Tensor]:
    y, h = scan(*arguments, **options)
    return list(torch.autograd.grad(y.sin().sum() + h.cos().sum(), arguments, allow_unused=True))


def largest_difference(ours: Tensor, expected: Tensor) -> float:
    """Relative to the largest of the expected values."""
    return float((ours.double() - expected.double()).abs().max() / expected.double().abs().max())


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("chunk", [7, 32, 128])
def test_float32_gradients_are_within_1e_4_of_the_plain_recurrence_in_float64(chunk: int, scaled: bool) -> None:
    expected = gradients(sequential_scan, scan_arguments(torch.float64), input_scaled_by_dt=scaled)
    ours = gradients(selective_scan, scan_arguments(torch.float32), chunk=chunk, input_scaled_by_dt=scaled)
    differences = {n: largest_difference(a, b) for n, a, b in zip(ARGUMENTS, ours, expected, strict=True)}
    assert max(differences.values()) < 1e-4, differences


@pytest.mark.parametrize("scaled", [True, False])
def test_the_three_forms_agree_in_float64(scaled: bool) -> None:
    forms = (sequential_scan, quadratic_scan, selective_scan)
    plain, *others = (gradients(form, scan_arguments(torch.float64), input_scaled_by_dt=scaled) for form in forms)
    for other in others:
        for name, ours, expected in zip(ARGUMENTS, other, plain, strict=True):
            # Rounding of float64, amplified by the four decades of dt.
            assert largest_difference(ours, expected) < 1e-9, name


def test_a_gradient_of_a_part_only_is_right_too() -> None:
    """Only y, only h: autograd then hands the scan zeros for the other."""

    def gradient(form: Any, part: int) -> Tensor:
        arguments = scan_arguments(torch.float64)
        (found,) = torch.autograd.grad(form(*arguments)[part].sin().sum(), arguments[0])
        return found

    for part in (0, 1):
        ours, expected = gradient(selective_scan, part), gradient(sequential_scan, part)
        assert largest_difference(ours, expected) < 1e-9


def minimal_ssd(x: Tensor, log_decay: Tensor, B: Tensor, C: Tensor, chunk: int) -> Tensor:
    """State-space duality in four einsums, after the paper's own description (section 6); x already times dt."""
    batch, frames, heads, width = x.shape
    x = x.reshape(batch, -1, chunk, heads, width)
    B, C = (v.reshape(batch, -1, chunk, v.shape[-1]) for v in (B, C))
    total = log_decay.reshape(batch, -1, chunk, heads).cumsum(2)

    def segments(s: Tensor) -> Tensor:
        return (s.unsqueeze(-1) - s.unsqueeze(-2)).tril().exp().tril()

    inside = segments(total.movedim(-1, 2))
    diagonal = torch.einsum("bcln,bcsn,bchls,bcshp->bclhp", C, B, inside, x)
    states = torch.einsum("bcsn,bcsh,bcshp->bchpn", B, (total[:, :, -1:] - total).exp(), x)
    chunk_totals = functional.pad(total[:, :, -1].cumsum(1), (0, 0, 1, 0)).movedim(-1, 1)  # (b, H, chunks + 1)
    between = segments(chunk_totals)[:, :, :-1, 1:].tril(-1)
    before = torch.einsum("bhzc,bchpn->bzhpn", between, states)
    off_diagonal = torch.einsum("bcln,bchpn,bclh->bclhp", C, before, total.exp())
    return (diagonal + off_diagonal).reshape(batch, frames, heads, width)


@torch.no_grad()
def test_scan_equals_an_independent_minimal_form_of_state_space_duality() -> None:
    x, dt, A, B, C, h, _ = scan_arguments(torch.float64, 96)
    expected = minimal_ssd(x * dt.unsqueeze(-1), dt * A, B, C, 16)
    ours, _ = selective_scan(x, dt, A, B, C, torch.zeros_like(h))
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-11)  # float64 rounding of some hundred terms


def test_convolution_and_its_gradients_are_those_of_conv1d() -> None:
    g = torch.Generator().manual_seed(0)
    arguments = [torch.randn(*shape, generator=g, dtype=torch.float64) for shape in ((2, 20, 6), (6, 1, 4), (6,))]

    def plain(window: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.conv1d(window.transpose(1, 2), weight, bias, groups=6).transpose(1, 2)

    found = []
    for form in (causal_convolution, plain):
        leaves = [v.clone().requires_grad_() for v in arguments]
        y = form(*leaves)
        found.append([y.detach(), *torch.autograd.grad(y.sin().sum(), leaves)])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)  # float64 rounding of some ten terms


def test_memory_for_the_gradient_grows_linearly_with_length() -> None:
    def saved_bytes(frames: int) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        block = Mamba2(BlockSpec(d_model=16, d_state=8, headdim=8))
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            y = block(torch.randn(1, frames, 16))
        assert y.requires_grad
        return sum(sizes.values())

    # A quadratic form would give 4; the weights, which do not grow, give a little less than 2.
    assert saved_bytes(4096) < 2.1 * saved_bytes(2048)


def test_bfloat16_autocast_keeps_the_state_in_float32() -> None:
    torch.manual_seed(0)
    block, u = Mamba2(BlockSpec(d_model=16, d_state=8, headdim=8)), torch.randn(2, 50, 16)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = block.scan(u)
    (gradient,) = torch.autograd.grad(y.float().square().sum(), block.in_proj.weight)
    assert torch.isfinite(gradient).all()
    assert state.ssm.dtype == torch.float32
    # bfloat16 keeps 8 bits; the products of a block round each factor once.
    assert largest_difference(y.detach(), block(u).detach()) < 0.05


def test_a_block_gives_the_output_of_the_mixer_of_transformers_with_the_same_weights() -> None:
    transformers = pytest.importorskip("transformers", reason="the comparison needs transformers")
    config = transformers.Mamba2Config(
        hidden_size=64, num_heads=4, head_dim=32, state_size=16, n_groups=1, num_hidden_layers=1, vocab_size=1,
        pad_token_id=0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    mixer = transformers.Mamba2Model(config).layers[0].mixer.double().eval()
    block = Mamba2(BlockSpec(d_model=64, d_state=16, headdim=32)).double()
    with torch.no_grad():
        mixer.dt_bias.uniform_(-4, 1, generator=torch.Generator().manual_seed(1))
    block.load_state_dict(mixer.state_dict())
    u = torch.randn(2, 77, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        # transformers computes decays in float32.
        torch.testing.assert_close(block(u), mixer(u), rtol=1e-5, atol=1e-6)
