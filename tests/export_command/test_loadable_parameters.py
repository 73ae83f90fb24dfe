"""The device program takes a parameter block while it is in use, bit for bit as the bundle does, or refuses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgebci.bundle import open_bundle
from edgebci.decoder_spec import DecoderSpec
from edgebci.device_reference import run_reference
from edgebci.errors import InputError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.features.cases import front_end_case
from edgebci.features.front_end import FrontEnd
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import NATIVE, compile_host, compile_target
from edgebci.operators.dense import QuantizedDense
from edgebci.parameter_block import ParameterBlock
from edgebci.parameters import normalization_tensors, quantized_readout_tensors
from edgebci.pipeline.bundle_calibration import BundleOrder, calibrate_bundle
from edgebci.pipeline.export_command import export
from edgebci.pipeline.export_order import ExportOrder
from edgebci.progress import silent
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.training.recipe import RidgeRecipe

CASE = front_end_case("clean")
ID = "5a" * 32
RIDGE = RidgeRecipe(lags=4, folds=2, gap_s=1.0)


@dataclass(frozen=True)
class Program:
    decoder: QuantizedDecoder
    block: ParameterBlock
    folder: Path


def block_of(front_end: FrontEnd, readout: QuantizedDense, bundle_id: str = ID) -> ParameterBlock:
    return ParameterBlock(bundle_id, normalization_tensors(front_end) | quantized_readout_tensors(readout))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("loadable")
    spec = DecoderSpec(
        n_inputs=CASE.front_end.n_features,
        output_names=("vx", "vy"),
        output_unit="cm/s",
        d_model=12,
        n_layers=1,
        d_state=8,
        headdim=6,
    )
    decoder = quantize(spec, random_parameters(spec, 3), random_frames(spec, 500, 4))
    onnx.save(quantized_step_graph(decoder), folder / "decoder_int8.onnx")
    block = block_of(CASE.front_end, decoder.readout)
    generate(folder / "decoder_int8.onnx", CASE.front_end, folder / "firmware", loadable=block)
    return Program(decoder, block, folder)


@pytest.fixture(scope="module")
def compiled(program: Program) -> Path:
    return compile_host(program.folder / "firmware", program.folder / "host.so", "gcc", "1")


@pytest.fixture
def twin(compiled: Path) -> HostTwin:
    return HostTwin(compiled)


def changed(program: Program) -> tuple[FrontEnd, QuantizedDecoder]:
    """Another day: other statistics and another readout behind the same quantizer."""
    rng, readout = np.random.default_rng(7), program.decoder.readout
    front_end = replace(
        CASE.front_end,
        mean=CASE.front_end.mean + rng.normal(0, 0.3, CASE.front_end.mean.shape).astype(np.float32),
        sd=CASE.front_end.sd * rng.uniform(0.5, 2.0, CASE.front_end.sd.shape).astype(np.float32),
    )
    new = replace(
        readout,
        weight=np.roll(readout.weight, 1, axis=1),
        weight_scale=readout.weight_scale * np.float32(1.7),
        bias=readout.bias - np.float32(0.4),
    )
    return front_end, replace(program.decoder, readout=new)


def goes_on_as(twin: HostTwin, front_end: FrontEnd, decoder: QuantizedDecoder) -> bool:
    found = twin.push(CASE.counts, CASE.missing)
    wanted = run_reference(front_end, decoder, CASE.counts, CASE.missing)
    return bool(
        found.features.tobytes() == wanted.features.tobytes() and found.outputs.tobytes() == wanted.outputs.tobytes()
    )


def test_before_anything_is_loaded_the_program_is_the_exported_one(program: Program, twin: HostTwin) -> None:
    assert goes_on_as(twin, CASE.front_end, program.decoder)


def test_a_loaded_block_gives_the_bits_of_the_calibrated_reference(program: Program, twin: HostTwin) -> None:
    front_end, decoder = changed(program)
    assert twin.load_parameters(block_of(front_end, decoder.readout).to_bytes()) == 0
    assert goes_on_as(twin, front_end, decoder)
    assert program.decoder.readout.bias.tobytes() != decoder.readout.bias.tobytes()


def test_a_reset_keeps_what_is_loaded_and_power_on_does_not(program: Program, twin: HostTwin) -> None:
    front_end, decoder = changed(program)
    twin.load_parameters(block_of(front_end, decoder.readout).to_bytes())
    twin.push(CASE.counts)
    twin.reset()
    assert goes_on_as(twin, front_end, decoder)
    twin.power_on()
    assert goes_on_as(twin, CASE.front_end, program.decoder)


def test_a_block_is_one_contexts_own(program: Program, compiled: Path, twin: HostTwin) -> None:
    """Two streams of one program: nothing that changes is shared."""
    other, (front_end, decoder) = HostTwin(compiled), changed(program)
    assert other.load_parameters(block_of(front_end, decoder.readout).to_bytes()) == 0
    assert goes_on_as(twin, CASE.front_end, program.decoder)
    assert goes_on_as(other, front_end, decoder)


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


REFUSED: dict[str, tuple[int, Callable[[Program, FrontEnd, QuantizedDecoder], bytes]]] = {
    "cut short": (1, lambda _, f, d: block_of(f, d.readout).to_bytes()[:-4]),
    "a changed byte": (2, lambda _, f, d: flip(block_of(f, d.readout).to_bytes(), 40)),
    "another bundle's": (4, lambda _, f, d: block_of(f, d.readout, "6b" * 32).to_bytes()),
    "another activation scale": (
        5,
        lambda _, f, d: block_of(f, replace(d.readout, act_scale=d.readout.act_scale * np.float32(2))).to_bytes(),
    ),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_what_is_refused_leaves_the_old_parameters(program: Program, twin: HostTwin, what: str) -> None:
    code, make = REFUSED[what]
    before = twin.state_bytes()
    assert twin.load_parameters(make(program, *changed(program))) == code
    assert twin.state_bytes() == before


HARNESS = """\
#include "edgebci_parameters.h"
#include "decoder.h"

