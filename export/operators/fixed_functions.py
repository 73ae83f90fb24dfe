"""The operators of the fixed-point form in ONNX, in integers; `edgebci.operators.*_fixed` says what each computes.

    edgebci.QuantizeFixed(x, inverse_scale, limit)                                    -> q int16
    edgebci.DenseFixed(q, weight, multiplier, bias)                                   -> y int16
    edgebci.DenseFixedAdd(q, weight, multiplier, bias, x)                             -> y int16, the sum with x
    edgebci.DenseFixedReadout(q, weight, act_scale, weight_scale, bias)               -> y float32
    edgebci.RmsNormFixed(x, mean, unit) {epsilon}                                     -> q int16
    edgebci.Mamba2StepFixed(p, conv, ssm, x, B, kept, phase, conv_weight, conv_multiplier, conv_bias, silu, dt_bias, A,
                            skip, readout, state_gain, inject, c_shift, gate_shift)   -> g int16, the six states

All of it gives the bits of the reference, in any runtime that rounds each operation on float32 once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgebci.block_spec import BlockSpec
from edgebci.export.graph_builder import formal
from edgebci.export.graph_functions import EPSILON
from edgebci.export.operators.exact_functions import ExactBody
from edgebci.export.operators.integer_body import FLOAT, INT16, INT32, IntegerBody
from edgebci.operators.mamba2_fixed import FOLDED_LIMIT, GATE_UNIT, SLOTS, STATE_BITS, padded_taps, readout_limit

STATES = ("conv", "ssm", "x", "B", "kept", "phase")
WEIGHTS = (
    *("conv_weight", "conv_multiplier", "conv_bias", "silu", "dt_bias", "A", "skip"),
    *("readout", "state_gain", "inject", "c_shift", "gate_shift"),
)
_TINY, _LARGEST = 1e-20, 2.0**31 - 128


def quantize_function() -> ir.Function:
    """QuantizeFixed: rounded to nearest, ties to even, saturated to [-limit - 1, limit]."""
    body, inputs = IntegerBody(), formal("x", "inverse_scale", "limit")
    x, inverse_scale, limit = inputs
    bound = body.cast(limit, FLOAT, "bound")
    counts = body.two("Mul", x, inverse_scale, "counts")
    lowest = body.two("Sub", body.node("Neg", [bound], "minus"), body.constant("one", 1.0, np.float32), "lowest")
    limited = body.node("Clip", [counts, lowest, bound], "limited")
    return body.function("QuantizeFixed", inputs, [body.cast(body.node("Round", [limited], "rounded"), INT16, "q")])


def dense_function(adds: bool) -> ir.Function:
    """DenseFixed, or DenseFixedAdd."""
    body = IntegerBody()
    inputs = formal("q", "weight", "multiplier", "bias", *(["x"] if adds else []))
    scaled = body.multiplied(_sums(body, inputs), body.wide(inputs[2], "multiplier"), "scaled")
    total = body.two("Add", scaled, body.wide(inputs[3], "bias"), "total")
    if adds:
        total = body.two("Add", total, body.wide(inputs[4], "x"), "total_x")
    return body.function("DenseFixedAdd" if adds else "DenseFixed", inputs, [body.saturated(total, "y")])


def readout_function() -> ir.Function:
    """DenseFixedReadout: the sums are exact, and rounded once where float32 cannot hold them."""
    body, inputs = IntegerBody(), formal("q", "weight", "act_scale", "weight_scale", "bias")
    sums = body.cast(_sums(body, inputs), FLOAT, "float_sums")
    scaled = body.two("Mul", sums, body.two("Mul", inputs[2], inputs[3], "scale"), "scaled")
    return body.function("DenseFixedReadout", inputs, [body.two("Add", scaled, inputs[4], "y")])


def _sums(body: IntegerBody, inputs: list[ir.Value]) -> ir.Value:
    columns = body.node("Transpose", [body.wide(inputs[1], "weight")], "columns", {"perm": [1, 0]})
    return body.node("MatMul", [body.wide(inputs[0], "q"), columns], "sums")


def norm_function() -> ir.Function:
    """RmsNormFixed: the multiplier of a frame is a float32 made an integer."""
    body, inputs = IntegerBody(), formal("x", "mean", "unit")
    x, mean, unit = inputs
    wide = body.wide(x, "x")
    squares = body.node("ReduceSum", [body.two("Mul", wide, wide, "square"), body.axes(0)], "squares", {"keepdims": 1})
    counts = body.cast(body.divided(squares, body.integers(256), "square_counts"), FLOAT, "square_float")
    attribute = ir.RefAttr("value_float", "epsilon", ir.AttributeType.FLOAT)
    epsilon = body.node("Constant", [], "epsilon_value", {"value_float": attribute})
    mean_square = body.two("Add", body.two("Mul", counts, mean, "mean_square"), epsilon, "mean_epsilon")
    r = body.node("Reciprocal", [body.node("Sqrt", [mean_square], "root")], "r")
    multiplier = body.truncated(body.two("Mul", r, unit, "multiplier_float"), 2.0**30, "multiplier")
    shifted = body.two("Mul", wide, body.integers(1 << 16), "shifted")
    q = body.saturated(body.multiplied(shifted, multiplier, "normed"), "q")
    return body.function("RmsNormFixed", inputs, [q], [EPSILON])


@dataclass(frozen=True)
class _Now:
    """What one step sees: counts wide, in the shapes of the reference."""

    x: ir.Value  # (n_heads, headdim, 4)
    B: ir.Value  # (4, d_state)
    C: ir.Value  # (d_state,)
    kept: ir.Value  # (n_heads, 5) float32
    slot: ir.Value  # (1,) the newest's, wide
    slots: ir.Value  # (4,) bool, true for the newest


def step_function(block: BlockSpec) -> ir.Function:
    """Mamba2StepFixed."""
    body = ExactBody()
    inputs = formal("p", *(f"{name}_state" for name in STATES), *WEIGHTS)
    given = {value.name or "": value for value in inputs}
    sizes = body.integers(block.d_inner, block.conv_dim, block.n_heads)
    z, xbc, dt_raw = body.call("Split", [given["p"], sizes], "split_p", ["z", "xbc", "dt_raw"], {"axis": 0})
    ring, u = _convolution(body, given, xbc, padded_taps(block.d_conv))
    parts = body.call(
        "Split",
        [u, body.integers(block.d_inner, block.d_state, block.d_state)],
        "split_u",
        ["x", "B", "C"],
        {"axis": 0},
    )
    slot = body.two("Mod", body.wide(given["phase_state"], "phase"), body.integers(SLOTS), "slot")
    slots = body.two("Equal", body.integers(*range(SLOTS)), slot, "slots")
    ring_x = _put(body, parts[0], given["x_state"], slots, 1, "ring_x")
    ring_b = _put(body, parts[1], given["B_state"], slots, 0, "ring_B")
    shape = body.integers(block.n_heads, block.headdim, SLOTS)
    now = _Now(
        x=body.node("Reshape", [ring_x, shape], "ring_x_heads"),
        B=ring_b,
        C=_readout_counts(body, given, parts[2], block.d_state),
        kept=_kept(body, given, dt_raw, slots),
        slot=slot,
        slots=slots,
    )
    y = _read(body, given, now)
    ssm, kept = _rewritten(body, given, now, block)
    g = _gated(body, given, body.node("Reshape", [y, body.axes(block.d_inner)], "y_flat"), z)
    phase = body.two("Add", body.wide(given["phase_state"], "old_phase"), body.integers(1), "later")
    following = body.cast(
        body.two("Mod", phase, body.integers(padded_taps(block.d_conv)), "turned"), INT32, "phase_next"
    )
    rings = [body.cast(ring, INT16, f"{name}_next") for name, ring in (("x", ring_x), ("B", ring_b))]
    return body.function("Mamba2StepFixed", inputs, [g, ring, ssm, *rings, kept, following])


def _convolution(body: IntegerBody, given: dict[str, ir.Value], xbc: ir.Value, taps: int) -> tuple[ir.Value, ir.Value]:
    """The ring (taps, conv_dim) int16 and u, wide."""
    phase = body.wide(given["phase_state"], "conv_phase")
    places = body.two("Equal", body.integers(*range(taps)), phase, "conv_slots")
    ring = _put(body, body.wide(xbc, "xbc"), given["conv_state"], places, 0, "ring_conv")
    later = body.two("Add", body.integers(*range(1, 1 + taps)), phase, "taps_later")
    order = body.two("Mod", later, body.integers(taps), "oldest_first")
    window = body.node("Transpose", [body.node("Gather", [ring, order], "ordered")], "window", {"perm": [1, 0]})
    products = body.two("Mul", window, body.wide(given["conv_weight"], "taps"), "tap_products")
    sums = body.node("ReduceSum", [products, body.axes(1)], "tap_sums", {"keepdims": 0})
    scaled = body.multiplied(sums, body.wide(given["conv_multiplier"], "tap_multiplier"), "conv_scaled")
    biased = body.two("Add", scaled, body.wide(given["conv_bias"], "tap_bias"), "conv")
    return body.cast(ring, INT16, "conv_next"), body.silu(
        body.limited(biased, -32768, 32767, "conv_counts"), given["silu"], "u"
    )


def _put(body: IntegerBody, new: ir.Value, ring: ir.Value, slots: ir.Value, axis: int, name: str) -> ir.Value:
    """The ring with `new` in the slot that is now, wide."""
    place = slots if axis == 1 else body.node("Unsqueeze", [slots, body.axes(1)], f"{name}_place")
    value = body.node("Unsqueeze", [new, body.axes(axis)], f"{name}_new")
    return body.node("Where", [place, value, body.wide(ring, name)], name)


def _readout_counts(body: IntegerBody, given: dict[str, ir.Value], C: ir.Value, d_state: int) -> ir.Value:
    divisor, half = _power(body, given["c_shift"], "c")
    limit = readout_limit(d_state)
    counts = body.divided(body.two("Add", C, half, "C_half"), divisor, "C_counts")
    return body.limited(counts, -limit, limit, "C_limited")


def _power(body: IntegerBody, shift: ir.Value, name: str) -> tuple[ir.Value, ir.Value]:
    """2^shift, and half of it rounded down."""
    power = body.two("Pow", body.integers(2), body.wide(shift, f"{name}_shift"), f"{name}_divisor")
    return power, body.two("Div", power, body.integers(2), f"{name}_half_divisor")


def _kept(body: ExactBody, given: dict[str, ir.Value], dt_raw: ir.Value, slots: ir.Value) -> ir.Value:
    """Decay since the rewrite and weights of the slots, (n_heads, 5) float32."""
    unit, tiny, zero = (
        body.constant(n, v, np.float32) for n, v in (("unit", GATE_UNIT), ("tiny", _TINY), ("zero", 0.0))
    )
    raw = body.two("Mul", body.cast(dt_raw, FLOAT, "dt_float"), unit, "dt_scaled")
    dt = body.softplus(body.two("Add", raw, given["dt_bias"], "dt_biased"), "dt")
    decay = body.exp(body.two("Mul", dt, given["A"], "dt_A"), "decay")
    column = body.node("Unsqueeze", [decay, body.axes(1)], "decay_column")
    aged = body.two("Mul", given["kept_state"], column, "aged")
    flushed = body.node("Where", [body.two("Less", aged, tiny, "is_tiny"), zero, aged], "flushed")
    never = body.constant("never", [False], np.bool_)
    new = body.node("Concat", [never, slots], "is_new", {"axis": 0})
    return body.node("Where", [new, body.node("Unsqueeze", [dt, body.axes(1)], "dt_column"), flushed], "kept")


def _columns(body: IntegerBody, kept: ir.Value, begin: int, end: int, name: str) -> ir.Value:
    return body.node("Slice", [kept, body.axes(begin), body.axes(end), body.axes(1)], name)


def _read(body: IntegerBody, given: dict[str, ir.Value], now: _Now) -> ir.Value:
    """Y (n_heads, headdim), wide."""
    products = body.cast(body.node("MatMul", [now.B, now.C], "B_C"), FLOAT, "B_C_float")
    weights = body.two("Mul", _columns(body, now.kept, 1, 5, "weights"), products, "weighted")
    scaled = body.two("Mul", weights, given["readout"], "weighted_counts")
    skip = body.node("Unsqueeze", [given["skip"], body.axes(1)], "skip_column")
    zero = body.constant("no_skip", 0.0, np.float32)
    folded = body.two("Add", scaled, body.node("Where", [now.slots, skip, zero], "skip_now"), "folded")
    bounds = [body.constant(f"folded_{sign}", sign * FOLDED_LIMIT, np.float32) for sign in (-1, 1)]
    limited = body.node("Clip", [folded, *bounds], "folded_limited")
    W = body.wide(body.node("Round", [limited], "folded_rounded"), "W")
    gain = body.two("Mul", _columns(body, now.kept, 0, 1, "scale"), _column(body, given["state_gain"], "gain"), "gains")
    held = body.node("MatMul", [body.wide(given["ssm_state"], "h"), now.C], "C_h")
    kept = body.multiplied(held, body.truncated(gain, _LARGEST, "gain_counts"), "y_kept")
    recent = body.node("MatMul", [now.x, body.node("Unsqueeze", [W, body.axes(2)], "W_column")], "y_recent_column")
    return body.two("Add", kept, body.node("Squeeze", [recent, body.axes(2)], "y_recent"), "y")


def _column(body: IntegerBody, value: ir.Value, name: str) -> ir.Value:
    return body.node("Unsqueeze", [value, body.axes(1)], f"{name}_column")


def _rewritten(body: IntegerBody, given: dict[str, ir.Value], now: _Now, block: BlockSpec) -> tuple[ir.Value, ir.Value]:
    """H, and what is kept, after the heads whose turn it is were rewritten."""
    turns = body.constant("turns", np.arange(block.n_heads) % SLOTS, np.int64)
    mine = body.two("Equal", turns, now.slot, "mine")
    full = body.constant("full", 2.0**28, np.float32)
    scale = body.truncated(
        body.two("Mul", _columns(body, now.kept, 0, 1, "decay_kept"), full, "scale_float"), 2.0**28, "scale28"
    )
    gains = body.two(
        "Mul", _columns(body, now.kept, 1, 5, "slot_weights"), _column(body, given["inject"], "inject"), "inject_float"
    )
    gain = body.node("Unsqueeze", [body.truncated(gains, _LARGEST, "inject_counts"), body.axes(2)], "inject_rows")
    shifted = body.two("Mul", now.B, body.integers(1 << 16), "B_shifted")
    scaled = body.multiplied(shifted, gain, "w_B")
    injected = body.limited(scaled, -FOLDED_LIMIT - 1, FOLDED_LIMIT, "injected")
    recent = body.node("MatMul", [now.x, injected], "injection")
    rows = body.node("Unsqueeze", [scale, body.axes(2)], "scale_rows")
    product = body.two("Mul", body.wide(given["ssm_state"], "h_before"), rows, "h_scaled")
    held = body.divided(product, body.integers(1 << 16), "h_held")
    half = body.two("Add", body.two("Add", held, recent, "h_sum"), body.integers(1 << (STATE_BITS - 1)), "h_half")
    h = body.limited(body.divided(half, body.integers(1 << STATE_BITS), "h_counts"), -32768, 32767, "h")
    rows_mine = body.node("Unsqueeze", [mine, body.axes(1, 2)], "mine_rows")
    chosen = body.node("Where", [rows_mine, h, body.wide(given["ssm_state"], "h_kept")], "h_chosen")
    ssm = body.cast(chosen, INT16, "ssm_next")
    fresh = body.constant("fresh", [1, 0, 0, 0, 0], np.float32)
    kept = body.node("Where", [_column(body, mine, "mine"), fresh, now.kept], "kept_next")
    return ssm, kept


def _gated(body: IntegerBody, given: dict[str, ir.Value], y: ir.Value, z: ir.Value) -> ir.Value:
    gate = body.silu(body.wide(z, "z"), given["silu"], "gate")
    scaled = body.divided(body.two("Mul", y, gate, "y_gate"), body.integers(1 << 16), "gated")
    divisor, half = _power(body, given["gate_shift"], "gate")
    return body.saturated(body.divided(body.two("Add", scaled, half, "gated_half"), divisor, "g_counts"), "g")
