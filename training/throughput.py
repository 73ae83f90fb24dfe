"""How fast the Mamba-2 core trains here, beside others in one interleaved run: what `edgebci bench train` prints.

Every contender has two layers with a norm and a residual path each, the same mean squared error and the same AdamW;
one update is forward, backward and step. A round updates each contender once, in turn, so that whatever else the
machine does meets all of them; a contender's figure is the median over rounds, its ratio the median over rounds of
(its time / our time). The first update of each, with all compilation, is timed apart.
"""

from __future__ import annotations

import logging
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from edgebci.block_spec import BlockSpec
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.progress import Progress, silent
from edgebci.training.plain_scan import no_scan, quadratic_scan, sequential_scan
from edgebci.training.ssm import Mamba2, Scan

FRAMES = 512
SizeName = Literal["small", "base"]
Precision = Literal["float32", "bf16"]


@dataclass(frozen=True)
class Size:
    """What is trained."""

    spec: BlockSpec
    batch: int


SIZES: dict[SizeName, Size] = {
    "small": Size(BlockSpec(d_model=64, d_state=16, headdim=32), batch=8),
    "base": Size(BlockSpec(d_model=256, d_state=64, headdim=64), batch=4),
}


class Row(Document):
    """One contender at one size."""

    size: SizeName
    name: str
    precision: Precision
    compiled: bool
    n_parameters: int
    tokens_per_s: float
    slowest_tokens_per_s: float
    """In the round at the 90th percentile of time."""
    fastest_tokens_per_s: float
    """In the round at the 10th percentile of time."""
    ours_is_faster: float
    """Median over rounds of its time over that of our row of the same precision and compilation."""
    first_update_s: float
    """Warm-up, with compilation."""


class Throughput(Document):
    """One run of the bench."""

    schema_version: Literal["edgebci.throughput/1"] = "edgebci.throughput/1"
    threads: int
    load_average: tuple[float, float, float]
    """Processes that were running or waiting, over 1, 5 and 15 minutes, when it began."""
    rounds: int
    frames: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Contender:
    """A way to train the same thing."""

    name: str
    build: Callable[[BlockSpec], nn.Module]
    precision: Precision = "float32"
    compiled: bool = False
    every: int = 1
    """Takes part in every so-manieth round: the slow ones would take all the time."""


class Stack(nn.Module):
    """Two of our blocks, with norms and residual paths as the reference model has them."""

    def __init__(self, spec: BlockSpec, scan: Scan | None = None) -> None:
        super().__init__()
        self.mixers = nn.ModuleList(Mamba2(spec) if scan is None else Mamba2(spec, scan) for _ in range(2))
        self.norms = nn.ModuleList(nn.RMSNorm(spec.d_model, spec.norm_epsilon) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """(b, T, d_model) to the same."""
        for norm, mixer in zip(self.norms, self.mixers, strict=False):
            x = x + mixer(norm(x))
        last: Tensor = self.norms[2](x)
        return last


class Reference(nn.Module):
    """Mamba2Model of transformers, fed with frames; its unused table of words has one row."""

    def __init__(self, spec: BlockSpec, chunk_frames: int) -> None:
        super().__init__()
        try:
            from transformers import Mamba2Config, Mamba2Model
        except ImportError as error:
            raise InputError(
                "the bench compares with transformers, which is missing: install edgebci[bench]"
            ) from error
        logging.getLogger("transformers").setLevel(logging.ERROR)  # it says at length that its kernels are missing
        config = Mamba2Config(
            hidden_size=spec.d_model,
            state_size=spec.d_state,
            head_dim=spec.headdim,
            num_heads=spec.n_heads,
            expand=spec.expand,
            conv_kernel=spec.d_conv,
            n_groups=1,
            num_hidden_layers=2,
            vocab_size=1,
            pad_token_id=0,
            bos_token_id=0,
            eos_token_id=0,
            chunk_size=chunk_frames,
            use_cache=False,
        )
        self.model = Mamba2Model(config)

    def forward(self, x: Tensor) -> Tensor:
        """(b, T, d_model) to the same."""
        y: Tensor = self.model(inputs_embeds=x, use_cache=False)[0]
        return y


OURS, NO_SCAN, QUADRATIC = "edgebci", "no scan (the bound of any)", "quadratic dual form"
CONTENDERS = (
    Contender(OURS, Stack),
    Contender("transformers, chunks of 256 (its default)", lambda spec: Reference(spec, 256)),
    Contender("transformers, chunks of 64", lambda spec: Reference(spec, 64)),
    Contender(QUADRATIC, lambda spec: Stack(spec, quadratic_scan), every=2),
    Contender("sequential recurrence", lambda spec: Stack(spec, sequential_scan), every=4),
    Contender(NO_SCAN, lambda spec: Stack(spec, no_scan)),
)
BF16 = tuple(Contender(c.name, c.build, "bf16", every=2) for c in CONTENDERS[:3])
COMPILED = tuple(Contender(c.name, c.build, compiled=True) for c in (CONTENDERS[0], CONTENDERS[2]))


class _Trainer:
    """A contender that is being trained."""

    def __init__(self, contender: Contender, size: Size) -> None:
        torch.manual_seed(0)
        self.contender = contender
        self.model = contender.build(size.spec)
        self.forward = torch.compile(self.model) if contender.compiled else self.model
        self.adam = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.frames, self.targets = torch.randn(2, size.batch, FRAMES, size.spec.d_model)
        self.first_update_s = self.update_s()
        self.times_s: dict[int, float] = {}

    def update_s(self) -> float:
        """Seconds of one update."""
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.contender.precision == "bf16"):
            loss = (self.forward(self.frames) - self.targets).square().mean()
        loss.backward()
        self.adam.step()
        self.adam.zero_grad()
        return time.perf_counter() - start