uint32_t edgebci_harness_refused;
static const uint8_t block[] = {{{block}}};

static void init_then_load(edgebci_t *context)
{{
    edgebci_init(context);
    edgebci_harness_refused = edgebci_load_parameters(context, block, (uint32_t)sizeof block);
}}

#define edgebci_init init_then_load
#include "{native}/harness_target.c"
"""


@pytest.mark.parametrize("damaged", [False, True])
def test_the_core_takes_a_block_as_the_host_does_and_keeps_the_old_one_where_it_is_damaged(
    program: Program, tmp_path: Path, damaged: bool
) -> None:
    front_end, decoder = changed(program)
    sent = block_of(front_end, decoder.readout).to_bytes()
    sent = flip(sent, 40) if damaged else sent
    harness = tmp_path / "harness.c"
    harness.write_text(HARNESS.format(block=", ".join(map(str, sent)), native=NATIVE))
    elf = compile_target(program.folder / "firmware", tmp_path / "decoder.elf", harness=harness)
    samples = CASE.front_end.spec.samples_per_frame
    found = run_on_target(elf, CASE.counts, CASE.missing, CASE.counts.shape[1], samples, 2)
    with_old = run_reference(CASE.front_end, program.decoder, CASE.counts, CASE.missing)
    with_new = run_reference(front_end, decoder, CASE.counts, CASE.missing)
    assert with_old.outputs.tobytes() != with_new.outputs.tobytes()
    assert found.outputs.tobytes() == (with_old if damaged else with_new).outputs.tobytes()


def test_without_the_option_the_program_has_no_loader_and_no_writable_tables(program: Program, tmp_path: Path) -> None:
    files = generate(program.folder / "decoder_int8.onnx", CASE.front_end, tmp_path / "firmware")
    assert not any("parameters" in path.name for path in files)
    assert "static const float edgebci_mean" in (tmp_path / "firmware" / "front_end_tables.h").read_text()
    assert "static const int8_t node_readout_weight" in (tmp_path / "firmware" / "weights.c").read_text()


def test_an_exported_program_takes_what_calibrate_writes_for_its_bundle(finished_run: Any, tmp_path: Path) -> None:
    order = ExportOrder(model=finished_run.checkpoint, out=tmp_path / "b", target="cortex-m4f", loadable=True)
    export(order, silent)
    bundle = open_bundle(tmp_path / "b")
    twin = HostTwin(compile_host(bundle.firmware, tmp_path / "host.so", "gcc", "1"))
    sent = bundle.folder / "parameters.bin"
    assert twin.load_parameters(sent.read_bytes()) == 0
    calibrated = BundleOrder(bundle=bundle.folder, recording=finished_run.recording, calibration_s=40.0, ridge=RIDGE)
    calibrate_bundle(calibrated, tmp_path, silent)
    assert twin.load_parameters(sent.read_bytes()) == 0
    front_end, counts = open_bundle(bundle.folder).front_end(), np.zeros((2000, 10), np.int16)
    counts += np.random.default_rng(3).normal(0, 300, counts.shape).astype(np.int16)
    wanted = run_reference(front_end, open_bundle(bundle.folder).quantized_decoder(), counts, np.zeros(2000, bool))
    assert twin.push(counts).outputs.tobytes() == wanted.outputs.tobytes()


def test_a_runtime_cannot_be_asked_for_loadable_c(finished_run: Any, tmp_path: Path) -> None:
    order = ExportOrder(
        model=finished_run.checkpoint, out=tmp_path / "b", target="cpu", precision="fp32", loadable=True
    )
    with pytest.raises(InputError, match="cpu gets no C, which alone can load parameters"):
        export(order, silent)
    assert list(tmp_path.iterdir()) == []
