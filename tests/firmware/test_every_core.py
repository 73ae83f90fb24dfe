"""The whole device program gives the same bits on every core: 1,000 steps, with samples at the rails and missing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgebci.device_reference import run_reference
from edgebci.errors import MissingToolError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.core_vectors import put_kernels_of
from edgebci.export.fixed_graph import fixed_step_graph
from edgebci.export.fixed_quantization import quantize_fixed
from edgebci.features.cases import front_end_case
from edgebci.firmware_sim.cores import CORES
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_host, compile_target
from edgebci.firmware_sim.user_program import compile_user, run_user, runner
from edgebci.pipeline.device import reference_difference, target_difference
from tests.small_specs import small_decoder

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
    sources = Path(shutil.copytree(program.sources, tmp_path / "c"))
    if core in ("aarch64", "cortex-m55"):
        assert "edgebci_dense.h" in put_kernels_of(core, sources)
    elf = compile_user(sources, tmp_path / "program", CORES[core])
    run = run_user(elf, CORES[core], counts, missing, host.samples_per_frame, program.decoder.spec.n_outputs)
    assert target_difference(twin, host, run) is None
    assert 0 < run.valid.sum() < STEPS
    assert (run.instructions is None) == (core == "host")


def test_a_decoder_in_fixed_point_has_the_bits_of_the_reference_with_helium(tmp_path: Path) -> None:
    core, case, n_frames = CORES["cortex-m55"], front_end_case("clean"), 40
    try:
        runner(core)
    except MissingToolError as absent:
        pytest.skip(f"not run on {core.name}: {absent}")
    front_end = case.front_end
    # As wide as the edge student.
    spec = small_decoder(front_end.n_features).model_copy(update={"d_model": 64, "headdim": 32, "n_layers": 1})
    decoder = quantize_fixed(spec, random_parameters(spec, 1), random_frames(spec, 100, 2))
    onnx.save(fixed_step_graph(decoder), tmp_path / "fixed.onnx")
    generate(tmp_path / "fixed.onnx", front_end, tmp_path / "c", core.name)
    assert put_kernels_of(core.name, tmp_path / "c") == ("edgebci_dense.h",)
    host = HostTwin(compile_host(tmp_path / "c", tmp_path / "twin.so", "gcc", "0"))
    counts = case.counts[: n_frames * host.samples_per_frame]
    program = compile_user(tmp_path / "c", tmp_path / "program", core)
    run = run_user(program, core, counts, None, host.samples_per_frame, spec.n_outputs)
    twin = host.run(counts)
    assert target_difference(twin, host, run) is None
    assert twin.outputs.tobytes() == decoder.stream(twin.features).tobytes()
    assert np.ptp(run.outputs) > 0
    promised = re.search(r"EDGEBCI_STACK_BYTES (\d+)u", (tmp_path / "c" / "decoder.h").read_text())
    assert promised
    assert 0 < run.stack_bytes <= int(promised[1])


def test_a_host_twin_is_what_its_file_holds_now(stream: Any, build: Any, tmp_path: Path) -> None:
    libraries = stream[0].host, build(front_end_case("power_only").front_end).host
    found = []
    for library in libraries:
        shutil.copyfile(library, tmp_path / "twin.so")
        found.append(len(HostTwin(tmp_path / "twin.so").state_bytes()))
    assert found == [len(HostTwin(library).state_bytes()) for library in libraries]
    assert found[0] != found[1]
