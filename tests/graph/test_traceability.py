"""Every node of an inlined graph is known by the call of the device program that does its work, and the other way."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import pytest

from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.c_graph import graph_of
from edgebci.export.c_program import graph_context
from edgebci.export.c_spikes import generate_spike_program
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.export.traceability import BODY, CALL, in_profile, inline, metadata, trace
from edgebci.features.cases import front_end_case
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import SPIKES_TARGET, compile_target
from edgebci.pipeline.bundle_on_host import full_chunks
from tests.graph.conftest import step_form
from tests.small_specs import DECODERS, small_decoder

KERNEL = re.compile(
    r"(dense|mamba2_step|s4d_step|glu|gru_step|state_quantize|tokenizer_step|rms_norm|stack|token_attention|memory_attention|silu_quantize)_\d"
)


@pytest.mark.parametrize("precision", ["float", "int8"])
def test_every_inlined_node_is_named_after_one_top_level_node(form: Any, precision: str) -> None:
    model = form.graphs[precision]
    flat, traced = inline(model), trace(model)
    onnx.checker.check_model(flat, full_check=True)
    assert [node.name for node in traced] == [node.name for node in flat.graph.node]
    assert len({node.name for node in traced}) == len(traced)
    bodies = {function.name: [node.name for node in function.node] for function in model.functions}
    expected = []
    for node in model.graph.node:
        expected += [f"{node.name}/{body}" for body in bodies[node.op_type]] if node.domain else [node.name]
    assert Counter(node.name for node in traced) == Counter(expected)


def test_every_inlined_node_has_one_call_of_the_generated_c_and_every_call_its_nodes(form: Any) -> None:
    traced = trace(form.quantized_graph)
    context = graph_context(graph_of(form.quantized_graph, form.name), "c->frame")
    calls = [(operation.node.name, call.partition("(")[0]) for operation, call in context["calls"]]
    for node in traced:
        assert node.c_call is not None
        assert calls[node.c_call] == (node.call, node.c_function)
    assert {node.c_call for node in traced} == set(range(len(calls)))


def test_a_float_graph_has_no_c_and_says_so(form: Any) -> None:
    assert {(node.c_call, node.c_function) for node in trace(form.float_graph)} == {(None, None)}


def test_a_tool_that_renames_nodes_loses_nothing(mamba2: Any) -> None:
    flat = inline(mamba2.quantized_graph)
    told = [metadata(node) for node in flat.graph.node]
    assert [found[CALL] for found in told] == [node.call for node in trace(mamba2.quantized_graph)]
    inside = next(found for found in told if found.get(BODY) == "dt")
    assert inside == {CALL: "layers.0.mixer", BODY: "dt"}


def test_inlining_changes_no_bit(form: Any) -> None:
    for model in form.graphs.values():
        frames = form.frames[:30]
        flat = inline(model)
        assert OnnxStepRunner(flat).stream(frames).tobytes() == OnnxStepRunner(model).stream(frames).tobytes()


@pytest.mark.parametrize("name", ["mamba2", "s4d", "wide tokenizer"])
def test_the_rows_of_an_emulated_core_hold_every_node_and_every_kernel_has_nodes(name: str, tmp_path: Path) -> None:
    case = front_end_case("clean")
    model, sources = _program(case, name, tmp_path)
    counts = case.counts[: 4 * case.front_end.spec.samples_per_frame]
    elf = compile_target(sources, tmp_path / "firmware.elf")
    run = run_on_target(elf, counts, None, case.front_end.n_channels, case.front_end.spec.samples_per_frame, 2)
    traced = trace(model)
    rows = {row.name: in_profile(traced, row.name) for row in run.cycles.by_function}
    assert {node for nodes in rows.values() for node in nodes} == set(traced)
    assert {row for row, nodes in rows.items() if not nodes} >= {"edgebci_decoder_step", "edgebci_front_end_push"}
    assert not [row for row, nodes in rows.items() if KERNEL.match(row) and not nodes]
    assert {node.call for node in rows["edgebci_add"]} == {"layers.0.residual", "layers.1.residual"}


def test_the_rows_of_an_emulated_core_hold_every_node_of_a_decoder_of_spikes(tmp_path: Path) -> None:
    form: Any = step_form("possm gru")
    spec = form.quantized_reference.spec
    onnx.save(form.quantized_graph, tmp_path / "decoder_int8.onnx")
    generate_spike_program(tmp_path / "decoder_int8.onnx", spec, tmp_path / "firmware")
    elf = compile_target(tmp_path / "firmware", tmp_path / "firmware.elf", harness=SPIKES_TARGET)
    run = run_on_target(elf, full_chunks(spec, 4).counts, None, 2, 2 * spec.max_tokens, spec.n_outputs)
    traced = trace(form.quantized_graph)
    rows = {row.name: in_profile(traced, row.name) for row in run.cycles.by_function}
    assert {node for nodes in rows.values() for node in nodes} == set(traced)
    assert not [row for row, nodes in rows.items() if KERNEL.match(row) and not nodes]
    assert {row.partition("_")[0] for row, nodes in rows.items() if nodes} >= {"token", "memory", "silu", "gru"}


def _program(case: Any, name: str, folder: Path) -> tuple[onnx.ModelProto, Path]:
    spec = small_decoder(case.front_end.n_features, **DECODERS[name])
    model = quantized_step_graph(quantize(spec, random_parameters(spec, 1), random_frames(spec, 100, 2)))
    onnx.save(model, folder / "decoder_int8.onnx")
    generate(folder / "decoder_int8.onnx", case.front_end, folder / "firmware")
    return model, folder / "firmware"
