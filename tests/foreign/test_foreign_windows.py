"""A model that looks at a window of frames is a step that keeps the last ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgebci.errors import InputError
from edgebci.export.foreign.lowering import lower
from edgebci.export.foreign.streaming import find_window, with_window
from edgebci.export.step_runner import open_session, runtime_step
from edgebci.foreign.decoder import ForeignDecoder
from edgebci.pipeline.foreign_export import export_foreign
from tests.foreign.conftest import frames, model, window_model

Save = Callable[[onnx.ModelProto], Path]


@pytest.mark.parametrize("channels_first", [True, False])
def test_streaming_frames_is_running_the_model_over_every_window(channels_first: bool) -> None:
    made, seen = window_model(channels_first=channels_first), frames(40)
    graph = lower(made, {})
    window = find_window(graph, 8)
    assert window is not None
    found = ForeignDecoder(with_window(graph, window)).stream(seen)
    run = runtime_step(open_session(made))
    for t in range(4, 40):
        cut = seen[t - 4 : t + 1]
        expected = run({"x": (cut.T if channels_first else cut)[None]})["velocity"][0]
        # A dozen float32 products and a tanh: some ten roundings of 6e-8 on values near 1.
        np.testing.assert_allclose(found[t], expected, rtol=0, atol=2e-6)


def test_before_the_first_frame_there_were_zeros() -> None:
    made, seen = window_model(), frames(3)
    graph = lower(made, {})
    window = find_window(graph, 8)
    assert window is not None
    whole = np.concatenate([np.zeros((4, 8), np.float32), seen])
    expected = ForeignDecoder(graph).stream(np.stack([whole[t : t + 5].T.ravel() for t in range(3)]))
    assert ForeignDecoder(with_window(graph, window)).stream(seen).tobytes() == expected.tobytes()


def test_frames_that_are_whole_windows_need_no_state() -> None:
    graph = lower(window_model(), {})
    assert find_window(graph, 40) is None
    assert find_window(graph, 7) is None
    assert find_window(graph, 4) is None


def test_an_axis_of_time_that_cannot_be_told_is_asked_for() -> None:
    made = model([helper.make_node("Relu", ["x"], ["y"])], {"x": (1, 8, 8)}, {"y": (1, 8, 8)}, {})
    with pytest.raises(InputError, match=r"x \[1, 8, 8\] is 8 frames of 8 values in either order"):
        find_window(lower(made, {}), 8)


def test_such_a_model_is_exported_and_proved_as_a_stream(save: Save, tmp_path: Path) -> None:
    np.save(tmp_path / "frames.npy", frames(300))
    bundle = export_foreign(save(window_model()), "host", "int8", tmp_path / "frames.npy", tmp_path / "bundle")
    manifest = bundle.manifest
    assert (manifest.window_frames, manifest.states) == (5, ())
    assert manifest.inputs[0].shape == (8,)
    assert manifest.state_bytes == 2 * 4 * 8
    assert manifest.host_twin_steps == 1200
    assert "int16_t state_window[32]" in (bundle.firmware / "decoder.h").read_text()
