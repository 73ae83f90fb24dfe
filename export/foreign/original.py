"""The model as it came, in ONNX Runtime: what every form of it must compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgebci.arithmetic import F32
from edgebci.errors import InputError
from edgebci.export.foreign.lowering import shape_of, state_name
from edgebci.export.foreign.streaming import WINDOW, Window
from edgebci.export.step_runner import Step, Tensors, open_session, runtime_step
from edgebci.foreign.graph import FRAME, OUTPUT


class OriginalModel:
    """Takes and gives what the flat step takes and gives; where it looks at a window, frame by frame."""

    def __init__(self, model: onnx.ModelProto, states: Mapping[str, str], window: Window | None = None) -> None:
        known = {tensor.name for tensor in model.graph.initializer}
        self._shapes = {value.name: shape_of(value) for value in model.graph.input if value.name not in known}
        self._states, self._window = dict(states), window
        self._outputs = [value.name for value in model.graph.output]
        self._run = runtime_step(open_session(model))

    @property
    def step(self) -> Step:
        """`frame` and states to `output` and `{state}.next`, all of rank 1."""
        return self._step

    def rollout(self, frames: F32, held: str = "") -> Tensors:
        """Every output at every step, (T, ...), states fed back; the state `held` stays zero."""
        values = {name: np.zeros(self._shapes[name], np.float32) for name in self._states}
        rows: list[Tensors] = []
        for frame in self._windows(frames):
            rows.append(self._called(frame, values))
            self._check_shapes(rows[-1])
            values = {name: rows[-1][output] for name, output in self._states.items() if name != held}
            values |= {held: np.zeros(self._shapes[held], np.float32)} if held else {}
        return {name: np.stack([row[name] for row in rows]) for name in self._outputs}

    def _check_shapes(self, results: Tensors) -> None:
        for name, output in self._states.items():
            if results[output].shape != self._shapes[name] or results[output].dtype != np.float32:
                raise InputError(
                    f"the state {name} {list(self._shapes[name])} cannot be followed by {output}, which is "
                    f"{results[output].dtype} {list(results[output].shape)}; correct --state"
                )

    def _step(self, feeds: Mapping[str, NDArray[Any]]) -> Tensors:
        states = {name: feeds[state_name(name)].reshape(self._shapes[name]) for name in self._states}
        frame, moved = feeds[FRAME], {}
        if self._window:
            frame, moved[f"{WINDOW}.next"] = self._window.moved_on(feeds[WINDOW], frame)
        results = self._called(frame, states)
        values = [results[name].ravel() for name in self._outputs if name not in self._states.values()]
        following = {f"{state_name(name)}.next": results[output].ravel() for name, output in self._states.items()}
        return {OUTPUT: np.concatenate(values), **following, **moved}

    def _windows(self, frames: F32) -> Iterator[NDArray[Any]]:
        """What the model takes at each frame."""
        if self._window is None:
            yield from frames
            return
        before: NDArray[Any] = np.zeros((self._window.n_frames - 1) * self._window.n_values, np.float32)
        for frame in frames:
            seen, before = self._window.moved_on(before, frame)
            yield seen

    def _called(self, frame: NDArray[Any], states: Mapping[str, NDArray[Any]]) -> Tensors:
        feeds, start = dict(states), 0
        for name, shape in self._shapes.items():
            if name not in self._states:
                size = int(np.prod(shape, dtype=np.int64))
                feeds[name] = np.asarray(frame[start : start + size], np.float32).reshape(shape)
                start += size
        try:
            return self._run(feeds)
        except Exception as error:  # the runtime's own exceptions share no base but this one
            raise InputError(
                f"ONNX Runtime cannot run the model ({str(error).splitlines()[0]}); export it again"
            ) from error
