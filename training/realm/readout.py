"""Label-free readout: the encoder stays as distillation left it; ridge on its last frames decodes one session.

The penalty is chosen on validation; the readout is then fitted once more on training and validation together (paper,
stage 3). Each interval is encoded from zero state, so nothing outside these intervals touches the readout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from edgebci.decoding_data import DecodingData, Floats, Part
from edgebci.errors import InputError
from edgebci.metrics import r2
from edgebci.training.realm.corpus import padded
from edgebci.training.realm.encoding import AnyEncoder, residual_stream
from edgebci.training.realm.recipe import LabelFreeRecipe
from edgebci.training.ridge import RidgeDecoder
from edgebci.training.windows import pieces

F64 = NDArray[np.float64]
CHUNK_ROWS = 4096
"""Stacked frames held at once in float64; changes memory, and only the last bits of the result."""


@dataclass(frozen=True, eq=False)
class LabelFree:
    """A frozen encoder with its ridge readout; outputs are in the target's unit."""

    encoder: AnyEncoder
    readout: RidgeDecoder
    validation_r2: float
    """Mean over axes, of the fit to training frames alone."""
    window_frames: int
    """For an encoder that looks both ways."""

    def predict(self, data: DecodingData) -> Floats:
        """Decode a whole recording (K, D), from zero state wherever the front end began anew."""
        streams = [self.decode(data, start, stop) for start, stop in data.segments(0, len(data.frames))]
        return np.concatenate(streams)

    def decode(self, data: DecodingData, start: int, stop: int) -> Floats:
        """Decode frames [start, stop) as one stream from zero state (stop - start, D)."""
        return self.readout.predict_stream(encoded_frames(self.encoder, data, start, stop, self.window_frames))


def fit_label_free(
    encoder: AnyEncoder, data: DecodingData, recipe: LabelFreeRecipe, window_frames: int = 500
) -> LabelFree:
    """Fit the readout to one session.

    Raises:
        InputError: no training or no validation frames, or a target that is constant in the validation intervals.
    """
    encoder.eval()
    encoded = {part: _encoded(encoder, data, part, window_frames) for part in ("train", "validation")}
    training, validation = (_moments(encoded[part], recipe.lags) for part in ("train", "validation"))
    fits = [training.readout(alpha) for alpha in recipe.alphas]
    scores = [_score(fit, encoded["validation"]) for fit in fits]
    best = int(np.argmax(scores))
    moments = training + validation if recipe.refit_on_validation else training
    readout = replace(moments.readout(recipe.alphas[best]), lag_window_s=recipe.lags / data.frame_rate_hz)
    return LabelFree(encoder, readout, scores[best], window_frames)


def encoded_frames(encoder: AnyEncoder, data: DecodingData, start: int, stop: int, window_frames: int) -> Floats:
    """Readout features (stop - start, d_model) of frames [start, stop), encoded from zero state."""
    frames = padded(data, encoder.spec.n_channels, "of this recording")[start:stop]
    features: Floats = encoder.norm(residual_stream(encoder, frames, window_frames)).detach().cpu().numpy()
    return features


@dataclass(frozen=True, eq=False)
class _Piece:
    """One stretch from zero state."""

    features: Floats
    """(K, d_model)."""
    targets: Floats
    """(K, D)."""
    valid: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Moments:
    """Sums over frames from which ridge follows: of x, y, x x', x y'."""

    count: int
    x: F64
    y: F64
    xx: F64
    xy: F64
    lags: int

    def __add__(self, other: _Moments) -> _Moments:
        return _Moments(
            self.count + other.count,
            self.x + other.x,
            self.y + other.y,
            self.xx + other.xx,
            self.xy + other.xy,
            self.lags,
        )

    def readout(self, alpha: float) -> RidgeDecoder:
        """Least squares with `alpha` times the squared weights, the bias not counted."""
        gram = self.xx - np.outer(self.x, self.x) / self.count
        right = self.xy - np.outer(self.x, self.y) / self.count
        weight = cho_solve(cho_factor(gram + alpha * np.eye(len(gram)), lower=True, overwrite_a=True), right)
        bias = (self.y - self.x @ weight) / self.count
        shaped = weight.reshape(self.lags + 1, -1, len(self.y)).astype(np.float32)
        return RidgeDecoder(shaped, bias.astype(np.float32), lag_frames=1, penalty=alpha, lag_window_s=np.nan)


def _encoded(encoder: AnyEncoder, data: DecodingData, part: Part, window_frames: int) -> list[_Piece]:
    found = [
        _Piece(
            encoded_frames(encoder, data, start, stop, window_frames), data.targets[start:stop], data.valid[start:stop]
        )
        for start, stop in pieces(data, part)
    ]
    if not any(piece.valid.any() for piece in found):
        raise InputError(f"the {part} intervals hold no valid frame; give both training and validation intervals")
    return found


def _moments(encoded: Sequence[_Piece], lags: int) -> _Moments:
    width, axes = encoded[0].features.shape[1] * (lags + 1), encoded[0].targets.shape[1]
    total = _Moments(0, np.zeros(width), np.zeros(axes), np.zeros((width, width)), np.zeros((width, axes)), lags)
    for piece in encoded:
        rows = np.flatnonzero(piece.valid)
        for chunk in np.array_split(rows, max(1, -(-len(rows) // CHUNK_ROWS))):
            x, y = _stacked(piece.features, chunk, lags), piece.targets[chunk].astype(np.float64)
            total = total + _Moments(len(x), x.sum(0), y.sum(0), x.T @ x, x.T @ y, lags)
    return total


def _stacked(features: Floats, rows: NDArray[np.int64], lags: int) -> F64:
    """The frames t, t-1, ... t-lags side by side (rows, (lags + 1) * d); before the beginning, zeros."""
    before = np.vstack([np.zeros((lags, features.shape[1]), dtype=features.dtype), features])
    stacked: F64 = before[rows[:, None] + lags - np.arange(lags + 1)].reshape(len(rows), -1).astype(np.float64)
    return stacked


def _score(readout: RidgeDecoder, encoded: Sequence[_Piece]) -> float:
    decoded = np.concatenate([readout.predict_stream(piece.features)[piece.valid] for piece in encoded])
    truth = np.concatenate([piece.targets[piece.valid] for piece in encoded])
    score = float(r2(truth.astype(np.float64), decoded.astype(np.float64)).mean())
    if not np.isfinite(score):
        raise InputError("a target is constant in the validation intervals; choose intervals in which it varies")
    return score
