"""Optional rewrites of a float step: parts of it as single operators that some runtimes have.

    com.microsoft.CausalConvWithState, com.microsoft.LinearAttention     contrib operators of ONNX Runtime
    CausalConvWithState-27, LinearAttention-27                           the same in ONNX itself, opset 27

The plain form stays the default. A contrib operator is used only if a probe (a tiny model with the same attributes)
runs in the installed runtime and gives the right numbers. What fits is the float Mamba-2 step, in a decoder of frames
and in one of spikes, as one step and in the chunk form that is written of it (`verify_rewritten_chunk`). Opset 27 is
held to onnx.checker and onnx's reference evaluator, and to ONNX Runtime too where the probe shows that it loads it
(1.31 does so only with the environment variable ALLOW_RELEASED_ONNX_OPSET_ONLY=0). Each rewrite is verified before the
next; each is recorded, those that were not applied with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import onnx
from numpy.typing import NDArray
from onnx import helper

from edgebci.documents import Document, nearest
from edgebci.errors import InputError
from edgebci.export.chunk_graph import chunk_graph
from edgebci.export.chunk_verification import ChunkAgreement, verify_chunk
from edgebci.export.rewrite_bodies import BODIES, STEP
from edgebci.export.rewrite_probe import CONTRIB, Probe, probe
from edgebci.export.step_runner import Step, evaluator_step, open_session, runtime_step
from edgebci.export.stream_comparison import Bool, FloatFollower, FloatReference
from edgebci.export.traceability import inline
from edgebci.progress import silent

Rewrite = Literal[
    "com.microsoft.CausalConvWithState",
    "com.microsoft.LinearAttention",
    "CausalConvWithState-27",
    "LinearAttention-27",
]
REWRITES: tuple[Rewrite, ...] = get_args(Rewrite)
OPSET = 27
TOKENIZER = "TokenizerStep"
EVALUATED = 300
"""Steps through onnx's evaluator, which is slow."""


class RewriteRecord(Document):
    """What became of one rewrite; part of a bundle's manifest."""

    name: Rewrite
    applied: bool
    fused_nodes: int
    """Nodes of the operator in the inlined graph."""
    runtime: str
    """What the probe found in the installed ONNX Runtime."""
    reason: str
    """Why it was not applied; empty where it was."""
    left: str = ""
    """What of the graph stays in its plain form although the operator resembles it, and why."""
    largest_error: dict[str, float]
    """By implementation that followed the whole graph after this rewrite, relative to the largest value."""
    steps: dict[str, int]
    """Steps by implementation."""


def rewrite(
    model: onnx.ModelProto,
    names: Sequence[str],
    decoder: FloatReference,
    frames: NDArray[Any],
    reset_before: Bool | None = None,
) -> tuple[onnx.ModelProto, tuple[RewriteRecord, ...]]:
    """Apply the rewrites one after another, each verified over frames (T, ...) against `decoder`.

    Returns:
        the graph with those that could be applied, and a record of every one.

    Raises:
        InputError: an unknown name; operators of both kinds, which nothing here could verify together.
        VerificationError: a rewritten graph does not compute what the decoder computes.
    """
    chosen = _chosen(names)
    records = []
    for name in chosen:
        model, record = _one(model, name, decoder, frames, reset_before)
        records.append(record)
    return model, tuple(records)


def _chosen(names: Sequence[str]) -> list[Rewrite]:
    chosen: list[Rewrite] = []
    for name in names:
        found = next((known for known in REWRITES if known == name), None)
        if found is None:
            raise InputError(f"no rewrite {name!r}, {nearest(name, list(REWRITES))}")
        chosen.append(found)
    if len({_operator(name)[1] for name in chosen}) > 1:
        raise InputError(f"rewrites of com.microsoft and of opset {OPSET} in one graph; choose those of one kind")
    return list(dict.fromkeys(chosen))


def _operator(name: Rewrite) -> tuple[str, str]:
    """Operator and domain."""
    if name.startswith(CONTRIB):
        return name.removeprefix(f"{CONTRIB}."), CONTRIB
    return name.removesuffix(f"-{OPSET}"), ""


