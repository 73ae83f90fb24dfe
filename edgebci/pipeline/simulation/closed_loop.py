"""A simulated user with delayed feedback who steers a cursor through the decoder: how long a target takes.

The user sees the cursor `delay_s` late, and intends a velocity towards the target. What the decoder makes of an
intention is taken from the simulated recording: decoded = gain x intended, `lag` later, + error, where gain and error
come from the least-squares fit of what was decoded to what was true. The error is replayed as it was, so that it has
the decoder's own size, spectrum and dependence between axes. The user knows what was intended but not yet seen, with
`foresight`, and takes the gain that serves best at each delay, as people learn to.

The brain is not in the loop: nothing here adapts but the user's gain, and neural activity is not drawn anew. Willett et
al. 2013 (J Neural Eng 10:026011) measured that performance falls with 100, 200 and 300 ms of delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.metrics import F64

DELAYS_S = (0.0, 0.1, 0.2, 0.3)
GAINS_PER_S = (1.0, 1.5, 2.0, 3.0, 4.5, 6.0)
FORESIGHT = 0.5
"""Share of the movement that was intended but not yet seen, that the user takes into account. Assumed."""
TARGET_RADIUS = 0.15
HOLD_S = 0.3
LONGEST_S = 8.0
TRIALS = 200
"""Of the distance to the target, and times of a trial; assumed, of the order of centre-out tasks."""


@dataclass(frozen=True)
class DecoderChannel:
    """What a decoder makes of an intended velocity: gain (D, D), error (K, D) in the unit of velocity, lag in frames.

    typical_speed: mean length of the true velocity.
    """

    gain: F64
    error: F64
    lag_frames: int
    rate_hz: float
    typical_speed: float


class LoopPoint(Document):
    """One delay of the feedback."""

    delay_s: float
    gain_per_s: float
    """Of the user: intended speed over distance."""
    acquired_share: float
    median_s: float | None
    """Time to the target, of those acquired; None where none was."""
    p90_s: float | None


class ClosedLoop(Document):
    """Acquisition over delay, with the decoder degraded as in the simulation."""

    basis: str = "a simulated user; the decoder's gain, lag and error are those of the simulated recording"
    trials: int
    distance: float
    unit: str
    points: tuple[LoopPoint, ...]


def channel_of(truth: F64, decoded: F64, lag_s: float, rate_hz: float) -> DecoderChannel:
    """Fit what was decoded, (K, D) of one stretch, to what was true, `lag_s` earlier.

    Raises:
        InputError: nothing moves.
    """
    lag = max(round(lag_s * rate_hz), 0)
    moved, followed = truth[: len(truth) - lag], decoded[lag:]
    speed = float(np.linalg.norm(truth, axis=1).mean())
    if speed == 0.0:
        raise InputError("the true velocity is 0 throughout; give a recording in which something moves")
    transposed, *_ = np.linalg.lstsq(moved - moved.mean(axis=0), followed - followed.mean(axis=0), rcond=None)
    return DecoderChannel(transposed.T, followed - moved @ transposed, lag, rate_hz, speed)


def close_loop(
    channel: DecoderChannel, unit: str, seed: int, delays_s: Sequence[float] = DELAYS_S, trials: int = TRIALS
) -> ClosedLoop:
    """Let the user reach for targets, at each delay with each gain, and keep the best gain."""
    # A reach of about a second at the speed that the recording shows.
    distance = channel.typical_speed
    points = [
        min(
            (_point(channel, delay_s, gain, distance, trials, seed) for gain in GAINS_PER_S),
            key=lambda point: (-round(point.acquired_share, 2), point.median_s or LONGEST_S),
        )
        for delay_s in delays_s
    ]
    return ClosedLoop(trials=trials, distance=distance, unit=unit.removesuffix("/s"), points=tuple(points))


def _point(
    channel: DecoderChannel, delay_s: float, gain_per_s: float, distance: float, trials: int, seed: int
) -> LoopPoint:
    times_s = acquisition_s(channel, delay_s, gain_per_s, distance, trials, seed)
    acquired = times_s[np.isfinite(times_s)]
    return LoopPoint(
        delay_s=delay_s,
        gain_per_s=gain_per_s,
        acquired_share=len(acquired) / trials,
        median_s=float(np.median(acquired)) if len(acquired) else None,
        p90_s=float(np.quantile(acquired, 0.9)) if len(acquired) else None,
    )


def acquisition_s(
    channel: DecoderChannel, delay_s: float, gain_per_s: float, distance: float, trials: int, seed: int
) -> F64:
    """Time to the target of each trial, (trials,), without the hold; inf where it was not acquired.

    All trials run side by side; the same seed gives the same targets and errors for every delay and gain.
    """
    rng = np.random.default_rng(seed)
    n_dims, n_frames = channel.error.shape[1], round(LONGEST_S * channel.rate_hz)
    direction = rng.standard_normal((trials, n_dims))
    target = distance * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    first = rng.integers(0, max(len(channel.error) - n_frames, 1), trials)
    seen_ago, made_ago = round(delay_s * channel.rate_hz), channel.lag_frames
    position = np.zeros((n_frames + 1, trials, n_dims))
    intended = np.zeros((n_frames, trials, n_dims))
    for k in range(n_frames):
        believed = _believed(position, intended, k, seen_ago, made_ago, channel)
        intended[k] = _bounded(gain_per_s * (target - believed), 2 * channel.typical_speed)
        of_then = intended[k - made_ago] if k >= made_ago else np.zeros_like(target)
        error = channel.error[(first + k) % len(channel.error)]
        position[k + 1] = position[k] + (of_then @ channel.gain.T + error) / channel.rate_hz
    return _first_held_s(np.linalg.norm(position[1:] - target, axis=2), TARGET_RADIUS * distance, channel.rate_hz)


def _believed(position: F64, intended: F64, k: int, seen_ago: int, made_ago: int, channel: DecoderChannel) -> F64:
    """Where the user thinks the cursor is: what is seen, and a share of what was intended since."""
    seen = position[max(k - seen_ago, 0)]
    unseen = intended[max(k - seen_ago - made_ago, 0) : k].sum(axis=0) @ channel.gain.T / channel.rate_hz
    return np.asarray(seen + FORESIGHT * unseen)


def _bounded(velocity: F64, fastest: float) -> F64:
    speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
    return np.asarray(velocity * np.minimum(1.0, fastest / np.maximum(speed, 1e-12)))


def _first_held_s(distance: F64, radius: float, rate_hz: float) -> F64:
    """When each column of (K, trials) first stays within the radius for HOLD_S; inf where it never does."""
    hold = max(1, round(HOLD_S * rate_hz))
    inside = np.concatenate([np.zeros((1, distance.shape[1])), np.cumsum(distance <= radius, axis=0)])
    held = inside[hold:] - inside[:-hold] == hold
    return np.where(held.any(axis=0), (held.argmax(axis=0) + 1) / rate_hz, np.inf)
