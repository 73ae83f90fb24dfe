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

from dataclasses import dataclass

from edgebci.documents import Document
from edgebci.firmware_sim.core_pipelines import core_model
from edgebci.firmware_sim.target_run import TargetRun
from edgebci.fixed_decoder import FixedDecoder
from edgebci.operators.dense_fixed import FixedDense
from edgebci.operators.mamba2_fixed import SLOTS, padded_taps


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


class PartCycles(Document):
    """One part of the step on one core, modelled cycles a step; `units` are its MACs or elements."""

    name: str
    cycles: float
    units: int
    bound: float
    """The fewest cycles that its scheme needs."""
    bounded_by: str
    """What it needs most of."""

    @property
    def over_bound(self) -> float:
        """Cycles over what the scheme needs."""
        return self.cycles / self.bound

    def sentence(self) -> str:
        """For a table."""
        return (
            f"{self.cycles:,.0f} cycles, {self.cycles / self.units:.2f} each of {self.units:,}; "
            f"bound {self.bound:,.0f} ({self.bounded_by}), {self.over_bound:.2f} times it"
        )


def part_cycles(core: str, decoder: FixedDecoder, run: TargetRun) -> tuple[PartCycles, ...]:
    """Each part of the decoder's step as the run found it, beside its bound; together they are the step."""
    by_name = {f.name: f.cycles / len(run.outputs) for f in run.cycles.by_function}
    issue = _issue(core)
    parts = []
    for name, (units, needed) in needs(decoder).items():
        own = sum(
            value for f, value in by_name.items() if f.startswith(name) or (f.endswith(name) and "mamba2_fixed" in f)
        )
        bound, most = needed.cycles(issue), needed.bounded_by
        parts.append(PartCycles(name=name.strip("_"), cycles=own, units=units, bound=bound, bounded_by=most))
    step = next(step.mean for step in run.cycles.steps if step.name == "decoder")
    rest = step - sum(one.cycles for one in parts)
    name = "the rest: steps and decays, readout, calls"
    return (*parts, PartCycles(name=name, cycles=rest, units=1, bound=rest, bounded_by="float32"))


def _issue(core: str) -> float:
    """Instructions that the core starts in a cycle; one that pairs short instructions only pairs none of these."""
    slots = core_model(core).slots
    narrow = "narrow_pairs" in slots and slots["narrow_pairs"].typical > 0
    return slots["issue"].typical if "issue" in slots and not narrow else 1.0


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