def _one(
    model: onnx.ModelProto, name: Rewrite, decoder: FloatReference, frames: NDArray[Any], reset_before: Bool | None
) -> tuple[onnx.ModelProto, RewriteRecord]:
    operator, domain = _operator(name)
    found = probe(operator, domain)
    left = _left(model, operator)
    reason = _obstacle(model) or ("" if found.runs or not domain else found.sentence)
    if reason:
        record = RewriteRecord(
            name=name, applied=False, fused_nodes=0, runtime=found.sentence, reason=reason, left=left,
            largest_error={}, steps={},
        )  # fmt: skip
        return model, record
    changed = _rewritten(model, operator, domain)
    flat = inline(changed)
    _check(flat, domain)
    errors, steps = _follow(changed, flat, found, domain, decoder, frames, reset_before)
    record = RewriteRecord(
        name=name,
        applied=True,
        fused_nodes=sum(node.op_type == operator for node in flat.graph.node),
        runtime=found.sentence,
        reason="",
        left=left,
        largest_error=errors,
        steps=steps,
    )
    return changed, record


def _obstacle(model: onnx.ModelProto) -> str:
    """Why the graph has no place for these operators; empty where it has."""
    step = next((function for function in model.functions if function.name == STEP), None)
    if step is None:
        return f"the graph has no {STEP}, which is the one step that these operators compute"
    if "ssm_scale" in step.input:
        return "the quantized step keeps and reads its states in integers, which these operators do not round"
    return ""


def _left(model: onnx.ModelProto, operator: str) -> str:
    """Of a tokenizer's convolution, which CausalConvWithState is not."""
    tokenizers = [function.name for function in model.functions if TOKENIZER in function.name]
    if operator != "CausalConvWithState" or not tokenizers:
        return ""
    return (
        f"the convolution of {', '.join(tokenizers)} makes several features of each channel's one window, and the "
        "operator keeps a window for each feature: it stays plain"
    )


def verify_rewritten_chunk(
    model: onnx.ModelProto,
    n_steps: int,
    frames: NDArray[Any],
    reset_before: Bool | None = None,
) -> tuple[onnx.ModelProto, ChunkAgreement]:
    """The chunk form of a rewritten step, followed over frames (T, ...) wherever its operators are known.

    Raises:
        InputError: as `chunk_graph`, or too few frames. VerificationError: a chunk does not give the bits of its steps.
    """
    chunk = chunk_graph(model, n_steps)
    contrib = any(entry.domain == CONTRIB for entry in model.opset_import)
    in_runtime = all(probe(operator, CONTRIB if contrib else "").runs for operator in _fused(model))
    evaluator_chunks = 0 if contrib else EVALUATED // n_steps
    seen = frames, reset_before, evaluator_chunks
    return chunk, verify_chunk(chunk, model, *seen, in_runtime=in_runtime)


def _fused(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for function in model.functions for node in function.node} & set(BODIES)


def _rewritten(model: onnx.ModelProto, operator: str, domain: str) -> onnx.ModelProto:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    step = next(function for function in changed.functions if function.name == STEP)
    BODIES[operator](step, domain)
    for owner in (changed, step) if domain else (changed, *changed.functions):
        _import(owner, domain)
    changed.ir_version = max(
        changed.ir_version, helper.find_min_ir_version_for(list(changed.opset_import), ignore_unknown=True)
    )
    _check(changed, domain)
    return changed


def _check(model: onnx.ModelProto, domain: str) -> None:
    """Fully where onnx knows every operator; types behind those of a runtime it cannot infer, so the runtime does."""
    onnx.checker.check_model(model, full_check=not domain)


def _import(owner: onnx.ModelProto | onnx.FunctionProto, domain: str) -> None:
    """Let the graph or the function use the operators of `domain`."""
    found = {entry.domain: entry for entry in owner.opset_import}
    if domain in found:
        found[domain].version = max(found[domain].version, 1 if domain else OPSET)
    else:
        owner.opset_import.append(helper.make_opsetid(domain, 1))


def _follow(
    changed: onnx.ModelProto,
    flat: onnx.ModelProto,
    found: Probe,
    domain: str,
    decoder: FloatReference,
    frames: NDArray[Any],
    reset_before: Bool | None,
) -> tuple[dict[str, float], dict[str, int]]:
    """Errors and steps by every implementation that knows the operator."""
    forms: dict[str, tuple[Step, int]] = {}
    if found.runs:
        forms["ONNX Runtime"] = runtime_step(open_session(changed)), len(frames)
        forms["ONNX Runtime, inlined"] = runtime_step(open_session(flat)), len(frames)
    if not domain:
        forms["reference evaluator"] = evaluator_step(changed), min(EVALUATED, len(frames))
    errors = {}
    for form, (step, n) in forms.items():
        resets = None if reset_before is None else reset_before[:n]
        errors[form] = FloatFollower(form, step, decoder).stream(frames[:n], resets, silent)
    return errors, {form: n for form, (_, n) in forms.items()}
