"""The causal depthwise convolution of a Mamba-2 block as shifted multiply-adds, with its own gradient.

It keeps the order (b, T, channels) in which the block computes. torch's conv1d wants (b, channels, T), which costs two
transpositions, and its gradient is the slowest single operation of a block trained on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def causal_convolution(window: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve over time.

    Args:
        window: the d_conv - 1 frames before the stretch and the stretch (b, d_conv - 1 + T, channels).
        weight: (channels, 1, d_conv) as in nn.Conv1d, the oldest frame's tap first. bias: (channels,).

    Returns:
        (b, T, channels); differentiable once.
    """
    result: Tensor = _Convolution.apply(window, weight[:, 0].t(), bias)  # type: ignore[no-untyped-call]
    return result


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, window: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(window, taps)
        frames = window.shape[1] - len(taps) + 1
        result = torch.addcmul(bias, window[:, :frames], taps[0])
        for k in range(1, len(taps)):
            result.addcmul_(window[:, k : k + frames], taps[k])
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        window, taps = ctx.saved_tensors
        frames = gradient.shape[1]
        dwindow, dtaps = torch.zeros_like(window), torch.empty_like(taps)
        for k, tap in enumerate(taps):
            dwindow[:, k : k + frames].addcmul_(gradient, tap)
            dtaps[k] = (gradient * window[:, k : k + frames]).sum((0, 1))
        return dwindow, dtaps, gradient.sum((0, 1))
