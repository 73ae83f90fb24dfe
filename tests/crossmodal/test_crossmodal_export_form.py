"""The causal student as the exporter takes it: the same decoder, through its exported step too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgebci.checkpoint import TrainingRecord, load_checkpoint, read_tensors, save_checkpoint
from edgebci.errors import InputError
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.export.step_graph import float_step_graph
from edgebci.export.stream_comparison import FLOAT_TOLERANCE
from edgebci.export.verification import verify_float, verify_quantized
from edgebci.metrics import r2
from edgebci.session import Session
from edgebci.training.causal_decoder import from_checkpoint, predict
from edgebci.training.crossmodal.export_form import to_checkpoint
from edgebci.training.crossmodal.files import StudentHeader, load_student
from edgebci.training.crossmodal.readout import decode, fit_readout, lfp_view
from edgebci.training.crossmodal.recipe import CrossModalRecipe, TransformerBody
from edgebci.training.crossmodal.spec import EncoderSpec, TokenSpec
from edgebci.training.crossmodal.student_model import Student

PENALTIES = (0.0, 1e-2)


def test_the_checkpoint_decodes_what_the_student_decodes_on_a_session_it_never_saw(
    sessions: list[Session], student: Path, tmp_path: Path
) -> None:
    unseen = replace(sessions[0], name="unseen")
    model = load_student(student)
    readout = fit_readout(lfp_view(model, 50), [unseen], PENALTIES)
    _, header = read_tensors(student, StudentHeader)
    save_checkpoint(tmp_path / "decoder.safetensors", to_checkpoint(model, readout, unseen, header.training))
    checkpoint = load_checkpoint(tmp_path / "decoder.safetensors")
    decoded = predict(from_checkpoint(checkpoint), unseen.data)
    # cm/s of some tens in float32; the stream is cut differently.
    np.testing.assert_allclose(decoded, decode(lfp_view(model, 50), readout, unseen), atol=1e-3)
    assert (checkpoint.spec.output_names, checkpoint.spec.output_unit) == (("vx", "vy"), "cm/s")
    assert checkpoint.training.recipe["schema"] == "edgebci.crossmodal/1"


def test_the_exported_steps_compute_the_student(sessions: list[Session], student: Path) -> None:
    model, session = load_student(student), sessions[0]
    readout = fit_readout(lfp_view(model, 50), [session], PENALTIES)
    _, header = read_tensors(student, StudentHeader)
    checkpoint = to_checkpoint(model, readout, session, header.training)
    spec, parameters, frames = checkpoint.spec, dict(checkpoint.parameters), session.data.frames
    graph = float_step_graph(spec, parameters)
    found = verify_float(graph, spec, parameters, frames[:400], evaluator_steps=20)
    assert max(found.largest_error.values()) < FLOAT_TOLERANCE
    quantized = quantize(spec, parameters, frames[:1000])
    verify_quantized(quantized_step_graph(quantized), quantized, frames[1260:])
    rows = session.data.rows("test")
    integer = quantized.stream(frames)[rows].astype(np.float64)
    truth, whole = session.data.targets[rows].astype(np.float64), decode(lfp_view(model, 50), readout, session)[rows]
    # The decoded axes, in float and in int8; a wrong scale or axis would cost tenths.
    assert r2(truth, integer).mean() > r2(truth, whole.astype(np.float64)).mean() - 0.03


def test_what_no_implant_can_run_is_refused(
    sessions: list[Session], student: Path, make_session: Callable[..., Session], recipe: CrossModalRecipe
) -> None:
    model = load_student(student)
    readout = fit_readout(lfp_view(model, 50), sessions[:1], PENALTIES)
    untrained = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=100, epochs_run=0, best_epoch=0, versions={})
    body = TransformerBody(
        encoder=EncoderSpec(tokens=TokenSpec(kind="lfp", patch=4), transformer=recipe.teacher.predictor)
    )
    both_ways = Student(body, "frames", model.sessions, 6, 6, 0)
    with pytest.raises(InputError, match="both ways"):
        to_checkpoint(both_ways, readout, sessions[0], untrained)
    with pytest.raises(InputError, match="4 channels where the student has 6 inputs"):
        to_checkpoint(model, readout, make_session("few", 3, n_channels=4), untrained)
