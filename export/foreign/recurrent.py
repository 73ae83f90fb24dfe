"""RNN, GRU and LSTM nodes, taken apart into dense layers and activations of one step after another.

Equations are those of the ONNX operator specification: X (T, batch, inputs), W and R one matrix per gate, stacked; the
gates of a GRU in the order update, reset, new, of an LSTM input, output, forget, cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebci.export.foreign.elementwise import hard_sigmoid
from edgebci.export.foreign.emitter import Emitter, Unsupported, Value, View, reshaped
from edgebci.export.foreign.movement import joined
from edgebci.export.foreign.node import OnnxNode, Translate
from edgebci.export.foreign.products import transposed

MOST_STEPS = 64
"""Steps within one call; each is written out, so more would make a program of many thousand nodes."""
Floats = NDArray[np.float32]
Activation = Callable[[Value, Emitter], Value]
_ACTIVATIONS: dict[str, Activation] = {
    "Sigmoid": lambda x, to: to.apply("sigmoid", x),
    "Tanh": lambda x, to: to.apply("tanh", x),
    "Relu": lambda x, to: to.apply("relu", x),
    "Softplus": lambda x, to: to.apply("softplus", x),
    "HardSigmoid": lambda x, to: hard_sigmoid(x, to, 0.2, 0.5),
    "Affine": lambda x, _: x,
}
_DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True, eq=False)
class Cell:
    """One direction of one node."""

    w: Floats  # (gates H, inputs)
    r: Floats  # (gates H, H)
    wb: Floats  # (gates H,)
    rb: Floats  # (gates H,)
    peepholes: Floats  # (3, H), of input, output, forget
    activations: tuple[Activation, ...]
    reset_late: bool
    """The reset gate multiplies what the recurrent matrix gives, not what it takes."""

    @property
    def hidden(self) -> int:
        """H."""
        return int(self.r.shape[1])

    def dense(self, x: Value, weight: Floats, bias: Floats, to: Emitter) -> Value:
        """(batch, columns) to (batch, rows)."""
        rows, columns = weight.shape
        return reshaped(to.dense(reshaped(x, (-1, 1, columns)), weight[None], bias[None]), (-1, rows))

    def gates(self, x: Value) -> list[Value]:
        """(batch, gates H) cut apart."""
        return [_columns(x, i * self.hidden, (i + 1) * self.hidden) for i in range(x.shape[1] // self.hidden)]


def _columns(x: Value, start: int, stop: int) -> Value:
    if isinstance(x, np.ndarray):
        return x[:, start:stop]
    return View(x.tensor, x.positions[:, start:stop])


def _rnn_step(cell: Cell, p: Value, h: Value, c: Value, to: Emitter) -> tuple[Value, Value]:
    s = cell.dense(h, cell.r, cell.rb, to)
    return cell.activations[0](to.apply("add", p, s), to), c


def _gru_step(cell: Cell, p: Value, h: Value, c: Value, to: Emitter) -> tuple[Value, Value]:
    """H = n + z (h - n)."""
    f, g = cell.activations
    n, late = cell.hidden, cell.reset_late
    rows = 3 * n if late else 2 * n
    p_update, p_reset, p_new = cell.gates(p)
    s_update, s_reset, *s_new = cell.gates(cell.dense(h, cell.r[:rows], cell.rb[:rows], to))
    update, reset = (f(to.apply("add", a, b), to) for a, b in ((p_update, s_update), (p_reset, s_reset)))
    if late:
        remembered = to.apply("multiply", reset, s_new[0])
    else:
        remembered = cell.dense(to.apply("multiply", reset, h), cell.r[2 * n :], cell.rb[2 * n :], to)
    new = g(to.apply("add", p_new, remembered), to)
    return to.apply("add", new, to.apply("multiply", update, to.apply("subtract", h, new))), c


def _lstm_step(cell: Cell, p: Value, h: Value, c: Value, to: Emitter) -> tuple[Value, Value]:
    f, g, out = cell.activations
    summed = to.apply("add", p, cell.dense(h, cell.r, cell.rb, to))
    i, o, forget, new = cell.gates(summed)
    i, forget = (_peeking(gate, c, cell.peepholes[k], to) for gate, k in ((i, 0), (forget, 2)))
    kept = to.apply("multiply", f(forget, to), c)
    following = to.apply("add", kept, to.apply("multiply", f(i, to), g(new, to)))
    o = _peeking(o, following, cell.peepholes[1], to)
    return to.apply("multiply", f(o, to), out(following, to)), following


def _peeking(gate: Value, c: Value, peephole: Floats, to: Emitter) -> Value:
    return to.apply("add", gate, to.apply("multiply", c, peephole)) if peephole.any() else gate


_STEPS = {"RNN": _rnn_step, "GRU": _gru_step, "LSTM": _lstm_step}


def _translate(node: OnnxNode, to: Emitter) -> list[Value]:
    _check(node)
    batch_first = bool(node.get("layout", 0))
    x = transposed(node.value(0), (1, 0, 2)) if batch_first else node.value(0)
    if x.shape[0] > MOST_STEPS:
        raise Unsupported(f"it goes {x.shape[0]} steps in one call, allowed are {MOST_STEPS}; export one step")
    cells = _cells(node)
    starts = [_start(node, i, (len(cells), x.shape[1], cells[0].hidden), batch_first) for i in (5, 6)]
    directions = [
        _run(node.operator, cell, x, _reversed(node, d), _first(starts[0], d), _first(starts[1], d), to)
        for d, cell in enumerate(cells)
    ]
    y = _stacked([_stacked(hidden, to) for hidden, _, _ in directions], to)  # (directions, T, batch, H)
    ends = [_stacked([h for _, h, _ in directions], to), _stacked([c for _, _, c in directions], to)]
    if batch_first:
        y, ends = transposed(y, (2, 1, 0, 3)), [transposed(end, (1, 0, 2)) for end in ends]
    else:
        y = transposed(y, (1, 0, 2, 3))
    return [y, *ends][: node.n_outputs]


def _run(
    operator: str, cell: Cell, x: Value, backwards: bool, h: Value, c: Value, to: Emitter
) -> tuple[list[Value], Value, Value]:
    """The hidden state (batch, H) after each step in the order of time, and both states at the end."""
    n_steps, batch, columns = x.shape
    p = reshaped(cell.dense(reshaped(x, (n_steps * batch, columns)), cell.w, cell.wb, to), (n_steps, batch, -1))
    order = range(n_steps)[::-1] if backwards else range(n_steps)
    hidden: dict[int, Value] = {}
    for t in order:
        h, c = _STEPS[operator](cell, _first(p, t), h, c, to)
        hidden[t] = h
    return [hidden[t] for t in range(n_steps)], h, c


def _first(value: Value, i: int) -> Value:
    return value[i] if isinstance(value, np.ndarray) else View(value.tensor, value.positions[i])


def _stacked(values: list[Value], to: Emitter) -> Value:
    return joined([reshaped(value, (1, *value.shape)) for value in values], 0, to)


def _start(node: OnnxNode, i: int, shape: tuple[int, ...], batch_first: bool) -> Value:
    given = node.optional(i)
    if given is None:
        return np.zeros(shape, np.float32)
    return transposed(given, (1, 0, 2)) if batch_first else given


def _reversed(node: OnnxNode, direction: int) -> bool:
    return direction == 1 or node.get("direction", "forward") == "reverse"


def _check(node: OnnxNode) -> None:
    if node.get("clip", None) is not None:
        raise Unsupported("it clips, which is not translated")
    if node.get("input_forget", 0):
        raise Unsupported("it couples input and forget gates, which is not translated")
    lengths = node.optional_constant(4, "list of sequence lengths")
    axis = 1 if node.get("layout", 0) else 0
    if lengths is not None and (lengths != node.value(0).shape[axis]).any():
        raise Unsupported("its sequence lengths differ from its input's")


def _cells(node: OnnxNode) -> list[Cell]:
    w, r = (node.constant(i, what).astype(np.float32) for i, what in ((1, "weight"), (2, "recurrent weight")))
    n, hidden = len(w), r.shape[2]
    rows = _GATES[node.operator] * hidden
    bias = node.optional_constant(3, "bias")
    biases = np.zeros((n, 2 * rows), np.float32) if bias is None else bias.astype(np.float32)
    given = node.optional_constant(7, "peepholes") if node.operator == "LSTM" else None
    peepholes = np.zeros((n, 3, hidden), np.float32) if given is None else given.reshape(n, 3, hidden)
    functions = _activations(node, n)
    late = bool(node.get("linear_before_reset", 0))
    return [Cell(w[d], r[d], biases[d, :rows], biases[d, rows:], peepholes[d], functions[d], late) for d in range(n)]


def _activations(node: OnnxNode, n_directions: int) -> list[tuple[Activation, ...]]:
    defaults = _DEFAULTS[node.operator]
    names = [
        name.decode() if isinstance(name, bytes) else str(name)
        for name in node.get("activations", defaults * n_directions)
    ]
    unknown = sorted({name for name in names if name not in _ACTIVATIONS} | _with_numbers(node))
    if unknown:
        raise Unsupported(f"its activations {', '.join(unknown)} are not translated")
    k = len(defaults)
    return [tuple(_ACTIVATIONS[name] for name in names[d * k : (d + 1) * k]) for d in range(n_directions)]


def _with_numbers(node: OnnxNode) -> set[str]:
    given: dict[str, Any] = {name: node.get(name, None) for name in ("activation_alpha", "activation_beta")}
    return {name for name, values in given.items() if values}


TRANSLATIONS: dict[str, Translate] = dict.fromkeys(_STEPS, _translate)
