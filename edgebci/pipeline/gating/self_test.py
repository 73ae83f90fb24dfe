"""`edgebci gate --self-test`: how often the gate is wrong, measured on thousands of simulated pull requests.

Two questions, for test parts of several lengths. How often does it refuse a pull request that changed bytes and nothing
else? How often does it find a loss of exactly 0.02 in R²? What it can't tell is counted apart, and every row is printed
as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.stats import beta

from edgebci.documents import Document, load_json
from edgebci.files import write_text
from edgebci.gating_limits import GateConfig
from edgebci.gating_statistics import FEWEST_SEEDS
from edgebci.pipeline.cache import run_stage, share
from edgebci.pipeline.configuration import ComparisonConfig
from edgebci.pipeline.gating.populations import Noise, Pool, Population, as_good, rescaled, unchanged, worse
from edgebci.pipeline.gating.retrained_needs import Spread
from edgebci.pipeline.gating.simulation import SEED_SPREAD, Trial, count, draw, retrained, same_weights
from edgebci.pipeline.gating.step_times import FormTimes
from edgebci.pipeline.imports import package_digest
from edgebci.progress import Progress, part

LOSS = 0.02
REQUESTS = 2000
MINUTES = (5.0, 10.0, 20.0)
FALSE_ALARMS_GOAL, FOUND_GOAL, FOUND_MINUTES, FOUND_TAU_S = 0.01, 0.95, 10.0, 0.3
NOISE_TAU_S = (0.0, 0.3, 1.0, 2.0)
ROUNDING, RECALIBRATION, OTHER_SEED = 0.001, 0.05, 0.45
"""How large the difference is, relative to the decoder's errors: rounding of an int8 form moves an output now and then
by one step; another calibration interval moves the scales; another seed makes errors that share four fifths."""
RESCALED = 0.02
"""Of a trace whose gain another calibration moved by far more than the 0.05 % between float and int8 forms."""
_NEEDS_REQUESTS = 50
_COUNTS_NAME = "counts.json"
Truth = Literal["no change", "loss"]


class SimulatedKind(Document):
    """One kind of pull request at one length of test data."""

    name: str
    truth: Truth
    weights: Literal["same", "retrained"]
    tau_s: float | None
    """Correlation time of added noise; None where none is added."""
    drift: bool
    minutes: float
    requests: int
    failed: int
    undecided: int
    passed: int

    @property
    def failed_share(self) -> float:
        """False alarms where nothing changed, power where something was lost."""
        return self.failed / self.requests

    def upper(self) -> float:
        """One-sided upper 95 % bound of the share that failed (Clopper & Pearson 1934)."""
        return (
            float(beta.ppf(0.95, self.failed + 1, self.requests - self.failed)) if self.failed < self.requests else 1.0
        )

    @property
    def counts_for_power(self) -> bool:
        """Whether the goal of 95 % speaks of it: same weights, errors correlated up to 0.3 s, no drift, 10 minutes."""
        quick = self.tau_s is None or self.tau_s <= FOUND_TAU_S
        asked = self.truth == "loss" and self.weights == "same" and not self.drift
        return asked and quick and self.minutes == FOUND_MINUTES


class SelfTest(Document):
    """All of it."""

    schema_version: Literal["edgebci.gate_self_test/1"] = "edgebci.gate_self_test/1"
    source: str
    """Whose residuals."""
    r2: float
    pool_s: float
    """Length of the stored test part that pull requests are drawn from."""
    level: float
    loss: float
    artefacts: tuple[str, ...]
    timed_forms: tuple[str, ...]
    kinds: tuple[SimulatedKind, ...]
    notes: tuple[str, ...] = ()

    def worst_false_alarms(self) -> SimulatedKind:
        """The kind without a change that is refused most often."""
        return max((one for one in self.kinds if one.truth == "no change"), key=lambda one: one.failed_share)

    def weakest_found(self) -> SimulatedKind | None:
        """Of the kinds that the goal of power speaks of, the one that is found least often; None: none was tried."""
        return min((one for one in self.kinds if one.counts_for_power), key=lambda one: one.failed_share, default=None)

    def sentences(self) -> tuple[str, str]:
        """Both goals and what became of them."""
        alarms, found = self.worst_false_alarms(), self.weakest_found()
        said = "kept" if alarms.upper() <= FALSE_ALARMS_GOAL else "MISSED"
        first = (
            f"false alarms: at most {alarms.upper():.2%} (upper 95 % bound; {alarms.failed} of {alarms.requests:,}, "
            f"{alarms.name}, {alarms.minutes:g} min); the goal of {FALSE_ALARMS_GOAL:.0%} is {said}"
        )
        if found is None:
            return first, f"power: not asked at {FOUND_MINUTES:g} minutes"
        said = "reached" if found.failed_share >= FOUND_GOAL else "MISSED"
        return first, (
            f"power: a loss of {self.loss:g} R² is found in at least {found.failed_share:.1%} ({found.name}, "
            f"{found.minutes:g} min); the goal of {FOUND_GOAL:.0%} is {said}"
        )

    @property
    def reached(self) -> bool:
        """Whether both goals are."""
        found = self.weakest_found()
        kept = self.worst_false_alarms().upper() <= FALSE_ALARMS_GOAL
        return kept and (found is None or found.failed_share >= FOUND_GOAL)


@dataclass(frozen=True)
class _Kind:
    name: str
    truth: Truth
    weights: Literal["same", "retrained"]
    tau_s: float | None
    drift: bool
    make: Callable[[np.random.Generator], Trial]


@dataclass(frozen=True, eq=False)
class Asked:
    """What pull requests are made of, how many of each kind there are, and what the gate allows.

    Fields:
        times: of a bundle against itself; empty: times are left out.
        minutes: lengths of test parts.
    """

    pool: Pool
    times: Sequence[FormTimes]
    config: GateConfig
    margins: ComparisonConfig
    requests: int
    minutes: Sequence[float]
    seed: int = 0

    @property
    def fingerprint(self) -> list[str]:
        """Of all that a count depends on."""
        arrays = [self.pool.truth, *self.pool.errors.values(), *([] if self.pool.dead is None else [self.pool.dead])]
        arrays += [side for one in self.times for side in (one.before_us, one.after_us)]
        data = hashlib.sha256(b"".join(one.tobytes() for one in arrays)).hexdigest()
        numbers = [self.pool.rate_hz, self.requests, *self.minutes, self.seed]
        return [data, json.dumps(numbers), self.config.model_dump_json(), self.margins.model_dump_json()]


class _Counts(Document):
    """One kind, at every length."""

    rows: tuple[SimulatedKind, ...]


def self_test(source: str, asked: Asked, root: Path, progress: Progress) -> SelfTest:
    """Count what the gate says to so many pull requests of each kind and length.

    Finished kinds are kept in `root`; a second process on the same folder takes the kinds that the first is not at.

    Args:
        source: whose residuals they are, for the result.
    """
    kinds = list(_kinds(asked.pool, asked.margins))
    counts = [partial(_kept, asked, k, kind, len(kinds), root, progress) for k, kind in enumerate(kinds)]
    share((root, _stage_name(k), do) for k, do in enumerate(counts))
    found = [row for do in counts for row in do()]
    return SelfTest(
        source=source,
        r2=asked.pool.r2(next(iter(asked.pool.errors))),
        pool_s=len(asked.pool.truth) / asked.pool.rate_hz,
        level=asked.config.level,
        loss=LOSS,
        artefacts=tuple(asked.pool.errors),
        timed_forms=tuple(one.form for one in asked.times),
        kinds=tuple(found),
        notes=tuple(_notes(asked, kinds)),
    )


def _stage_name(k: int) -> str:
    return f"kind_{k}"


def _kept(asked: Asked, k: int, kind: _Kind, n_kinds: int, root: Path, progress: Progress) -> tuple[SimulatedKind, ...]:
    def work(folder: Path) -> None:
        rows = tuple(_count(asked, k, kind, part(progress, k / n_kinds, (k + 1) / n_kinds)))
        write_text(folder / _COUNTS_NAME, _Counts(rows=rows).model_dump_json(indent=1) + "\n")

    stage = run_stage(root, _stage_name(k), asked.fingerprint, work, package_digest(__name__))
    return load_json(stage.folder / _COUNTS_NAME, _Counts).rows


def _count(asked: Asked, k: int, kind: _Kind, progress: Progress) -> Iterator[SimulatedKind]:
    random = np.random.default_rng([asked.seed, k])
    trial = kind.make(random)
    for i, minutes in enumerate(asked.minutes):
        progress(i / len(asked.minutes), f"{kind.name}, {minutes:g} min")
        said = count(trial, asked.pool, minutes, asked.requests, asked.config, asked.times, random)
        yield SimulatedKind(
            name=kind.name,
            truth=kind.truth,
            weights=kind.weights,
            tau_s=kind.tau_s,
            drift=kind.drift,
            minutes=minutes,
            requests=asked.requests,
            failed=said.failed,
            undecided=said.undecided,
            passed=said.passed,
        )


def _notes(asked: Asked, kinds: Sequence[_Kind]) -> Iterator[str]:
    lossy = next(one for one in kinds if one.weights == "retrained" and one.truth == "loss")
    yield _needs(lossy, asked.pool, asked.config, asked.seed)
    if asked.pool.dead is None:
        yield "no decoder was at hand to lose a channel: a dead channel was not tried"
    if not asked.times:
        yield "times were left out: no bundle was at hand"


def _needs(kind: _Kind, pool: Pool, config: GateConfig, seed: int) -> str:
    """What would find the retrained losses that this one does not."""
    random = np.random.default_rng(seed)
    found = kind.make(random)(draw(pool, _NEEDS_REQUESTS, FOUND_MINUTES, random), random)
    variance = float((found[0].losses.standard_error[:, -1] ** 2).mean())
    n_tests = sum(one.losses.value.shape[1] for one in found)
    own = 2 * SEED_SPREAD**2 / FEWEST_SEEDS
    spread = Spread(max(variance - own, 0.0), FOUND_MINUTES, SEED_SPREAD, config.level / n_tests)
    return spread.sentence(LOSS)


def _kinds(pool: Pool, margins: ComparisonConfig) -> Iterator[_Kind]:
    def same(populations: Callable[[str, np.random.Generator], Population]) -> Callable[[np.random.Generator], Trial]:
        return lambda random: same_weights(
            pool, [populations(name, random) for name in pool.errors], margins.same_weights_margin
        )

    def seeds(loss: float, drift: bool) -> Callable[[np.random.Generator], Trial]:
        def make(random: np.random.Generator) -> Trial:
            forms = same(lambda name, own: as_good(pool, name, ROUNDING, own))(random)
            first = next(iter(pool.errors))
            torch = [as_good(pool, first, OTHER_SEED, random) for _ in range(2 * FEWEST_SEEDS)]
            return retrained(pool, torch, forms, loss, drift, margins.retrained_margin)

        return make

    yield _Kind("rebuild", "no change", "same", None, False, same(lambda name, _: unchanged(pool, name)))
    for label, size in (("other rounding order", ROUNDING), ("calibrated on another interval", RECALIBRATION)):
        yield _Kind(label, "no change", "same", None, False, same(_as_good(pool, size)))
    larger = same(lambda name, _: rescaled(pool, name, RESCALED))
    yield _Kind(f"output {RESCALED:.0%} larger", "no change", "same", None, False, larger)
    yield _Kind("trained with other seeds", "no change", "retrained", None, False, seeds(0.0, False))
    for drift in (False, True):
        end = ", 60 s drift" if drift else ""
        for tau_s in NOISE_TAU_S:
            label = f"noise, {f'{tau_s:g} s' if tau_s else 'white'}{end}"
            yield _Kind(label, "loss", "same", tau_s, drift, same(_worse(pool, "noise", tau_s, drift)))
        for kind in _SHAPES if pool.dead is not None else _SHAPES[:-1]:
            yield _Kind(f"{kind}{end}", "loss", "same", None, drift, same(_worse(pool, kind, 0.0, drift)))
        yield _Kind(f"retrained{end}", "loss", "retrained", None, drift, seeds(LOSS, drift))


_SHAPES: tuple[Noise, ...] = ("gain", "lag", "saturation", "dead channel")


def _as_good(pool: Pool, size: float) -> Callable[[str, np.random.Generator], Population]:
    return lambda name, random: as_good(pool, name, size, random)


def _worse(pool: Pool, kind: Noise, tau_s: float, drift: bool) -> Callable[[str, np.random.Generator], Population]:
    return lambda name, random: worse(pool, name, kind, LOSS, tau_s, drift, random)
