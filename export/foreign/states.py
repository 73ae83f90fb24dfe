"""Finding the states of a model: inputs whose next value is an output, by their names or as the user says.

`h` and `h_out`, `h_in` and `h_out`, `state.0` and `state.0.next`, `h0` and `hn`, `past_c` and `present_c`, `prev_h` and
`new_h`: names are cut into words, and one word that says "before" or "after" is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import onnx

from edgebci.arithmetic import F32
from edgebci.documents import nearest
from edgebci.errors import InputError
from edgebci.export.foreign.lowering import shape_of
from edgebci.export.foreign.original import OriginalModel
from edgebci.export.foreign.streaming import Window

_BEFORE = {"in", "prev", "previous", "past", "old", "init", "initial", "before", "0", "last", "input"}
_AFTER = {"out", "next", "new", "present", "n", "after", "updated", "following", "output", "final"}
_BEFORE_ALONE, _AFTER_ALONE = {"past", "prev", "previous", "old"}, {"present", "next", "new", "updated"}
"""Marks that are a whole name: `past` and `present`, but not `input` and `output`."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
CHECKED_STEPS = 64

Words = tuple[str, ...]


def find_states(model: onnx.ModelProto, given: Sequence[str] = ()) -> dict[str, str]:
    """The output that is the next value of an input, by that input's name.

    Args:
        model: as `read_model` gives it.
        given: pairs `in=out` that the user names; where there are any, names are not guessed.

    Raises:
        InputError: a pair that does not exist or whose shapes differ, or names that fit several ways.
    """
    known = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in known}
    outputs = {value.name: value for value in model.graph.output}
    pairs = _given(given, list(inputs), list(outputs)) if given else _guessed(list(inputs), list(outputs))
    if not given:
        pairs = {name: output for name, output in pairs.items() if _fit(inputs[name], outputs[output])}
    for name, output in pairs.items():
        if not _fit(inputs[name], outputs[output]):
            raise InputError(
                f"the state {name} {list(shape_of(inputs[name]))} cannot be followed by {output} "
                f"{list(shape_of(outputs[output]))}, shapes must be equal; correct --state"
            )
    if len(pairs) == len(inputs) and not given:
        # What takes nothing but states is no decoder: names that look alike are chance, as of an autoencoder.
        pairs = {}
    if len(pairs) == len(inputs):
        raise InputError("every input of the model is a state, a decoder takes frames too; name states with --state")
    if len(pairs) == len(outputs):
        raise InputError("every output of the model is a state, a decoder gives values too; export it with its output")
    return pairs


def check_states(model: onnx.ModelProto, states: dict[str, str], frames: F32, window: Window | None = None) -> int:
    """Run the model: what it says with each state fed back must not be what it says with that state at zero.

    Returns the number of steps that it ran.

    Raises:
        InputError: names the state that changes nothing.
    """
    original = OriginalModel(model, states, window)
    seen = frames[:CHECKED_STEPS]
    expected = original.rollout(seen)
    for name, output in states.items():
        held = original.rollout(seen, held=name)
        others = [key for key in expected if key != output]
        own = np.array_equal(expected[output], held[output], equal_nan=True)
        if own and all(np.array_equal(expected[key], held[key], equal_nan=True) for key in others):
            raise InputError(
                f"feeding {output!r} back into {name!r} changes nothing over {len(seen)} frames, so it is no state; "
                "name the right pairs with --state INPUT=OUTPUT, or remove that input"
            )
    return len(seen)


def _given(pairs: Sequence[str], inputs: list[str], outputs: list[str]) -> dict[str, str]:
    states: dict[str, str] = {}
    for pair in pairs:
        name, sign, output = pair.partition("=")
        if not sign:
            raise InputError(f"--state {pair!r} is no pair; write it INPUT=OUTPUT")
        for what, one, allowed in (("input", name, inputs), ("output", output, outputs)):
            if one not in allowed:
                raise InputError(f"--state {pair}: the model has no {what} {one!r}, {nearest(one, allowed)}")
        if name in states or output in states.values():
            raise InputError(f"--state {pair}: {name!r} or {output!r} is in another pair; name each once")
        states[name] = output
    return states


def _guessed(inputs: list[str], outputs: list[str]) -> dict[str, str]:
    states: dict[str, str] = {}
    for name in inputs:
        found = [output for output in outputs if _matches(name, output)]
        if len(found) > 1:
            raise InputError(
                f"the state {name!r} could be followed by {' or '.join(map(repr, found))}; name the pair with "
                f"--state {name}=OUTPUT"
            )
        if found and found[0] in states.values():
            raise InputError(f"two inputs could be followed by {found[0]!r}; name the pairs with --state INPUT=OUTPUT")
        if found:
            states[name] = found[0]
    return states


def _matches(name: str, output: str) -> bool:
    """Whether the names are of one thing before and after, of which the later one says so."""
    before, after = _words(name), _words(output)
    if {*before, *after} <= _BEFORE_ALONE | _AFTER_ALONE:
        return len(before) == len(after) == 1 and before[0] in _BEFORE_ALONE and after[0] in _AFTER_ALONE
    stems = {before, *_without(before, _BEFORE)}
    return bool(stems.intersection(_without(after, _AFTER)))


def _without(words: Words, marks: set[str]) -> set[Words]:
    """The words less one mark at either end."""
    cut = {words[1:]} if words and words[0] in marks else set()
    cut |= {words[:-1]} if words and words[-1] in marks else set()
    return {rest for rest in cut if rest}


def _words(name: str) -> Words:
    words = [word.lower() for word in _WORD.findall(name)]
    # `hn` and `cn`, as the literature has them.
    return tuple(part for word in words for part in ((word[0], "n") if word in ("hn", "cn") else (word,)))


def _fit(given: onnx.ValueInfoProto, output: onnx.ValueInfoProto) -> bool:
    """Whether shapes are equal, as far as the model says."""
    shape = shape_of(output)
    unsaid = not output.type.tensor_type.HasField("shape") or 0 in shape
    return unsaid or shape_of(given) == shape
