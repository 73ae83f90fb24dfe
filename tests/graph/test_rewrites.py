"""Rewrites stand behind a probe of the runtime, are verified one by one, and say why when they are not applied."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from edgebci.errors import InputError, VerificationError
from edgebci.export import rewrites
from edgebci.export.chunk_graph import chunk_graph
from edgebci.export.chunk_verification import verify_chunk
from edgebci.export.rewrite_bodies import BODIES
from edgebci.export.rewrite_probe import Probe, probe, tiny_model
from edgebci.export.rewrites import OPSET, REWRITES, rewrite, verify_rewritten_chunk
from edgebci.export.stream_comparison import FLOAT_TOLERANCE
from edgebci.export.traceability import trace
from tests.graph.conftest import step_form

CONTRIB, STANDARD = REWRITES[:2], REWRITES[2:]
OPERATORS = ("CausalConvWithState", "LinearAttention")
RELEASED_ONLY = "ALLOW_RELEASED_ONNX_OPSET_ONLY"
"""ONNX Runtime loads opsets that it does not yet support where this is 0."""
WITH_MAMBA2 = ("mamba2", "tokenizer", "possm mamba2")


@pytest.mark.parametrize("operator", OPERATORS)
def test_onnx_defines_each_operator_as_the_probe_does(operator: str) -> None:
    model, feeds, expected = tiny_model(operator, "")
    onnx.checker.check_model(model, full_check=True)
    for found, wanted in zip(ReferenceEvaluator(model).run(None, feeds), expected.values(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_probe_tells_what_the_runtime_knows(operator: str) -> None:
    schemas = onnxruntime.capi.onnxruntime_pybind11_state.get_all_operator_schema()
    known = {schema.name for schema in schemas if schema.domain == "com.microsoft"}
    assert probe(operator, "com.microsoft").runs == (operator in known)
    assert not probe(operator, "com.nobody").runs
    assert probe(operator, "com.nobody").sentence.endswith("is not a registered function/op")


def test_a_runtime_whose_operator_computes_something_else_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def run(self, _names: Any, _feeds: Any) -> list[Any]:
            _, _, expected = tiny_model("LinearAttention", "com.other")
            return [values + 0.01 for values in expected.values()]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Wrong)
    found = probe("LinearAttention", "com.other")
    assert not found.runs
    assert "gives other numbers than its definition" in found.sentence


@pytest.mark.parametrize("name", WITH_MAMBA2)
def test_contrib_operators_compute_the_float_decoder_across_resets(name: str) -> None:
    form = step_form(name)
    resets = np.isin(np.arange(300), [0, 3, 150])
    model, records = rewrite(form.float_graph, CONTRIB, form.float_reference, form.frames[:300], resets)
    if not all(probe(operator, "com.microsoft").runs for operator in OPERATORS):
        pytest.skip(f"this onnxruntime lacks them: {[record.runtime for record in records]}")
    for record in records:
        assert (record.applied, record.fused_nodes, record.reason) == (True, 2, "")  # one for each layer
        assert record.steps == {"ONNX Runtime": 300, "ONNX Runtime, inlined": 300}
        # Ten times tighter than what is allowed: float32 rounds at 6e-8 and some hundred roundings add up.
        assert max(record.largest_error.values()) < FLOAT_TOLERANCE / 10
    assert {entry.domain for entry in model.opset_import} == {"", "edgebci", "com.microsoft"}
    step = next(function for function in model.functions if function.name == "Mamba2Step")
    assert {node.op_type for node in step.node if node.domain} == set(OPERATORS)
    assert not {"ReduceSum", "Concat", "Exp"} & {node.op_type for node in step.node}  # what they replace is gone


@pytest.mark.parametrize("name", WITH_MAMBA2)
def test_opset_27_passes_the_checker_and_computes_the_float_decoder(name: str) -> None:
    form = step_form(name)
    model, records = rewrite(form.float_graph, STANDARD, form.float_reference, form.frames[:40])
    onnx.checker.check_model(model, full_check=True)
    for record in records:
        assert (record.applied, record.fused_nodes) == (True, 2)
        assert record.steps["reference evaluator"] == 40
        assert record.runtime.startswith(f"ONNX Runtime {onnxruntime.__version__} ")
        assert max(record.largest_error.values()) < FLOAT_TOLERANCE / 10
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": OPSET, "edgebci": 1}
    assert all(entry.version == OPSET for function in model.functions for entry in function.opset_import)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("mamba2", CONTRIB), ("possm mamba2", CONTRIB), ("mamba2", STANDARD)],
    ids=["mamba2, com.microsoft", "possm mamba2, com.microsoft", "mamba2, opset 27"],
)
def test_the_chunk_form_of_a_rewritten_step_has_its_bits_and_its_operators(name: str, chosen: Any) -> None:
    form, resets = step_form(name), np.arange(14) == 8
    model, records = rewrite(form.float_graph, chosen, form.float_reference, form.frames[:5])
    if chosen == CONTRIB and not all(record.applied for record in records):
        pytest.skip(f"this onnxruntime lacks them: {[record.runtime for record in records]}")
    chunk, found = verify_rewritten_chunk(model, 3, form.frames[:14], resets)
    # 8 and 6 frames follow each other, 4 chunks of 3. The evaluator knows no operator of com.microsoft, a runtime may
    # not know opset 27, and what is not known is not counted.
    assert found.evaluator_chunks == (0 if chosen == CONTRIB else 4)
    loads = chosen == CONTRIB or probe("LinearAttention", "").runs
    assert found.chunks == (4 if loads else 0)
    fused = [node for node in trace(chunk) if node.operator in OPERATORS]
    assert len(fused) == 3 * 2 * len(OPERATORS)  # steps, layers, operators
    assert {entry.version for entry in chunk.opset_import if not entry.domain} == {21 if chosen == CONTRIB else OPSET}


def test_a_chunk_of_a_broken_rewrite_is_named_by_its_tensor_and_step(mamba2: Any) -> None:
    model, _ = rewrite(mamba2.float_graph, STANDARD, mamba2.float_reference, mamba2.frames[:3])
    broken = chunk_graph(model, 4)
    second = next(node for node in broken.graph.node if node.name == "step.1/layers.0.mixer")
    second.input[2] = "ssm.0"  # a state that is a step too old
    with pytest.raises(VerificationError, match=r"reference evaluator, chunk form: .* at step \d"):
        verify_chunk(broken, model, mamba2.frames[:8], in_runtime=False)


@pytest.mark.parametrize("name", ["tokenizer", "wide tokenizer"])
def test_the_convolution_of_a_tokenizer_is_left_and_the_record_says_why(name: str) -> None:
    form = step_form(name)
    model, records = rewrite(form.float_graph, CONTRIB, form.float_reference, form.frames[:10])
    convolution, attention = records
    assert "TokenizerStep makes several features of each channel's one window" in convolution.left
    assert attention.left == ""

    def tokenizer(of: onnx.ModelProto) -> list[str]:
        step = next(function for function in of.functions if "TokenizerStep" in function.name)
        return [node.op_type for node in step.node]

    assert tokenizer(model) == tokenizer(form.float_graph)


def test_a_runtime_that_is_told_to_load_opset_27_is_followed_too_or_quoted() -> None:
    program = (
        "from tests.graph.conftest import step_form; from edgebci.export.rewrites import REWRITES, rewrite\n"
        "form = step_form('mamba2')\n"
        "for r in rewrite(form.float_graph, REWRITES[2:], form.float_reference, form.frames[:60])[1]:\n"
        "    print(r.applied, 'ONNX Runtime' in r.steps, 'refuses it' in r.runtime)\n"
    )
    root, environment = Path(__file__).resolve().parents[2], os.environ | {RELEASED_ONLY: "0"}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment, cwd=root
    )
    lines = result.stdout.splitlines()
    assert len(lines) == 2
    # Either it loads them, and was followed, or it refuses them, and was quoted; never neither.
    assert set(lines) <= {"True True False", "True False True"}
    if onnxruntime.__version__ == "1.31.1":
        assert set(lines) == {"True True False"}


def test_fused_nodes_are_traced_to_the_call_that_they_came_from(mamba2: Any) -> None:
    model, _ = rewrite(mamba2.float_graph, STANDARD, mamba2.float_reference, mamba2.frames[:10])
    fused = {node.name: node.call for node in trace(model) if node.operator in OPERATORS}
    names = [f"layers.{i}.mixer/{part}" for i in range(2) for part in ("causal_conv", "linear_attention")]
    assert fused == {name: name.partition("/")[0] for name in names}


def test_the_plain_form_stays_as_it_is(mamba2: Any) -> None:
    before = mamba2.float_graph.SerializeToString(deterministic=True)
    rewrite(mamba2.float_graph, STANDARD, mamba2.float_reference, mamba2.frames[:10])
    assert mamba2.float_graph.SerializeToString(deterministic=True) == before
    model, records = rewrite(mamba2.float_graph, (), mamba2.float_reference, mamba2.frames[:10])
    assert (model, records) == (mamba2.float_graph, ())


@pytest.mark.parametrize("name", ["s4d", "gru", "wide tokenizer", "possm gru"])
def test_a_graph_without_the_step_is_left_and_the_record_says_why(name: str) -> None:
    form = step_form(name)
    model, records = rewrite(form.float_graph, CONTRIB, form.float_reference, form.frames[:10])
    assert model == form.float_graph
    assert [record.applied for record in records] == [False, False]
    assert all("no Mamba2Step" in record.reason for record in records)


def test_the_int8_step_is_left_and_the_record_says_why(mamba2: Any) -> None:
    model, records = rewrite(mamba2.quantized_graph, CONTRIB, mamba2.float_reference, mamba2.frames[:10])
    assert model == mamba2.quantized_graph
    assert all("states in integers, which these operators do not round" in record.reason for record in records)


def test_a_runtime_without_the_operator_leaves_the_graph_and_is_quoted(
    mamba2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        rewrites, "probe", lambda operator, _: Probe(False, f"ONNX Runtime 1.20 refuses it: {operator}")
    )
    model, records = rewrite(mamba2.float_graph, CONTRIB, mamba2.float_reference, mamba2.frames[:10])
    assert model == mamba2.float_graph
    assert [record.reason for record in records] == [f"ONNX Runtime 1.20 refuses it: {name}" for name in OPERATORS]


@pytest.mark.parametrize(("operator", "tensor"), [("CausalConvWithState", "conv"), ("LinearAttention", "ssm")])
def test_a_broken_rewrite_is_named_by_its_first_tensor_and_step(
    mamba2: Any, operator: str, tensor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct = BODIES[operator]

    def broken(function: onnx.FunctionProto, domain: str) -> None:
        """The fused node's next state is the one that it was given."""
        correct(function, domain)
        fused = next(node for node in function.node if node.op_type == operator)
        present, fused.output[1] = fused.output[1], "unread"
        at = list(function.node).index(fused)
        function.node.insert(at + 1, onnx.helper.make_node("Identity", [fused.input[3]], [present], name="stale"))

    monkeypatch.setitem(BODIES, operator, broken)
    name = f"{operator}-27"
    with pytest.raises(VerificationError, match=rf"{tensor}\.0\.next differs at step \d by"):
        rewrite(mamba2.float_graph, (name,), mamba2.float_reference, mamba2.frames[:30])


def test_an_unknown_rewrite_and_a_mixture_are_refused(mamba2: Any) -> None:
    given = mamba2.float_graph, mamba2.float_reference, mamba2.frames[:10]
    with pytest.raises(InputError, match=r"no rewrite 'LinearAttention-26', .*LinearAttention-27"):
        rewrite(given[0], ("LinearAttention-26",), *given[1:])
    with pytest.raises(InputError, match=r"rewrites of com\.microsoft and of opset 27 in one graph; choose"):
        rewrite(given[0], (CONTRIB[0], STANDARD[1]), *given[1:])
