"""Networks of a given number of parameters, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edgebci.decoding_data import DecodingData
from edgebci.errors import InputError
from edgebci.training.baselines.attention import AttentionLayer
from edgebci.training.baselines.baseline import FLOAT32_BYTES, Costs
from edgebci.training.baselines.recipe import GruRecipe, TransformerRecipe
from edgebci.training.baselines.stack import StackedDecoder
from edgebci.training.gru_cell import GruCell

TOLERANCE = 0.02
"""By which the number of parameters may differ from the student's."""
WIDEST = 2048
TRANSFORMER_PIECE_FRAMES = 512
"""Attention over a long piece takes memory by the square of its length."""


@dataclass(frozen=True)
class Widths:
    """The two widths of a network: of its cells, and of what feeds them (GRU) or stands inside (transformer)."""

    width: int
    inner: int


@dataclass(frozen=True)
class GruShape:
    """Linear input of width `inner`, then units of `width` in each layer."""

    n_inputs: int
    n_outputs: int
    n_layers: int
    widths: Widths

    @property
    def costs(self) -> Costs:
        """Of one stream; state: the hidden units."""
        h, e, d, n = self.widths.width, self.widths.inner, self.n_outputs, self.n_layers
        weights = self.n_inputs * e + 3 * h * (e + h) + (n - 1) * 6 * h * h + h * d
        biases = e + n * 6 * h + h + d
        return Costs(parameters=weights + biases, macs_per_output=weights, state_bytes=FLOAT32_BYTES * n * h)

    def build(self, dropout: float) -> StackedDecoder:
        """With new weights."""
        h, e = self.widths.width, self.widths.inner
        cells = [GruCell(e if i == 0 else h, h) for i in range(self.n_layers)]
        return StackedDecoder(self.n_inputs, e, cells, h, self.n_outputs, dropout)


@dataclass(frozen=True)
class TransformerShape:
    """Layers of `width` with an MLP of width `inner`, each looking back `context` frames, its own included."""

    n_inputs: int
    n_outputs: int
    n_layers: int
    n_heads: int
    context: int
    widths: Widths

    @property
    def costs(self) -> Costs:
        """Of one stream; state: keys and values of the frames before."""
        w, m, n = self.widths.width, self.widths.inner, self.n_layers
        weights = self.n_inputs * w + n * (4 * w * w + 2 * w * m) + w * self.n_outputs
        others = w + n * (m + 3 * w) + w + self.n_outputs
        cache = n * 2 * (self.context - 1) * w
        return Costs(
            parameters=weights + others,
            macs_per_output=weights + n * 2 * self.context * w,
            state_bytes=FLOAT32_BYTES * cache,
        )

    def build(self, dropout: float) -> StackedDecoder:
        """With new weights."""
        w = self.widths.width
        cells = [AttentionLayer(w, self.widths.inner, self.n_heads, self.context) for _ in range(self.n_layers)]
        decoder = StackedDecoder(self.n_inputs, w, cells, w, self.n_outputs, dropout)
        decoder.stream_frames = TRANSFORMER_PIECE_FRAMES
        return decoder


Shape = GruShape | TransformerShape


def gru_shape(data: DecodingData, recipe: GruRecipe, parameters: int) -> GruShape:
    """A GRU decoder for these data with as many parameters, its input about as wide as its layers."""
    n_inputs, n_outputs = data.frames.shape[1], data.targets.shape[1]

    def shape(widths: Widths) -> GruShape:
        return GruShape(n_inputs, n_outputs, recipe.n_layers, widths)

    return shape(_fitting_widths("GRU", lambda widths: shape(widths).costs.parameters, parameters, 1, 1.0))


def transformer_shape(data: DecodingData, recipe: TransformerRecipe, parameters: int) -> TransformerShape:
    """A causal transformer for these data with as many parameters, its MLP about four times as wide as its layers."""
    n_inputs, n_outputs = data.frames.shape[1], data.targets.shape[1]
    context = max(2, round(recipe.context_s * data.frame_rate_hz))

    def shape(widths: Widths) -> TransformerShape:
        return TransformerShape(n_inputs, n_outputs, recipe.n_layers, recipe.n_heads, context, widths)

    def count(widths: Widths) -> int:
        return shape(widths).costs.parameters

    return shape(_fitting_widths("transformer", count, parameters, recipe.n_heads, 4.0))


def _fitting_widths(name: str, count: Callable[[Widths], int], wanted: int, step: int, inner_ratio: float) -> Widths:
    """Widths, a multiple of `step`, that give `wanted` parameters; of all such, with inner nearest to ratio * width.

    The count is linear in the inner width, so that one follows from the other.
    """
    fitting: list[tuple[float, Widths]] = []
    for width in range(step, WIDEST + 1, step):
        fixed = count(Widths(width, 0))
        inner = round((wanted - fixed) / (count(Widths(width, 1)) - fixed))
        if inner < 1:
            break
        widths = Widths(width, inner)
        if abs(count(widths) - wanted) <= TOLERANCE * wanted:
            fitting.append((abs(math.log(inner / (inner_ratio * width))), widths))
    if not fitting:
        raise InputError(
            f"no {name} has within {TOLERANCE:.0%} of the student's {wanted} parameters; take a larger student, fewer "
            "layers or fewer heads"
        )
    return min(fitting, key=lambda one: one[0])[1]
