"""Where a quantized decoder differs from its float form: which quantizer, when, and how near it is to its limits.

Both forms run over the same frames, each with its own states, so an error includes what came from before. Of each
quantizer and each bin of time:

    signal to quantization noise (dB)     10 log10(sum x^2 / sum (x - count * step)^2) over the bin's steps and elements
    share of the range in use             largest |count| / largest count

A state is a quantizer too. `conv` states are seen at their newest column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.comparison import FEWEST_BLOCKS, Comparison
from edgebci.decoder_float import FloatDecoder, segments
from edgebci.documents import Document
from edgebci.errors import InputError
from edgebci.operators.cell import layer_tap, within
from edgebci.operators.cells import CellKind
from edgebci.operators.stack import STACK
from edgebci.progress import Progress, silent
from edgebci.quantized_decoder import CHUNK, QuantizedDecoder

Arrays = Mapping[str, NDArray[Any]]
Goal = Literal["reached", "not reached", "cannot tell"]
OUTPUT = "output"


class QuantizerError(Document):
    """One quantizer over a stream; the output counts as one that never saturates."""

    name: str
    """As the float decoder names it; states end in `.next`."""
    kind: Literal["activation", "state", "output"]
    sqnr_db: float | None
    """Over the whole stream; None where nothing differs, or nothing but zeros was there."""
    sqnr_db_per_bin: tuple[float | None, ...]
    largest_count: int | None
    range_per_bin: tuple[float, ...]
    """Largest magnitude over the largest count; empty for the output."""
    saturated_share: float
    """Of all elements of all steps."""
    first_saturated_step: int | None


class OperatorCost(Document):
    """What one operator's rounding costs in mean R² over axes, against the float decoder."""

    name: str
    alone: Comparison
    """It alone is quantized."""
    spared: Comparison
    """All but it are quantized."""


class QuantizationReport(Document):
    """Everything about one quantized decoder on one stream."""

    schema_version: Literal["edgebci.quantization_report/1"] = "edgebci.quantization_report/1"
    name: str
    frame_rate_hz: float
    n_steps: int
    bin_steps: int
    metric: Literal["R²", "AUROC"] = "R²"
    """Of all accuracies here, whatever they are called."""
    r2_float: float
    r2_quantized: float
    loss: Comparison
    """Accuracy of the quantized decoder minus that of the float one."""
    quantizers: tuple[QuantizerError, ...]
    costs: tuple[OperatorCost, ...]
    """Of each operator, the most expensive first."""
    costs_note: str
    """How the costs were measured, or why not."""

    @property
    def saturating(self) -> tuple[QuantizerError, ...]:
        """Those that reached a limit, the most often first."""
        reached = [one for one in self.quantizers if one.first_saturated_step is not None]
        return tuple(sorted(reached, key=lambda one: -one.saturated_share))

    @property
    def noisiest(self) -> QuantizerError:
        """The one with the least signal over noise, the output apart."""
        measured = [one for one in self.quantizers if one.sqnr_db is not None and one.kind != "output"]
        return min(measured or self.quantizers, key=lambda one: one.sqnr_db or 0.0)


def loss_bound(comparison: Comparison) -> float:
    """Upper bound of the loss in R²: the lower end of the 95 % interval of the difference, with its sign turned."""
    return -comparison.difference.low


def goal(comparison: Comparison) -> Goal:
    """Whether the loss is at most the margin: decided where the whole interval lies on one side of it.

    Fewer blocks of test data than a verdict needs decide nothing.
    """
    if comparison.n_blocks < FEWEST_BLOCKS:
        return "cannot tell"
    if loss_bound(comparison) <= comparison.margin:
        return "reached"
    return "not reached" if comparison.difference.high < -comparison.margin else "cannot tell"


@dataclass
class _Sums:
    """What is added up about one quantizer."""

    signal: NDArray[np.float64]
    noise: NDArray[np.float64]
    largest: NDArray[np.int64]
    elements: int = 0
    saturated: int = 0
    first: int | None = None


@dataclass
class _Seen:
    """What a tap saw of one chunk."""

    values: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __call__(self, name: str, values: NDArray[Any]) -> None:
        self.values[name] = values


