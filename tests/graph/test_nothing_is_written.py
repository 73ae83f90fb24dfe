"""An export whose graph is broken, in whatever form, names tensor and step and leaves the folder as it was."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgebci.bundle import Provenance
from edgebci.checkpoint import Checkpoint, TrainingRecord
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import VerificationError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export import decoder_forms, target_files
from edgebci.export.bundle_writer import export_bundle
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.decoder_forms import Wanted
from edgebci.export.run_decoder import BoundDecoder
from edgebci.export.stream_comparison import long_stream
from edgebci.features.cases import front_end_case
from edgebci.frame_stream import FrameStream
from edgebci.targets import Precision
from tests.graph.conftest import altered

CASE = front_end_case("clean")
Export = Callable[[str, Precision], None]


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    """Export one small decoder into a folder that holds something already, proven over 100 steps to save time."""
    for module in (decoder_forms, target_files):
        monkeypatch.setattr(module, "long_stream", partial(long_stream, least=100))
    spec = DecoderSpec(
        n_inputs=CASE.front_end.n_features, output_names=("x", "y"), output_unit="cm/s", d_model=8, d_state=4, headdim=4
    )
    record = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=50, epochs_run=0, best_epoch=0, versions={})
    checkpoint = Checkpoint(spec, random_parameters(spec, 1), record)
    frames = random_frames(spec, 80, 2)
    stream = FrameStream(frames, np.arange(80) == 0, random_frames(spec, 80, 3)[:, :2].astype(float), np.ones(80, bool))
    provenance = Provenance(
        recording="r", recording_sha256="0" * 64, checkpoint_sha256="1" * 64, trials=1, test_intervals_s=((0.0, 1.0),)
    )
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "before.txt").write_text("stays", encoding="utf-8")

    def run(target: str, precision: Precision) -> None:
        wanted = Wanted(precision, QuantizationRecipe())
        export_bundle(
            tmp_path / "bundle", checkpoint, CASE.front_end, stream, stream, provenance, target=target, wanted=wanted
        )

    return run


def breaks(module: Any, builder: str, weight: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `builder` of `module` write one weight half as large again."""
    build = getattr(module, builder)

    def broken(*given: Any) -> onnx.ModelProto:
        return altered(build(*given), weight, 1.5)

    monkeypatch.setattr(module, builder, broken)


@pytest.mark.parametrize(
    ("target", "precision", "module", "builder", "weight", "named"),
    [
        ("cpu", "fp32", decoder_forms, "float_step_graph", "layers.0.mixer.A", r"ssm\.0\.next differs at step \d+ by"),
        ("cpu", "fp16", decoder_forms, "half_step_graph", "layers.0.mixer.A", r"ssm\.0\.next differs at step \d+ by"),
        ("cpu", "int8", decoder_forms, "quantized_step_graph", "input.act_scale", r"frame_q differs at step \d+ by"),
        ("cortex-m4f", "int8", decoder_forms, "quantized_step_graph", "layers.0.mixer.D", r"gated_q differs at step"),
        ("raspberry-pi-5", "fp32", target_files, "chunk_graph", "layers.0.mixer.D", r"chunk form: output differs at"),
        ("cpu", "fp16", target_files, "chunk_graph", "layers.0.mixer.D", r"chunk form: output differs at step \d+ by"),
        ("cpu", "int8", target_files, "chunk_graph", "layers.0.mixer.D", r"output differs at step \d+ in its bits"),
    ],
    ids=("fp32", "fp16", "int8", "int8 for C", "chunk fp32", "chunk fp16", "chunk int8"),
)
def test_a_broken_graph_of_any_form_is_named_and_nothing_is_written(
    target: str,
    precision: Precision,
    module: Any,
    builder: str,
    weight: str,
    named: str,
    export: Export,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    breaks(module, builder, weight, monkeypatch)
    with pytest.raises(VerificationError, match=named):
        export(target, precision)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == ["before.txt"]


def test_a_runner_that_gives_other_bits_is_named_and_nothing_is_written(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundDecoder, "reset", lambda _: None)
    with pytest.raises(VerificationError, match=r"bound buffers: the bits of output differ at step \d+;"):
        export("cpu", "fp32")
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == ["before.txt"]


def test_the_same_exports_unbroken_are_written(export: Export, tmp_path: Path) -> None:
    export("raspberry-pi-5", "int8")
    written = {path.name for path in (tmp_path / "bundle").iterdir()}
    assert {
        "decoder_float.onnx",
        "decoder_int8.onnx",
        "decoder_chunk.onnx",
        "run_decoder.py",
        "manifest.json",
    } <= written
    assert "before.txt" not in written
