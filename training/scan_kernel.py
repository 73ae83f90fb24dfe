"""Which implementation of the scan runs: the fused CUDA kernel of `mamba_ssm` where there is one, else ours.

The kernel takes the recurrence as Mamba-2 has it. It does not know an input that dt does not scale, and it computes in
float32 at most, so those cases stay with `selective_scan`, which runs on every device.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor

from edgebci.training.selective_scan import selective_scan

Implementation = Literal["chunked", "mamba_ssm"]
KERNEL_CHUNK_FRAMES = 64
KERNEL_PRESENT = all(find_spec(name) is not None for name in ("mamba_ssm", "triton"))
"""Whether the kernel, and the Triton that it is written in, are installed."""


def choose_implementation(device: str, kernel_present: bool, dtype: torch.dtype, scaled: bool) -> Implementation:
    """The kernel wherever it can run what is asked for."""
    return "mamba_ssm" if device == "cuda" and kernel_present and dtype == torch.float32 and scaled else "chunked"


def fastest_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    h: Tensor,
    D: Tensor | None = None,
    *,
    input_scaled_by_dt: bool = True,
) -> tuple[Tensor, Tensor]:
    """`selective_scan`, or the kernel that does the same."""
    chosen = choose_implementation(h.device.type, KERNEL_PRESENT, h.dtype, input_scaled_by_dt)
    if chosen == "chunked":
        return selective_scan(x, dt, A, B, C, h, D, input_scaled_by_dt=input_scaled_by_dt)
    kernel = import_module("mamba_ssm.ops.triton.ssd_combined").mamba_chunk_scan_combined
    one_group = (B.to(x.dtype).unsqueeze(2), C.to(x.dtype).unsqueeze(2))  # (b, T, groups, N)
    y, last = kernel(x, dt.float(), A, *one_group, KERNEL_CHUNK_FRAMES, D=D, initial_states=h, return_final_states=True)
    return y, last
