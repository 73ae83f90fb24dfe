"""The published sizes (paper, table 5; configurations of the authors' code), their parameter counts, and our edge size.

All counts are those of the parts in `model.Core` plus embeddings of units and sessions. The paper's are rounded to
10,000 and do not say how many embeddings are in them; `explain` says what remains.
"""

from __future__ import annotations

import math

from edgebci.documents import Document
from edgebci.possm_spec import Backbone, PossmSpec
from edgebci.training.possm.model import Core

SINGLE_SESSION = PossmSpec()
O_POSSM = PossmSpec(dim=256, hidden=512, n_layers=4)
BACKBONES: tuple[Backbone, ...] = ("s4d", "gru", "mamba2")

EDGE = PossmSpec(
    dim=32,
    head_dim=32,
    hidden=64,
    backbone="gru",
    d_state=16,
    headdim=32,
    feed_forward="silu",
    feed_forward_expand=2,
    norm="rms",
    max_tokens=128,
    within_chunk="strict",
    shortest_period_s=4e-3,
    longest_period_s=1.0,
    rotate_values=False,
    time_step_s=1e-3,
)
"""For an implant: its cost is in `possm.workload`."""

PUBLISHED_MILLIONS: dict[str, dict[Backbone, float]] = {
    "single session": {"s4d": 0.41, "gru": 0.47, "mamba2": 0.68},
    "o-POSSM": {"s4d": 4.56, "gru": 7.96, "mamba2": 8.96},
}
SIZES = {"single session": SINGLE_SESSION, "o-POSSM": O_POSSM}
_EXPAND, _STATES = 2, 16
"""Of the first Mamba's default block."""


class CountDifference(Document):
    """What our parts and the paper's count have in common, and what lies between them."""

    core: int
    """Ours, with two outputs and one task, without embeddings of units and sessions."""
    first_mamba: int
    """What the backbone of the first Mamba (arXiv 2312.00752), which the paper's count fits, has more than our
    Mamba-2: dt and A are projected and kept per channel there, per head here. 0 for other backbones."""
    fewest_embeddings: int
    most_embeddings: int
    """Embeddings of units and sessions, and what else has `dim` numbers, that make up the rest of a rounded count."""


def core_parameters(spec: PossmSpec, n_outputs: int = 2) -> int:
    """Trained numbers of everything but the embeddings of units and sessions."""
    return sum(parameter.numel() for parameter in Core(spec, (n_outputs,)).parameters())


def explain(size: str, backbone: Backbone) -> CountDifference:
    """Itemise a published count; raises KeyError for a size that is not in `SIZES`."""
    spec = SIZES[size].model_copy(update={"backbone": backbone})
    core = core_parameters(spec)
    more = (
        spec.n_layers * (first_mamba_parameters(spec.hidden) - spec.block.n_parameters) if backbone == "mamba2" else 0
    )
    published = 1e6 * PUBLISHED_MILLIONS[size][backbone]
    left = [published + side * 5000 - core - more for side in (-1, 1)]
    return CountDifference(
        core=core,
        first_mamba=more,
        fewest_embeddings=math.ceil(left[0] / spec.dim),
        most_embeddings=math.floor(left[1] / spec.dim),
    )


def first_mamba_parameters(width: int) -> int:
    """Of one block with the defaults of `mamba_ssm.Mamba`: expand 2, 16 states, 4 taps, dt of rank width / 16."""
    inner, rank = _EXPAND * width, math.ceil(width / 16)
    projections = width * 2 * inner + inner * (rank + 2 * _STATES) + (rank + 1) * inner + inner * width
    convolution, dynamics = inner * (4 + 1), inner * (_STATES + 1)
    return projections + convolution + dynamics
