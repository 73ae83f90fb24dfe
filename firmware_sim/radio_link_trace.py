"""Which packets are lost: a link with good and bad times (Gilbert 1960, Elliott 1963), drawn from a seed.

    good -> bad -> good ...     each stay lasts a random time without memory
    lost                        a packet is lost with one probability in good times, another in bad ones

Losses of a body-worn or implanted link come in bursts (shadowing by the body, interference), and a burst costs a
decoder with memory more than the same number of single losses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgebci.errors import InputError

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class BurstChannel:
    """A link in plain numbers.

    Fields:
        good_loss, bad_loss: probability that a packet is lost in either time.
        bad_share: of the time. bad_s: mean length of a bad time, s.
    """

    good_loss: float
    bad_loss: float
    bad_share: float
    bad_s: float

    @property
    def loss_share(self) -> float:
        """Of many packets."""
        return (1.0 - self.bad_share) * self.good_loss + self.bad_share * self.bad_loss

    @property
    def good_s(self) -> float:
        """Mean length of a good time, s."""
        return self.bad_s * (1.0 - self.bad_share) / self.bad_share if self.bad_share > 0 else np.inf


@dataclass(frozen=True, eq=False)
class LossTrace:
    """Fields (n,): packets that were lost, and those that were sent in a bad time."""

    lost: Bool
    bad: Bool


class BadTimes:
    """When a channel is bad, asked for at moments that never go back; memory does not grow with time."""

    def __init__(self, channel: BurstChannel, rng: np.random.Generator) -> None:
        self._channel, self._rng = channel, rng
        self._bad = bool(rng.random() < channel.bad_share)
        self._until_s = self._stay_s()

    def is_bad(self, moment_s: float) -> bool:
        """Whether the channel is bad then."""
        while moment_s >= self._until_s:
            self._bad = not self._bad
            self._until_s += self._stay_s()
        return self._bad

    def loses(self, moment_s: float) -> bool:
        """Whether a packet that is sent then is lost."""
        loss = self._channel.bad_loss if self.is_bad(moment_s) else self._channel.good_loss
        return loss > 0.0 and bool(self._rng.random() < loss)

    def _stay_s(self) -> float:
        mean_s = self._channel.bad_s if self._bad else self._channel.good_s
        return float(self._rng.exponential(mean_s)) if np.isfinite(mean_s) else np.inf


def channel_trace(channel: BurstChannel, n_packets: int, packet_period_s: float, seed: int) -> LossTrace:
    """Send a packet every `packet_period_s`, once each, and mark those that are lost."""
    rng = np.random.default_rng(seed)
    times = BadTimes(channel, rng)
    bad = np.fromiter((times.is_bad(i * packet_period_s) for i in range(n_packets)), dtype=bool, count=n_packets)
    lost = rng.random(n_packets) < np.where(bad, channel.bad_loss, channel.good_loss)
    return LossTrace(lost=lost, bad=bad)


def burst_trace(loss_share: float, mean_burst_packets: float, n_packets: int, seed: int) -> LossTrace:
    """Lose `loss_share` of packets in bursts of `mean_burst_packets` on average: Gilbert's channel, packet by packet.

    Raises:
        InputError: a share outside 0 to below 1, or a burst shorter than chance alone makes it.
    """
    if not 0.0 <= loss_share < 1.0:
        raise InputError(f"the share of lost packets is {loss_share:g}; give one from 0 to below 1")
    alone = 1.0 / (1.0 - loss_share)
    if mean_burst_packets < alone:
        raise InputError(
            f"bursts of {mean_burst_packets:g} packets are shorter than chance makes them at a loss of "
            f"{loss_share:g}; give at least {alone:.4g}"
        )
    rng = np.random.default_rng(seed)
    lost = _alternating(loss_share, mean_burst_packets, n_packets, rng) if loss_share else np.zeros(n_packets, bool)
    return LossTrace(lost=lost, bad=lost.copy())


def missing_rows(trace: LossTrace, rows_per_packet: int, n_rows: int) -> Bool:
    """Which of `n_rows` sample rows are missing, where each packet carries `rows_per_packet` in order.

    Raises:
        InputError: the trace has fewer packets than the rows need.
    """
    needed = -(-n_rows // rows_per_packet)
    if len(trace.lost) < needed:
        raise InputError(f"{n_rows} rows need {needed} packets, the trace has {len(trace.lost)}; draw a longer one")
    return np.repeat(trace.lost[:needed], rows_per_packet)[:n_rows]


def _alternating(loss_share: float, burst: float, n_packets: int, rng: np.random.Generator) -> Bool:
    """Geometric stays in both states, the first state drawn by its share."""
    gap = burst * (1.0 - loss_share) / loss_share
    stays = 2 * int(n_packets / (burst + gap) + 8)
    states = (np.arange(stays) + int(rng.random() >= loss_share)) % 2 == 0
    lost = np.zeros(0, dtype=bool)
    while len(lost) < n_packets:
        lost = np.concatenate([lost, np.repeat(states, rng.geometric(np.where(states, 1.0 / burst, 1.0 / gap)))])
    return lost[:n_packets]