def quantizer_errors(
    floating: FloatDecoder,
    quantized: QuantizedDecoder,
    frames: F32,
    reset_before: NDArray[np.bool_] | None,
    bin_steps: int,
    progress: Progress = silent,
) -> tuple[tuple[QuantizerError, ...], NDArray[np.float64], F32]:
    """Run both forms and compare every quantizer.

    Args:
        floating, quantized: two forms of one decoder.
        frames: (T, n_inputs).
        reset_before: (T,) true where the states start from zero.
        bin_steps: steps per bin of time.
        progress: of the stream.

    Returns:
        The errors in the order of computation, the output last; the outputs (T, D) of both forms.

    Raises:
        InputError: the forms belong to different decoders, or there are no frames.
    """
    if floating.spec != quantized.spec:
        raise InputError("the float and the quantized decoder have different sizes; give two forms of one decoder")
    if not len(frames):
        raise InputError("there are no frames to compare both forms on; give at least one")
    counting = _Counting(tap_steps(quantized), bin_steps, -(-len(frames) // bin_steps))
    outputs = np.zeros((len(frames), floating.spec.n_outputs))
    integers = np.zeros(outputs.shape, np.float32)
    exact, counts = floating.initial_states(), quantized.initial_states()
    for start, stop, reset in segments(len(frames), reset_before, CHUNK):
        if reset:
            exact, counts = floating.initial_states(), quantized.initial_states()
        ours, theirs = _Seen(), _Seen()
        outputs[start:stop], exact = floating.run(frames[start:stop], exact, ours)
        integers[start:stop], counts = quantized.run(frames[start:stop], counts, theirs)
        counting.add(start, ours.values, theirs.values, outputs[start:stop], integers[start:stop])
        progress(stop / len(frames), "comparing both forms")
    return counting.errors(), outputs, integers


class _Counting:
    """Sums of every quantizer over bins of time."""

    def __init__(self, steps: dict[str, F32], bin_steps: int, bins: int) -> None:
        self.steps, self.bin_steps, self.bins = steps, bin_steps, bins
        self.sums: dict[str, _Sums] = {}
        self.limits: dict[str, int] = {}

    def add(self, start: int, ours: Arrays, theirs: Arrays, outputs: NDArray[np.float64], integers: F32) -> None:
        """Take one chunk that begins at step `start`."""
        for name, shown in theirs.items():
            if name == f"{STACK}.next":  # the counts of `norm`, kept for later
                continue
            # A window shows its newest column, as its float form does.
            counts = shown[..., -1] if name.startswith("conv.") else shown
            exact = ours[name.removesuffix("_q")]
            self._errors(name, start, exact, counts * self.steps[name].astype(np.float64))
            self._limits(name, start, counts)
        self._errors(OUTPUT, start, outputs, integers.astype(np.float64))

    def _errors(self, name: str, start: int, exact: NDArray[np.float64], rounded: NDArray[np.float64]) -> None:
        zeros = np.zeros(self.bins)
        sums = self.sums.setdefault(name, _Sums(zeros, zeros.copy(), np.zeros(self.bins, np.int64)))
        where, over = self._bins(start, len(exact)), tuple(range(1, exact.ndim))
        np.add.at(sums.signal, where, (exact**2).sum(axis=over))
        np.add.at(sums.noise, where, ((exact - rounded) ** 2).sum(axis=over))

    def _limits(self, name: str, start: int, counts: NDArray[Any]) -> None:
        sums, kind = self.sums[name], np.iinfo(counts.dtype)
        flat = counts.reshape(len(counts), -1)
        reached = ((flat == kind.max) | (flat == kind.min)).sum(axis=1)
        np.maximum.at(sums.largest, self._bins(start, len(flat)), np.abs(flat.astype(np.int64)).max(axis=1))
        sums.elements += flat.size
        sums.saturated += int(reached.sum())
        if sums.first is None and reached.any():
            sums.first = start + int(np.argmax(reached > 0))
        self.limits[name] = int(kind.max)

    def _bins(self, start: int, n: int) -> NDArray[np.int64]:
        return (start + np.arange(n)) // self.bin_steps

    def errors(self) -> tuple[QuantizerError, ...]:
        """Of all that was added, the output last."""
        names = [name for name in self.sums if name != OUTPUT] + [OUTPUT]
        return tuple(self._error(name, self.sums[name]) for name in names)

    def _error(self, name: str, sums: _Sums) -> QuantizerError:
        limit = self.limits.get(name)
        return QuantizerError(
            name=name.removesuffix("_q"),
            kind="output" if name == OUTPUT else "state" if name.endswith(".next") else "activation",
            sqnr_db=_decibels(sums.signal.sum(), sums.noise.sum()),
            sqnr_db_per_bin=tuple(_decibels(s, n) for s, n in zip(sums.signal, sums.noise, strict=True)),
            largest_count=limit,
            range_per_bin=tuple((sums.largest / limit).tolist()) if limit else (),
            saturated_share=sums.saturated / max(sums.elements, 1),
            first_saturated_step=sums.first,
        )


def tap_steps(decoder: QuantizedDecoder) -> dict[str, F32]:
    """One count of every quantizer, by the name under which `QuantizedDecoder.run` shows it, fit to its (T, ...)."""
    tensors, spec = decoder.tensors(), decoder.spec
    found = _tokenizer_steps(tensors) if spec.tokenizer else {"frame_q": tensors["input.act_scale"]}
    for i in range(spec.n_layers):
        own = within(tensors, f"layers.{i}.mixer")
        found[f"layers.{i}.norm_q"] = own[spec.layer.input_scale]
        named = layer_tap(found.__setitem__, i)
        for name, step in _CELL_STEPS[spec.cell](own).items():
            named(name, step)
    return found | {"norm_q": tensors["readout.act_scale"]}


def _mamba2_steps(own: Arrays) -> dict[str, F32]:
    ssm = own["ssm_scale"][:, None, None]
    return {"conv.next": own["conv1d.scale"], "ssm.next": ssm, "gated_q": own["out_proj.act_scale"]}


def _s4d_steps(own: Arrays) -> dict[str, F32]:
    modes = own["act_scale"] / own["inject"]
    return {"modes.next": np.concatenate([modes, modes], axis=1), "gated_q": own["out_proj.act_scale"]}


def _gru_steps(own: Arrays) -> dict[str, F32]:
    return {"hidden_q": own["hh.act_scale"], "hidden.next": own["hidden_scale"]}


def _tokenizer_steps(tensors: Arrays) -> dict[str, F32]:
    return {
        "conv.tokenizer.next": tensors["tokenizer.conv.scale"],
        "mean.tokenizer.next": tensors["tokenizer.mean_scale"],
        "weight.tokenizer.next": np.float32(1.0) / tensors["tokenizer.unit"],
        "tokenizer.gated_q": tensors["tokenizer.mix.act_scale"],
    }


_CELL_STEPS: dict[CellKind, Callable[[Arrays], dict[str, F32]]] = {
    "mamba2": _mamba2_steps,
    "s4d": _s4d_steps,
    "gru": _gru_steps,
}


def _decibels(signal: float, noise: float) -> float | None:
    return 10.0 * float(np.log10(signal / noise)) if signal > 0 and noise > 0 else None
