"""`edgebci export` of a decoder of spikes, from the run folder that `edgebci train` leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgebci.errors import InputError, VerificationError
from edgebci.pipeline import export_spikes
from edgebci.pipeline.bundle_check import verify_bundle
from edgebci.pipeline.export_command import export
from edgebci.pipeline.export_frames import FrameSource
from edgebci.pipeline.export_order import ExportOrder
from edgebci.pipeline.export_result import read_result
from edgebci.pipeline.precision_command import decay_of_checkpoint
from edgebci.pipeline.precision_frontier import Frontier
from edgebci.possm_bundle import open_possm_bundle
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import save_possm_step
from edgebci.progress import silent
from edgebci.session import Session
from edgebci.training.possm.export_form import to_step
from edgebci.training.possm.files import load_possm
from edgebci.training.quantization_aware.learning import integers_path
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.recipe import Optimiser


@pytest.fixture
def step(
    pretrained: Path, make_session: Callable[..., Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The file of a step where a run has it, beside its session, whose reading alone is replaced."""
    session = make_session("session1", 1)
    place = tmp_path / "run" / "sessions" / "session1"
    place.mkdir(parents=True)
    (place / "spikes.safetensors").write_bytes(b"")
    monkeypatch.setattr(export_spikes, "load_session", {place: session}.__getitem__)
    file = tmp_path / "run" / "decoders" / "POSSM gru, tuned" / "session1_1" / "possm_step.safetensors"
    save_possm_step(file, to_step(load_possm(pretrained), "session1"))
    return file


def test_a_step_of_a_run_becomes_a_bundle_with_accuracy_and_bill(step: Path, tmp_path: Path) -> None:
    result = export(ExportOrder(model=step, out=tmp_path / "b", target="cortex-m4f"), silent)
    assert [one.form for one in result.accuracy] == ["ONNX float", "ONNX int8", "bit-exact reference of the C"]
    assert all(value > 0.2 for value in result.accuracy[-1].r2.values())
    assert result.loss is not None
    assert json.loads((tmp_path / "b" / "sbom.json").read_text())["bomFormat"] == "CycloneDX"
    assert open_possm_bundle(tmp_path / "b").manifest.target == "cortex-m4f"
    assert read_result(tmp_path / "b") == result
    found = verify_bundle(tmp_path / "b", 30, silent)
    assert (found.kind, found.quantized_steps, found.parameter_block) == ("spikes", 30, False)


@pytest.mark.parametrize(
    ("target", "precision", "forms"),
    [
        ("cpu", "int8", ["ONNX float", "ONNX int8"]),
        ("raspberry-pi-5", "fp32", ["ONNX float"]),
        ("jetson", "fp16", ["ONNX float", "ONNX for TensorRT"]),
    ],
)
def test_a_step_leaves_for_runtimes_and_boards_too(
    step: Path, tmp_path: Path, target: str, precision: str, forms: list[str]
) -> None:
    out = tmp_path / "b"
    result = export(ExportOrder(model=step, out=out, target=target, precision=precision), silent)
    assert [one.form for one in result.accuracy] == forms
    assert all(value > 0.2 for value in result.accuracy[-1].r2.values())
    assert (result.precision, result.int8_share is not None) == (precision, precision == "int8")
    assert (out / "run_decoder.py").is_file() == (target != "jetson")
    assert (out / "jetson" / "build_engine.py").is_file() == (target == "jetson")
    found = verify_bundle(out, 20, silent)
    assert found.float_steps == 20
    assert found.quantized_steps == (20 if precision == "int8" else 0)


def test_a_step_trained_in_its_integers_ships_those_integers(step: Path, tmp_path: Path) -> None:
    optimiser = Optimiser(learning_rate=1e-4, warm_up_epochs=0, epochs=1, batch_windows=4, window_frames=16)
    recipe = QuantizationAwareRecipe(burn_in_frames=2, optimiser=optimiser)
    out = tmp_path / "b"
    result = export(ExportOrder(model=step, out=out, target="cpu", precision="int8", quantization_aware=recipe), silent)
    trained = QuantizedPossmStep.load(integers_path(tmp_path / "b.qat" / "step.safetensors")).tensors()
    shipped = open_possm_bundle(out).quantized_decoder().tensors()
    assert all(np.array_equal(values, trained[name]) for name, values in shipped.items())
    assert any("trained in the integers" in note for note in result.notes)


def test_mixed_precision_searches_the_widths_of_dense_layers(step: Path, tmp_path: Path) -> None:
    order = ExportOrder(model=step, out=tmp_path / "b", target="cortex-m4f", precision="mixed", max_loss=0.05)
    result = export(order, silent)
    found = Frontier.model_validate_json((tmp_path / "b" / "precision.json").read_text())
    assert any("cycles in dense layers" in note for note in result.notes)
    bundle = open_possm_bundle(tmp_path / "b")
    bits = {
        name: 4 if f"{name}.weight_int4" in tensors else 16 if f"{name}.weight_int16" in tensors else 8
        for tensors in [bundle.quantized_decoder().tensors()]
        for name in found.chosen.widths
    }
    assert bits == found.chosen.widths
    assert {point.name for point in found.points} >= {"all int16", "all int8", "all int4"}
    assert found.chosen.bytes == result.weight_bytes + result.state_bytes
    assert found.proven
    assert found.chosen.loss.high <= 0.05
    by_name = {point.name: point.bytes for point in found.points}
    assert by_name["all int4"] <= found.chosen.bytes < by_name["all int16"]
    assert verify_bundle(tmp_path / "b", 20, silent).quantized_steps == 20


def test_an_int8_that_is_none_on_the_board_is_refused_by_name(step: Path, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"tokens\.value \(fp32: fewer than 16 tokens or values\)"):
        export(ExportOrder(model=step, out=tmp_path / "b", target="jetson", precision="int8"), silent)
    assert not (tmp_path / "b").exists()


def test_what_spikes_have_not_is_refused_before_anything_runs(step: Path, tmp_path: Path) -> None:
    order = ExportOrder(model=step, out=tmp_path / "b", target="cpu", precision="int8", loadable=True, quantized=step)
    with pytest.raises(InputError, match="decodes spikes, for which there is no --quantized nor --loadable"):
        export(order, silent)


def test_what_is_for_decoders_of_frames_says_so_in_a_sentence(step: Path) -> None:
    with pytest.raises(InputError, match=r"is a decoder of spikes, this is for decoders of frames; edgebci precision"):
        decay_of_checkpoint(step, FrameSource())


def test_a_step_without_its_session_asks_for_it(step: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "possm_step.safetensors"
    alone.parent.mkdir()
    alone.write_bytes(step.read_bytes())
    with pytest.raises(InputError, match=r"no spikes\.safetensors in .*; give --prepared"):
        export(ExportOrder(model=alone, out=tmp_path / "b", target="host"), silent)
