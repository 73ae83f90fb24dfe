"""What bounds each part of the decode step in fixed point, and how far from it the generated C is, core by core.

The bound of a part counts what its scheme cannot do without, on a core that does nothing else: words loaded, stores,
packed multiply-accumulates and other data instructions, each per unit of work. On a core of one issue slot every
instruction takes a cycle; on one of two, multiply-accumulates take one each and the rest shares what is left. The model
(`edgebci.firmware_sim.cycles`) knows more: latencies, branches, the first load of a row.

Where cycles were saved: sums begin with a product, so that nothing is cleared; four rows of the state are read and put
out in one piece, without a sum in memory; two rows share the loads of what is injected; the window of the convolution
is a ring, two channels to a word, so that no step moves it; frames come eight to a load and saturate to a whole number
of bits, one instruction after a rounding conversion; norms round with the saturation; sums of rows are scaled where
they lie, with pointers that move by themselves; on an M33, where a load takes a cycle wherever it stands, eight rows of
weights share the loads of activations.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgebci.edge_student import EdgeStudent, lfp_like_counts
from edgebci.example_decoder import random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.core_kernels import PACKED_CORES
from edgebci.export.fixed_graph import fixed_step_graph
from edgebci.export.fixed_quantization import quantize_fixed
from edgebci.features.fitting import Portion, fit_front_end
from edgebci.features.front_end import FrontEnd
from edgebci.features.stream import FeatureStream, Normalizer
from edgebci.firmware_sim.core_pipelines import core_model
from edgebci.firmware_sim.target_run import TargetRun, run_on_target
from edgebci.firmware_sim.toolchain import compile_target
from edgebci.fixed_decoder import FixedDecoder
from edgebci.operators.dense_fixed import FixedDense
from edgebci.operators.mamba2_fixed import SLOTS, padded_taps
from edgebci.progress import Progress, part, silent

CALIBRATION_FRAMES, FRAMES = 150, 8


@dataclass(frozen=True)
class Needs:
    """What a part cannot do without, in instructions per step."""

    loads: float
    multiplies: float
    others: float  # stores and other data instructions

    def times(self, units: int) -> Needs:
        """Of so many units."""
        return Needs(units * self.loads, units * self.multiplies, units * self.others)

    def cycles(self, issue: float) -> float:
        """The fewest cycles on a core that starts `issue` instructions at a time, of which one multiplies."""
        return max(self.multiplies, (self.loads + self.multiplies + self.others) / issue)

    @property
    def bounded_by(self) -> str:
        """What there is most of."""
        counts = {"loads": self.loads, "multiply-accumulates": self.multiplies, "other instructions": self.others}
        return max(counts, key=lambda name: counts[name])


@dataclass(frozen=True)
class PartCycles:
    """One part of the step on one core; `units` are its MACs or elements."""

    name: str
    cycles: float
    units: int
    bound: float
    bounded_by: str

    @property
    def over_bound(self) -> float:
        """Cycles over what the scheme needs."""
        return self.cycles / self.bound


@dataclass(frozen=True)
class StepCycles:
    """The decode step on one core: modelled cycles at zero wait states."""

    core: str
    error_fraction: float
    step: float
    parts: tuple[PartCycles, ...]

    def rows(self) -> list[tuple[str, str]]:
        """A table: part, and its figures in words."""
        found = [
            (
                one.name,
                f"{one.cycles:,.0f} cycles, {one.cycles / one.units:.2f} each of {one.units:,}; "
                f"bound {one.bound:,.0f} ({one.bounded_by}), {one.over_bound:.2f} times it",
            )
            for one in self.parts
        ]
        return [("whole step", f"{self.step:,.0f} cycles, modelled, +-{self.error_fraction:.0%}"), *found]


def step_cycles(
    student: EdgeStudent, cores: tuple[str, ...] = PACKED_CORES, seed: int = 0, progress: Progress = silent
) -> tuple[StepCycles, ...]:
    """Generate, compile and emulate the student with random weights in fixed point on each core.

    Raises:
        InputError: the compiler is missing. VerificationError: a program faulted.
    """
    front_end, decoder = _drawn(student, seed)
    counts = lfp_like_counts(student, FRAMES, seed + 1)
    done = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx.save(fixed_step_graph(decoder), folder / "fixed.onnx")
        for k, core in enumerate(cores):
            here = part(progress, k / len(cores), (k + 1) / len(cores))
            generate(folder / "fixed.onnx", front_end, folder / core, core)
            elf = compile_target(folder / core, folder / f"{core}.elf", core)
            sizes = (front_end.n_channels, front_end.spec.samples_per_frame, decoder.spec.n_outputs)
            done.append(_measured(core, decoder, run_on_target(elf, counts, None, *sizes, here)))
    return tuple(done)


def needs(decoder: FixedDecoder) -> dict[str, tuple[int, Needs]]:
    """Units and needs of each part, by how its C functions begin or end."""
    block, layers = decoder.spec.block, decoder.spec.n_layers
    macs = sum(dense.weight.size for dense in _dense(decoder))
    rows = sum(len(dense.weight) for dense in _dense(decoder))
    state, values = block.d_inner * block.d_state * layers, block.d_inner * layers
    channels, taps = block.conv_dim * layers, padded_taps(block.d_conv)
    normed = (layers + 1) * decoder.spec.d_model + values
    # Of four products: a word of two rows and columns, a quarter of a word of activations (eight rows share it), two
    # multiplications, an extension.
    # Of a row: multiplier and bias; scaling; saturation, half a packing and half a store.
    dense = Needs((1 + 0.25) * macs / 4 + 2 * rows, macs / 2 + rows, macs / 4 + 2 * rows)
    return {
        "dense_fixed": (macs, dense),
        # Of two channels in a word: ring, weights; of each: scaling, line of SiLU; half a store, saturation, index,
        # shift, sum, store.
        "_convolution": (channels, Needs(taps + 3, taps + 2, 5.5).times(channels)),
        # A word of two elements, a quarter of one of C; of a value: its ring, W and gain.
        "_read": (state, Needs(0.625 * state + 2 * values, 0.5 * state + 3 * values, values)),
        # A quarter of the heads: of two elements of two rows each two words of h, and four of w B that both rows share.
        "_rewrite": (state, Needs(1.5 * state / SLOTS, 3 * state / SLOTS, 2 * state / SLOTS)),
        "_gate": (values, Needs(2.5 * values, 2 * values, 6 * values)),
        # Two halves of a load, saturation; half a packing and half a store.
        "norm_fixed": (normed, Needs(normed, 1.5 * normed, 2 * normed)),
        # Conversion, saturation; half a move to core registers, half a packing and half a store.
        "quantize_fixed": (decoder.spec.n_inputs, Needs(1, 1, 3.5).times(decoder.spec.n_inputs)),
    }


def _dense(decoder: FixedDecoder) -> list[FixedDense]:
    return [decoder.entry, *(dense for layer in decoder.layers for dense in (layer.in_proj, layer.out_proj))]


def _drawn(student: EdgeStudent, seed: int) -> tuple[FrontEnd, FixedDecoder]:
    """Front end and decoder with random weights, fitted to noise that looks like LFP."""
    counts = lfp_like_counts(student, CALIBRATION_FRAMES, seed)

    def portions() -> Iterable[Portion]:
        yield counts, np.zeros(len(counts), bool)

    front_end = fit_front_end(student.features, portions)
    frames = FeatureStream(front_end.spec, front_end.good_channels).push(counts)
    normalised = Normalizer(front_end).push(frames).astype(np.float32)
    return front_end, quantize_fixed(student.decoder, random_parameters(student.decoder, seed), normalised)


def _measured(core: str, decoder: FixedDecoder, run: TargetRun) -> StepCycles:
    by_name = {f.name: f.cycles / len(run.outputs) for f in run.cycles.by_function}
    slots = core_model(core).slots
    # A core that pairs short instructions only pairs none of these.
    narrow = "narrow_pairs" in slots and slots["narrow_pairs"].typical > 0
    issue = slots["issue"].typical if "issue" in slots and not narrow else 1.0
    parts = []
    for name, (units, needed) in needs(decoder).items():
        own = [
            value for f, value in by_name.items() if f.startswith(name) or (f.endswith(name) and "mamba2_fixed" in f)
        ]
        parts.append(PartCycles(name.strip("_"), sum(own), units, needed.cycles(issue), needed.bounded_by))
    step = next(step.mean for step in run.cycles.steps if step.name == "decoder")
    rest = step - sum(one.cycles for one in parts)
    rest_part = PartCycles("the rest: steps and decays, readout, calls", rest, 1, rest, "float32")
    return StepCycles(core, run.cycles.error_fraction, step, (*parts, rest_part))
