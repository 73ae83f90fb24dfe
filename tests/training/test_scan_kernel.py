"""The kernel is chosen only where it can do what is asked for, and then agrees with the scan that runs everywhere."""

from __future__ import annotations

import pytest
import torch

from edgebci.training.scan_kernel import KERNEL_PRESENT, choose_implementation, fastest_scan
from edgebci.training.selective_scan import selective_scan


@pytest.mark.parametrize(
    ("device", "present", "dtype", "scaled", "expected"),
    [
        ("cuda", True, torch.float32, True, "mamba_ssm"),
        ("cpu", True, torch.float32, True, "chunked"),
        ("cuda", False, torch.float32, True, "chunked"),
        ("cuda", True, torch.float64, True, "chunked"),
        ("cuda", True, torch.float32, False, "chunked"),
    ],
)
def test_the_kernel_runs_where_it_can(
    device: str, present: bool, dtype: torch.dtype, scaled: bool, expected: str
) -> None:
    assert choose_implementation(device, present, dtype, scaled) == expected


def test_on_a_cpu_the_fastest_scan_is_the_chunked_one() -> None:
    g = torch.Generator().manual_seed(0)
    x, dt = torch.randn(1, 20, 2, 4, generator=g), torch.rand(1, 20, 2, generator=g)
    A, B, C, h = -torch.ones(2), *torch.randn(2, 1, 20, 3, generator=g), torch.zeros(1, 2, 4, 3)
    for ours, expected in zip(fastest_scan(x, dt, A, B, C, h), selective_scan(x, dt, A, B, C, h), strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.skipif(not (torch.cuda.is_available() and KERNEL_PRESENT), reason="needs a CUDA GPU and mamba_ssm")
def test_the_kernel_agrees_with_the_chunked_scan() -> None:
    g = torch.Generator().manual_seed(0)
    x, dt = torch.randn(2, 300, 4, 64, generator=g).cuda(), torch.rand(2, 300, 4, generator=g).cuda()
    A, B, C = -torch.rand(4, generator=g).cuda(), *torch.randn(2, 2, 300, 64, generator=g).cuda()
    h, D = torch.randn(2, 4, 64, 64, generator=g).cuda(), torch.ones(4).cuda()
    for ours, expected in zip(fastest_scan(x, dt, A, B, C, h, D), selective_scan(x, dt, A, B, C, h, D), strict=True):
        # The kernel multiplies in TF32, which keeps 10 bits.
        assert float((ours - expected).abs().max() / expected.abs().max()) < 5e-3
