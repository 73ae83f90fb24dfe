"""The recurrence of Mamba-2 in its two plain forms, and left out: what the fast scan is measured against.

Both take and give what `selective_scan` does.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sequential_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    h: Tensor,
    D: Tensor | None = None,
    input_scaled_by_dt: bool = True,
) -> tuple[Tensor, Tensor]:
    """The definition, frame by frame."""
    written = x * dt.unsqueeze(-1) if input_scaled_by_dt else x
    decay, outputs = (dt * A).exp()[..., None, None], []
    for t in range(x.shape[1]):
        h = decay[:, t] * h + written[:, t].unsqueeze(-1) * B[:, t, None, None]
        outputs.append((h @ C[:, t, None, :, None]).squeeze(-1))
    y = torch.stack(outputs, dim=1)
    return (y if D is None else y + D.unsqueeze(-1) * x), h


def quadratic_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    h: Tensor,
    D: Tensor | None = None,
    input_scaled_by_dt: bool = True,
) -> tuple[Tensor, Tensor]:
    """The dual form: every frame looks at all before it, so that work and memory grow with T squared.

    y_i = sum over j <= i of (C_i . B_j) exp(sum of dt A over j + 1 to i) written_j, and what is left of h.
    """
    written = (x * dt.unsqueeze(-1) if input_scaled_by_dt else x).transpose(1, 2)  # (b, H, T, P)
    log_decay = (dt * A).cumsum(1).transpose(1, 2)  # (b, H, T)
    between = (log_decay.unsqueeze(-1) - log_decay.unsqueeze(-2)).clamp(max=0).exp().tril()
    from_start, to_end = log_decay.exp().unsqueeze(-1), (log_decay[..., -1:] - log_decay).exp().unsqueeze(-1)
    seen = (C @ B.transpose(1, 2)).unsqueeze(1) * between
    y = seen @ written + from_start * (C.unsqueeze(1) @ h.transpose(-1, -2))
    last = from_start[..., -1:, :] * h + (written * to_end).transpose(-1, -2) @ B.unsqueeze(1)
    y = y.transpose(1, 2)
    return (y if D is None else y + D.unsqueeze(-1) * x), last


def no_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    h: Tensor,
    D: Tensor | None = None,
    input_scaled_by_dt: bool = True,
) -> tuple[Tensor, Tensor]:
    """No recurrence: what drives it goes into y as one number a head, so that all that feeds a scan is still trained.

    With this a block takes as long as it would with a scan of no cost: no scan is faster.
    """
    written = x * dt.unsqueeze(-1) if input_scaled_by_dt else x
    y = written + (dt * A).unsqueeze(-1) + (B.sum(-1) + C.sum(-1))[..., None, None]
    return (y if D is None else y + D.unsqueeze(-1) * x), h
