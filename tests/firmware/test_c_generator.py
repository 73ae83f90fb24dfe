"""The generator: what it writes can be read, fits together, and says what it cannot do."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgebci.errors import InputError
from edgebci.export.c_generator import generate
from edgebci.export.c_graph import Node, read_graph
from edgebci.export.c_literals import Constant, identifier, literal, wrapped
from edgebci.export.c_memory import plan_memory
from edgebci.export.c_operation import Buffer, Operation
from edgebci.features.cases import base_counts, base_spec, front_end_case, front_end_for
from edgebci.features.specification import Band
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_target


@pytest.fixture(scope="module")
def program(build: Any) -> Any:
    return build(front_end_case("clean").front_end)


def test_every_node_is_one_call_under_its_own_name(program: Any) -> None:
    text = (program.sources / "decoder.c").read_text()
    body = text[text.index("edgebci_decoder_step(edgebci_t *c)\n") :].split("\n}")[0]
    graph = read_graph(program.folder / "decoder_int8.onnx")
    assert len(re.findall(r"^    \w+\(.*\);$", body, re.M)) == len(graph.nodes)
    positions = [body.index(f"/* {node.name} ({node.operator}):") for node in graph.nodes]
    assert positions == sorted(positions)


def test_the_same_decoder_gives_the_same_files(program: Any, tmp_path: Path) -> None:
    paths = generate(program.folder / "decoder_int8.onnx", program.front_end, tmp_path)
    names = {path.relative_to(tmp_path) for path in paths}
    assert names == {path.relative_to(program.sources) for path in program.sources.rglob("*") if path.is_file()}
    for name in names:
        assert (tmp_path / name).read_bytes() == (program.sources / name).read_bytes(), name


def test_weights_are_written_as_the_integers_that_they_are(program: Any) -> None:
    text = (program.sources / "weights.c").read_text()
    block = re.search(r"node_readout_weight\[\d+\] \w+ = \{(.*?)\};", text, re.S)
    assert block
    values = [int(value) for value in block[1].replace(",", " ").split()]
    np.testing.assert_array_equal(values, program.decoder.readout.weight.ravel())


def test_sources_use_no_heap_no_library_and_nothing_static_that_changes(program: Any) -> None:
    # Headers of the compiler itself; arm_acle.h names the instructions of Arm cores and is no library.
    allowed = {"stdint.h", "stddef.h", "arm_acle.h"}
    for path in program.sources.glob("*.[ch]"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
        assert set(re.findall(r"#include <(.*?)>", text)) <= allowed, path.name
        assert not re.search(r"\b(malloc|free|calloc|memcpy|memset|printf|double)\b", text), path.name
        static_objects = re.findall(r"^static (?!const|inline|EDGEBCI_INLINE|EDGEBCI_KERNEL)[^(]*[;=]", text, re.M)
        assert not static_objects, path.name


def test_the_folder_is_a_library_for_cmake(program: Any, tmp_path: Path) -> None:
    if shutil.which("cmake") is None or shutil.which("gcc") is None:
        pytest.skip("cmake and gcc build the folder; one is not installed")
    run = partial(subprocess.run, check=True, capture_output=True)
    run(["cmake", "-S", program.sources, "-B", tmp_path, "-DCMAKE_C_COMPILER=gcc"])
    run(["cmake", "--build", tmp_path])
    found = run(["nm", "--defined-only", tmp_path / "libedgebci.a"], text=True).stdout
    api = ("init", "reset", "push_samples", "push_missing", "output", "context_size")
    assert [name for name in api if f" T edgebci_{name}\n" not in found] == []


def test_the_folder_is_a_module_for_zephyr(program: Any) -> None:
    """Zephyr reads zephyr/module.yml, whose `build: cmake:` is the folder of a CMakeLists.txt."""
    lines = (program.sources / "zephyr" / "module.yml").read_text().splitlines()
    assert "name: edgebci" in lines
    assert "  cmake: ." in lines
    text = (program.sources / "CMakeLists.txt").read_text()
    listed = set(re.findall(r"LIST_DIR}/(\S+\.c)", text))
    assert listed == {path.name for path in program.sources.glob("*.c")}
    assert "zephyr_library_sources(${EDGEBCI_SOURCES})" in text


@pytest.mark.parametrize("form", ["float32", "fixed"])
def test_the_stack_is_no_deeper_than_the_header_says(build: Any, form: str, tmp_path: Path) -> None:
    spec = base_spec().model_copy(update={"lmp": None, "raw": None, "bands": (Band(low_hz=12, high_hz=30),)})
    program = build(front_end_for(spec, np.ones(10, dtype=bool)), form)
    counts = base_counts().astype(np.int16)[:200]
    elf = compile_target(program.sources, tmp_path / "m4.elf")
    used = run_on_target(elf, counts, np.arange(200) % 50 == 7, 10, spec.samples_per_frame, 3).memory.stack_bytes
    promised = re.search(r"EDGEBCI_STACK_BYTES (\d+)u", (program.sources / "decoder.h").read_text())
    assert promised
    assert 0 < used <= int(promised[1])


def add_unknown_nodes(path: Path, program: Any) -> None:
    model = onnx.load(program.folder / "decoder_int8.onnx")
    model.graph.node.append(helper.make_node("Tanh", ["output"], ["extra"], "squash"))
    model.graph.node.append(helper.make_node("Attention", ["extra"], ["more"], "look", domain="other"))
    onnx.save(model, path)


def test_all_unknown_nodes_are_listed_in_one_sentence(program: Any, tmp_path: Path) -> None:
    add_unknown_nodes(tmp_path / "unknown.onnx", program)
    with pytest.raises(
        InputError, match=r"2 of \d+ nodes: squash \(Tanh\), look \(other\.Attention\); there are kernels"
    ):
        generate(tmp_path / "unknown.onnx", program.front_end, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_decoder_for_other_features_is_refused_with_both_sizes(program: Any, tmp_path: Path) -> None:
    other = front_end_case("power_only").front_end
    with pytest.raises(InputError, match="takes 50 features and the front end gives 30"):
        generate(program.folder / "decoder_int8.onnx", other, tmp_path)


def test_an_unknown_target_is_answered_with_the_nearest(program: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'cortex-m4', did you mean 'cortex-m4f'"):
        generate(program.folder / "decoder_int8.onnx", program.front_end, tmp_path, "cortex-m4")


def test_missing_and_damaged_graphs_are_input_errors(program: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*absent\.onnx"):
        generate(tmp_path / "absent.onnx", program.front_end, tmp_path)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes((program.folder / "decoder_int8.onnx").read_bytes()[:-100])
    with pytest.raises(InputError, match="cut short"):
        generate(damaged, program.front_end, tmp_path)


def test_a_shape_that_is_not_fixed_is_refused(tmp_path: Path, program: Any) -> None:
    value = helper.make_tensor_value_info("frame", TensorProto.FLOAT, ["batch", 50])
    graph = helper.make_graph([], "g", [value], [], [numpy_helper.from_array(np.zeros(1, np.float32), "c")])
    onnx.save(helper.make_model(graph), tmp_path / "open.onnx")
    with pytest.raises(InputError, match="shape of 'frame' is not fixed"):
        generate(tmp_path / "open.onnx", program.front_end, tmp_path)


def test_an_asymmetric_quantizer_is_refused(program: Any, tmp_path: Path) -> None:
    model = onnx.load(program.folder / "decoder_int8.onnx")
    zero = next(tensor for tensor in model.graph.initializer if tensor.name == "zero_point")
    zero.CopyFrom(numpy_helper.from_array(np.asarray(3, np.int8), "zero_point"))
    onnx.save(model, tmp_path / "asymmetric.onnx")
    with pytest.raises(InputError, match="zero point is not 0"):
        generate(tmp_path / "asymmetric.onnx", program.front_end, tmp_path)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_literal_is_exactly_the_number(value: float) -> None:
    text = literal(np.float32(value))
    assert text.endswith("f")
    assert np.float32(float.fromhex(text[:-1])).view(np.uint32) == np.float32(value).view(np.uint32)


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=300))
def test_an_array_is_written_whole_in_short_lines(values: list[int]) -> None:
    text = wrapped(np.array(values, np.int8))
    assert [int(value) for value in text.replace(",", " ").split()] == values
    assert max(len(line) for line in text.splitlines()) <= 110


def test_identifiers_are_those_of_c() -> None:
    assert identifier("layers.0.mixer.in_proj") == "layers_0_mixer_in_proj"
    assert identifier("0/weird name") == "n_0_weird_name"
    assert "int8_t a[2] EDGEBCI_ALIGNED" in Constant("a", np.zeros(2, np.int8), "why").definition


def operation(writes: str, size: int, *reads: str, overwrites: bool = False, destroys: str = "") -> Operation:
    node = Node(writes, "Add", reads, (writes,), {})
    return Operation(node, reads, Buffer(writes, "float", size), "", "", overwrites=overwrites, destroys=destroys)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_tensors_that_live_at_the_same_time_never_share_memory(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps, alive = [], ["frame"]
    for i in range(15):
        reads = tuple(str(name) for name in rng.choice(alive, min(len(alive), 2), replace=False))
        steps.append(operation(f"t{i}", int(rng.integers(1, 50)), *reads))
        alive.append(f"t{i}")
    plan = plan_memory(steps, {"frame": "c->frame"})
    sizes = {slot.name: slot.size for slot in plan.slots}
    held: dict[str, str] = {}  # place -> tensor
    for step in steps:
        for tensor in step.reads:
            assert tensor == "frame" or held[plan.places[tensor]] == tensor
        place = plan.places[step.writes.tensor]
        assert place not in [plan.places[tensor] for tensor in step.reads]
        assert sizes[place.removeprefix("c->")] >= step.writes.size
        held[place] = step.writes.tensor


def test_an_operator_that_may_overwrite_reuses_the_memory_of_its_input() -> None:
    steps = [operation("a", 8, "frame"), operation("b", 8, "a", overwrites=True), operation("out", 1, "b")]
    plan = plan_memory(steps, {"frame": "c->frame", "out": "c->out"})
    assert plan.places["a"] == plan.places["b"]
    assert len(plan.slots) == 1


def test_an_input_that_is_used_up_but_read_again_is_refused() -> None:
    steps = [operation("p", 8, "frame"), operation("g", 8, "p", destroys="p"), operation("h", 8, "p")]
    with pytest.raises(InputError, match="g uses up 'p', which another node reads too"):
        plan_memory(steps, {"frame": "c->frame"})
