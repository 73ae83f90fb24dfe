"""Does the installed ONNX Runtime know an operator, with the attributes that a rewrite gives it? A tiny model tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgebci.export.step_runner import session_options

CONTRIB = "com.microsoft"
_HEADS, _KEY, _VALUE, _CHANNELS, _TAPS = 2, 4, 3, 5, 4
TOLERANCE = 1e-5
"""Of values around 1: a few roundings of float32."""
_PREAMBLE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (?:\S+\.(?:cc|h):\d+ .*?\) )?")
"""Where in its sources the runtime says it."""
_LONGEST = 400
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Probe:
    """Whether it runs, and a sentence on what was found."""

    runs: bool
    sentence: str


@cache
def probe(operator: str, domain: str) -> Probe:
    """Run CausalConvWithState or LinearAttention of `domain` ('' is ONNX's own, opset 27) on a few numbers."""
    runtime = f"ONNX Runtime {onnxruntime.__version__}"
    model, feeds, expected = tiny_model(operator, domain)
    try:
        content, options = model.SerializeToString(), session_options()
        options.log_severity_level = 4  # a refusal is an answer here, not a fault to report
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        found = session.run(list(expected), feeds)
    except Exception as error:  # the runtime's own exceptions share no base but this one
        said = _PREAMBLE.sub("", " ".join(str(error).split()))
        return Probe(False, f"{runtime} refuses it: {said[:_LONGEST]}")
    for values, wanted in zip(found, expected.values(), strict=True):
        if values.shape != wanted.shape or not np.abs(values - wanted).max() <= TOLERANCE:
            return Probe(False, f"{runtime} runs it and gives other numbers than its definition")
    return Probe(True, f"{runtime} runs it")


def tiny_model(operator: str, domain: str) -> tuple[onnx.ModelProto, Arrays, Arrays]:
    """A model of one node, what it is fed and what it must give."""
    feeds, expected, attributes = (_convolution if operator == "CausalConvWithState" else _attention)()
    node = helper.make_node(operator, list(feeds), list(expected), name="probe", domain=domain, **attributes)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, v.shape) for name, v in feeds.items()]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, v.shape) for name, v in expected.items()]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(domain, 1)] if domain else [helper.make_opsetid("", 27)]
    ir_version = helper.find_min_ir_version_for(opsets, ignore_unknown=True)
    graph = helper.make_graph([node], "probe", inputs, outputs)
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version), feeds, expected


def _convolution() -> tuple[Arrays, Arrays, dict[str, Any]]:
    rng = np.random.default_rng(0)
    x, past = rng.standard_normal((1, _CHANNELS, 1)), rng.standard_normal((1, _CHANNELS, _TAPS - 1))
    weight, bias = rng.standard_normal((_CHANNELS, 1, _TAPS)), rng.standard_normal(_CHANNELS)
    window = np.concatenate([past, x], axis=2)
    sums = (window[0] * weight[:, 0]).sum(axis=1) + bias
    expected = {"y": (sums / (1 + np.exp(-sums)))[None, :, None], "present": window[:, :, 1:]}
    return _single({"x": x, "weight": weight, "bias": bias, "past": past}), expected, {"activation": "silu"}


def _attention() -> tuple[Arrays, Arrays, dict[str, Any]]:
    rng = np.random.default_rng(0)
    query, key = rng.standard_normal((2, _HEADS, _KEY))
    value, decay = rng.standard_normal((_HEADS, _VALUE)), -rng.uniform(0.1, 1.0, _HEADS)
    past = rng.standard_normal((1, _HEADS, _KEY, _VALUE))
    present = np.exp(decay)[:, None, None] * past[0] + key[:, :, None] * value[:, None, :]
    result = np.einsum("hk,hkv->hv", query, present)
    packed = {name: array.reshape(1, 1, -1) for name, array in (("query", query), ("key", key), ("value", value))}
    feeds = _single(packed | {"past": past, "decay": decay.reshape(1, 1, -1)})
    attributes = {"q_num_heads": _HEADS, "kv_num_heads": _HEADS, "scale": 1.0, "update_rule": "gated"}
    return feeds, {"y": result.reshape(1, 1, -1), "present": present[None]}, attributes


def _single(arrays: Arrays) -> Arrays:
    return {name: values.astype(np.float32) for name, values in arrays.items()}