def measure(
    sizes: tuple[SizeName, ...],
    rounds: int,
    contenders: tuple[Contender, ...] = CONTENDERS,
    threads: int = 2,
    progress: Progress = silent,
) -> Throughput:
    """Train every contender at every size, in interleaved rounds; raises InputError where transformers is missing."""
    load, threads_before = os.getloadavg(), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        rows: list[Row] = []
        for done, name in enumerate(sizes):
            progress(done / len(sizes), f"{name}: warm-up and {rounds} rounds")
            rows += _measured(name, rounds, contenders)
    finally:
        torch.set_num_threads(threads_before)
    return Throughput(threads=threads, load_average=load, rounds=rounds, frames=FRAMES, rows=tuple(rows))


def _measured(name: SizeName, rounds: int, contenders: tuple[Contender, ...]) -> list[Row]:
    with torch.random.fork_rng(devices=[]):
        trainers = [_Trainer(contender, SIZES[name]) for contender in contenders]
    for count in range(rounds):
        for trainer in trainers:
            if count % trainer.contender.every == 0:
                trainer.times_s[count] = trainer.update_s()
    return [_row(name, trainer, _ours_beside(trainer, trainers)) for trainer in trainers]


def _ours_beside(trainer: _Trainer, trainers: list[_Trainer]) -> _Trainer:
    like = (trainer.contender.precision, trainer.contender.compiled)
    return next(
        t for t in trainers if t.contender.name == OURS and (t.contender.precision, t.contender.compiled) == like
    )


def _row(size: SizeName, trainer: _Trainer, ours: _Trainer) -> Row:
    times_s, tokens = sorted(trainer.times_s.values()), SIZES[size].batch * FRAMES
    ratios = [time_s / ours.times_s[count] for count, time_s in trainer.times_s.items()]
    tenth = len(times_s) // 10
    return Row(
        size=size,
        name=trainer.contender.name,
        precision=trainer.contender.precision,
        compiled=trainer.contender.compiled,
        n_parameters=sum(p.numel() for p in trainer.model.parameters()),
        tokens_per_s=tokens / statistics.median(times_s),
        slowest_tokens_per_s=tokens / times_s[-1 - tenth],
        fastest_tokens_per_s=tokens / times_s[tenth],
        ours_is_faster=statistics.median(ratios),
        first_update_s=trainer.first_update_s,
    )
