"""Measured accuracies of partitions, taken from what other commands wrote: a run's report, or a simulation.

A run scores its decoder as floats and as the device computes it: outside of the body the floats decode what is
streamed, inside the device does. A simulation scores the shipped decoder behind the implant's front end: what streams
the same samples to it scores the same, less what the link loses; its sweep of noise says how much denser the noise may
be until R2 is 0.01 lower.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from edgebci.documents import load_json
from edgebci.errors import InputError
from edgebci.hardware import Signal, load_profile
from edgebci.pipeline.budget.accuracy import Measured, read_accuracies
from edgebci.pipeline.budget.counts import Written
from edgebci.pipeline.budget.partition_paths import PartitionName

FLOAT, INT8, DEVICE = "torch", "ONNX int8", "device (host twin)"
"""Forms of a report: outside; outside behind features as the decoder takes them; on the implant."""


class _Value(BaseModel):
    value: float


class _Score(BaseModel):
    r2_mean: _Value


class _Form(BaseModel):
    name: str
    score: _Score


class _Data(BaseModel):
    n_channels: int
    lfp_rate_hz: float


class _Report(BaseModel):
    data: _Data
    forms: tuple[_Form, ...]


class _Accuracy(BaseModel):
    name: str
    r2: float


class _Policy(BaseModel):
    r2_lost: float


class _Loss(BaseModel):
    policies: tuple[_Policy, ...]


class _Amplifier(BaseModel):
    noise_nv_per_rthz: float


class _FrontEnd(BaseModel):
    amplifier: _Amplifier


class _Knee(BaseModel):
    x: float


class _Sweep(BaseModel):
    name: str
    knees: tuple[_Knee, ...]


class _Simulation(BaseModel):
    n_channels: int
    rate_hz: float
    accuracy: tuple[_Accuracy, ...]
    packet_loss: _Loss | None = None
    front_end: _FrontEnd
    sweeps: tuple[_Sweep, ...] = ()


def read_measured(path: Path) -> tuple[Measured, ...]:
    """Read a .toml of accuracies, a run's report.json or a simulation.json.

    Raises:
        InputError: it is none of them, damaged, or lacks a form that is needed.
    """
    if path.suffix != ".json":
        return read_accuracies(path)
    kind = load_json(path, Written).schema_version
    if kind.startswith("edgebci.report/"):
        return _of_run(path, load_json(path, _Report))
    if kind.startswith("edgebci.simulation/"):
        return _of_simulation(path, load_json(path, _Simulation))
    raise InputError(
        f"{path} is {kind or 'of no schema'}, and has no accuracy of partitions; give the report.json of edgebci run, "
        "the simulation.json of edgebci simulate, or a .toml of accuracies"
    )


def _of_run(path: Path, report: _Report) -> tuple[Measured, ...]:
    r2 = {form.name: form.score.r2_mean.value for form in report.forms}
    if not {FLOAT, INT8, DEVICE} <= set(r2):
        missing = ", ".join(sorted({FLOAT, INT8, DEVICE} - set(r2)))
        raise InputError(f"{path} has no score of {missing}; give the report of a run that ended with its device part")
    streamed = dict.fromkeys(_streams(report.data.lfp_rate_hz), r2[FLOAT])
    found: Mapping[PartitionName, float] = {**streamed, "lfp-features": r2[INT8], "lfp-decoded": r2[DEVICE]}
    return _measured(found, report.data.n_channels, 1.0, str(path))


def _of_simulation(path: Path, report: _Simulation) -> tuple[Measured, ...]:
    r2 = {one.name: one.r2 for one in reversed(report.accuracy)}["degraded"]
    lost = min((one.r2_lost for one in report.packet_loss.policies), default=0.0) if report.packet_loss else 0.0
    streamed = dict.fromkeys(_streams(report.rate_hz), r2 - lost)
    found: Mapping[PartitionName, float] = {**streamed, "lfp-features": r2, "lfp-decoded": r2}
    own_nv = report.front_end.amplifier.noise_nv_per_rthz
    knee_nv = max((knee.x for sweep in report.sweeps if sweep.name == "noise" for knee in sweep.knees), default=own_nv)
    ratio = max(1.0, knee_nv / own_nv) if own_nv > 0 else 1.0
    return _measured(found, report.n_channels, ratio, str(path))


def _streams(rate_hz: float) -> tuple[PartitionName, ...]:
    """Streams of the very samples that were decoded; the one of LFP's usual rate only where that is theirs."""
    own: tuple[PartitionName, ...] = ("lfp-input-rate", "lfp-input-rate-coded")
    usual_hz = load_profile(Signal, "lfp").rate_hz.typical
    return (*own, "lfp", "lfp-coded") if abs(rate_hz / usual_hz - 1) < 0.01 else own


def _measured(
    r2: Mapping[PartitionName, float], n_channels: int, noise_ratio: float, source: str
) -> tuple[Measured, ...]:
    return tuple(
        Measured(partition=name, r2=value, n_channels=n_channels, noise_ratio=noise_ratio, source=source)
        for name, value in r2.items()
    )
