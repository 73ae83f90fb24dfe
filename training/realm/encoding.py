"""Running a trained encoder over long stretches of a recording, in bounded memory."""

from __future__ import annotations

import torch
from torch import Tensor

from edgebci.training.realm.model import BidirectionalEncoder, CausalEncoder, RealmDecoder

STREAM_FRAMES = 2048
"""Frames per piece of a long stream; does not change the result."""
BATCH_WINDOWS = 16

AnyEncoder = CausalEncoder | BidirectionalEncoder


def fastest_device() -> torch.device:
    """Where frozen encoders run over whole corpora: the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@torch.no_grad()
def residual_stream(encoder: AnyEncoder, frames: Tensor, window_frames: int) -> Tensor:
    """What the last layer gives for one stretch of a recording, (K, C) to (K, d_model), on the encoder's device.

    A causal encoder runs as one stream from zero state. One that looks both ways sees windows of `window_frames`, the
    length that it was trained on, of which each overlaps half of the next and is believed in its middle.
    """
    frames = frames.to(encoder.norm.weight.device)  # type: ignore[arg-type]
    return (
        _streamed(encoder, frames) if isinstance(encoder, CausalEncoder) else _windowed(encoder, frames, window_frames)
    )


@torch.no_grad()
def decoded_stream(decoder: RealmDecoder, frames: Tensor, window_frames: int) -> Tensor:
    """Outputs for one stretch of a recording, (K, C) to (K, D); see `residual_stream`."""
    x = residual_stream(decoder.encoder, frames, window_frames)
    return decoder.read(x, frames.to(x.device))


def _streamed(encoder: CausalEncoder, frames: Tensor) -> Tensor:
    state, encoded = encoder.initial_state(1), []
    for piece in torch.split(frames.unsqueeze(0), STREAM_FRAMES, dim=1):
        x, state = encoder.scan(piece, state)
        encoded.append(x[0])
    return torch.cat(encoded)


def _windowed(encoder: BidirectionalEncoder, frames: Tensor, window_frames: int) -> Tensor:
    length, quarter = min(window_frames, len(frames)), window_frames // 4
    starts = [*range(0, len(frames) - length, max(length // 2, 1)), len(frames) - length]
    encoded = frames.new_empty(len(frames), encoder.spec.d_model)
    for batch in torch.split(torch.tensor(starts), BATCH_WINDOWS):
        windows = encoder(torch.stack([frames[start : start + length] for start in batch.tolist()]))
        for start, window in zip(batch.tolist(), windows, strict=True):
            skipped = quarter if start else 0
            encoded[start + skipped : start + length] = window[skipped:]
    return encoded
