"""The whole device program gives the same bits on every core: 1,000 steps, with samples at the rails and missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebci.device_reference import run_reference
from edgebci.errors import MissingToolError
from edgebci.export.c_generator import generate
from edgebci.features.cases import front_end_case
from edgebci.firmware_sim.cores import CORES
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_target
from edgebci.firmware_sim.user_program import compile_user, run_user, runner
from edgebci.pipeline.device import reference_difference, target_difference

STEPS = 1000


@pytest.fixture(scope="module")
def stream(build: Any) -> Any:
    """The program of a small front end, counts of any size with a stretch missing, and what the host twin gives."""
    program = build(front_end_case("clean").front_end)
    host = HostTwin(program.host)
    rng = np.random.default_rng(5)
    shape = (STEPS * host.samples_per_frame, program.front_end.n_channels)
    adc = program.front_end.spec.adc
    # Half the rail in standard deviations: one sample in twenty stands at a rail.
    counts = adc.counts(rng.normal(0, adc.highest_count / 2, shape) * adc.uv_per_count)
    missing = np.zeros(len(counts), bool)
    missing[len(counts) // 2 :][:37] = True
    return program, host, counts, missing, host.run(counts, missing)


def test_the_host_equals_the_reference(stream: Any) -> None:
    program, host, counts, missing, twin = stream
    assert len(twin.outputs) == STEPS
    assert reference_difference(run_reference(program.front_end, program.decoder, counts, missing), twin, host) is None


@pytest.mark.parametrize("core", [core.name for core in CORES.values() if core.emulator == "unicorn"])
def test_a_core_equals_the_host(stream: Any, core: str, tmp_path: Path) -> None:
    program, host, counts, missing, twin = stream
    generate(program.folder / "decoder_int8.onnx", program.front_end, tmp_path / "c", core)
    elf = compile_target(tmp_path / "c", tmp_path / "firmware.elf", core)
    sizes = program.front_end.n_channels, host.samples_per_frame, program.decoder.spec.n_outputs
    run = run_on_target(elf, counts, missing, *sizes)
    assert len(run.outputs) == STEPS
    assert run.cycles.core == core
    assert np.ptp(run.outputs) > 0
    assert target_difference(twin, host, run) is None


@pytest.mark.parametrize("core", ["host", "aarch64", "riscv32", "cortex-m55"])
def test_a_program_on_its_own_equals_the_host(stream: Any, core: str, tmp_path: Path) -> None:
    try:
        runner(CORES[core])
    except MissingToolError as absent:
        pytest.skip(f"not run on {core}: {absent}")
    program, host, counts, missing, twin = stream
    elf = compile_user(program.sources, tmp_path / "program", CORES[core])
    run = run_user(elf, CORES[core], counts, missing, host.samples_per_frame, program.decoder.spec.n_outputs)
    assert target_difference(twin, host, run) is None
    assert 0 < run.valid.sum() < STEPS
    assert (run.instructions is None) == (core == "host")
