"""The pipelines of Cortex-M7 and M33 give the cycles that their sources state, and all cores the same bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgebci.errors import InputError
from edgebci.firmware_sim.core_pipelines import core_model, new_pipeline
from edgebci.firmware_sim.cycles import CycleMeter, CycleReport, mispredictions
from edgebci.firmware_sim.emulator import Machine
from edgebci.firmware_sim.firmware_image import FirmwareImage
from edgebci.firmware_sim.thumb import decode

Built = Callable[[str, str], FirmwareImage]
CORES = ("cortex-m4f", "cortex-m7", "cortex-m33")

# LLVM's scheduling model of the Cortex-M7: two a cycle, units, latencies from the adder's stage.
M7 = {
    "pair_of_loads": 1,  # two load pipes
    "three_loads": 2,
    "load_of_loaded_address": 1 + 1 + 1,  # loaded in EX2, needed in EX1
    "load_of_computed_address": 1 + 1 + 1,
    "two_stores": 2,  # one store pipe
    "load_then_store": 1,  # data to store are needed a stage later
    "multiply_accumulate": 3,  # one MAC pipe, which forwards its sum
    "integer_division": 7,
    "independent_float": 3,  # one FPU
    "dependent_float": 1 + 3,
    "float_multiply_accumulate": 2,
    "float_division_under_integer_work": 20,  # each addition needs the one before; the FPU is free when they are done
    "comparison": 2,
    "load_double_word": 2,
    "folded_it": 2,
}
# The Cortex-M33: as the Cortex-M4 (TI SWCU192), but loads take one cycle and their result another, and some 16-bit
# instructions go in pairs.
M33 = {
    "pair_of_loads": 2,
    "three_loads": 3,
    "load_of_loaded_address": 3,
    "load_of_computed_address": 2,
    "two_stores": 2,
    "push_of_three": 4,
    "multiply_accumulate": 3,
    "integer_division": 11,
    "independent_float": 3,
    "dependent_float": 3,
    "float_division": 15,
    "float_multiply_accumulate": 4,
    "load_of_a_double": 2,
    "folded_it": 2,  # IT goes with the comparison
}


def cycles_of(image: FirmwareImage, name: str, core: str) -> float:
    symbol = image.symbol(name)
    start = symbol.address - image.code.address
    pipeline = new_pipeline(core_model(core))
    for instruction in decode(image.code.content[start : start + symbol.size_bytes], symbol.address):
        pipeline.run(instruction)
    return pipeline.cycle


@pytest.mark.parametrize(
    ("core", "name", "cycles"),
    [("cortex-m7", *row) for row in M7.items()] + [("cortex-m33", *row) for row in M33.items()],
)
def test_sequences_take_the_cycles_that_the_sources_state(
    timed: FirmwareImage, core: str, name: str, cycles: int
) -> None:
    assert cycles_of(timed, name, core) == cycles


def measured(image: FirmwareImage, function: str, *arguments: int) -> CycleReport:
    machine = Machine(image)
    meter = CycleMeter(machine)
    machine.call(function, *arguments)
    return meter.report(np.array([meter.lap()]))


def test_a_loop_costs_its_wrong_prediction_once_on_a_core_that_predicts(built_for: Built) -> None:
    image, miss = built_for("counted.s", "cortex-m7"), core_model("cortex-m7").cycles["mispredicted"].typical
    short, long = (measured(image, "loop", n).cycles for n in (10, 110))
    once = measured(image, "loop", 1).cycles  # the branch falls through, as it always does
    assert (long - short) / 100 == pytest.approx(2, abs=0.01)  # adds; subs and bne together
    assert short - once == 9 * 2 + miss
    on_m33 = [measured(built_for("counted.s", "cortex-m33"), "loop", n).cycles for n in (10, 110)]
    assert (on_m33[1] - on_m33[0]) / 100 == 2 + 2  # adds and subs in a pair, bne, a refill of 2


def test_the_usual_way_of_a_branch_is_the_predicted_one(built_for: Built) -> None:
    machine = Machine(built_for("counted.s", "cortex-m7"))
    assert machine.counter is not None
    machine.call("loop", 50)
    profile = machine.counter.profile()
    surprises = mispredictions(profile, profile.edge_count.astype(float))
    assert surprises.sum() == 1
    assert profile.edge_count[surprises > 0].tolist() == [1]


@pytest.mark.parametrize("core", CORES[1:])
def test_every_core_computes_the_bits_of_the_cortex_m4f(built_for: Built, core: str) -> None:
    content = np.random.default_rng(7).integers(0, 256, 256 * 256, dtype=np.uint8).tobytes()
    results = []
    for each in (CORES[0], core):
        machine = Machine(built_for("programs.c", each))
        machine.write("weights", content)
        machine.write("activations", content[:256])
        given = [machine.call("collatz", 27), machine.call("fibonacci", 9)]
        for function, arguments in (("dense", (32, 61)), ("saturate", (200,)), ("exponentials", (256,))):
            machine.call(function, *arguments)
        results.append((given, machine.read("sums"), machine.read("float_sums")))
    assert results[0] == results[1]
    assert len(set(results[0][2])) > 100  # the exponentials are no constant


# Cycles per multiply-accumulate that earlier, independent models of the cores gave for the same C by the same compiler.
# 8 %: that program also requantized each row.
DENSE = {"cortex-m7": ((64, 3.03), (128, 2.76), (256, 2.63)), "cortex-m33": ((64, 5.59), (128, 5.29), (256, 5.14))}


@pytest.mark.parametrize("core", DENSE)
def test_plain_int8_dense_layer_costs_what_an_earlier_model_gave(built_for: Built, core: str) -> None:
    for size, expected in DENSE[core]:
        found = measured(built_for("programs.c", core), "dense", size, size)
        assert found.cycles / size**2 == pytest.approx(expected, rel=0.08)
        assert found.core == core


def test_a_core_without_figures_has_no_cycles() -> None:
    with pytest.raises(InputError, match="no cycle model for riscv32, only for cortex-m33, cortex-m4f"):
        core_model("riscv32")
