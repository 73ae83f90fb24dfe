"""`edgebci export`: a checkpoint of a run becomes a verified bundle for a target, or a sentence says why not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import typer
from onnx import helper, numpy_helper
from typer.testing import CliRunner

from edgebci.bundle import open_bundle
from edgebci.checkpoint import load_checkpoint
from edgebci.cli.export import export as export_cli
from edgebci.cli.export import print_result
from edgebci.documents import load_json
from edgebci.errors import InputError, VerificationError
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.rewrites import RewriteRecord
from edgebci.frame_stream import part_stream
from edgebci.metrics import r2
from edgebci.pipeline.bundle_check import verify_bundle
from edgebci.pipeline.export_frames import ExportFrames, FrameSource, find_frames, prepared_folder
from edgebci.pipeline.export_order import ExportResult
from edgebci.pipeline.export_result import read_result
from edgebci.pipeline.precision_frontier import Frontier
from edgebci.pipeline.preparation import load_prepared
from edgebci.progress import silent
from edgebci.quantized_decoder import QuantizedDecoder
from edgebci.training.quantization_aware.recipe import QuantizationAwareRecipe
from edgebci.training.recipe import Optimiser
from tests.exporting import exported

COMMAND = typer.Typer()
COMMAND.command()(export_cli)


def test_the_frames_of_a_runs_checkpoint_are_found_without_being_named(
    finished_run: Any, for_a_core: ExportResult
) -> None:
    assert prepared_folder(finished_run.checkpoint) == finished_run.features
    manifest = open_bundle(for_a_core.bundle).manifest
    data = load_prepared(finished_run.features).data
    assert manifest.calibration is not None
    assert manifest.calibration.same_as_training
    assert manifest.calibration.n_frames == sum(stop - start for start, stop in data.train)
    assert for_a_core.notes == ()


def test_a_bundle_says_what_it_is_for_and_what_it_is_worth(finished_run: Any, for_a_core: ExportResult) -> None:
    bundle = open_bundle(for_a_core.bundle)
    assert (bundle.manifest.target, bundle.manifest.precision) == ("cortex-m4f", "int8")
    assert (bundle.firmware / "decoder.c").is_file()
    test = part_stream(load_prepared(finished_run.features).data, "test")
    decoded = bundle.quantized_decoder().stream(test.frames, test.reset_before).astype(np.float64)
    wanted = r2(test.truth[test.scored], decoded[test.scored])
    shipped = for_a_core.accuracy[-1]
    assert shipped.form == "bit-exact reference of the C"
    np.testing.assert_array_equal(list(shipped.r2.values()), wanted)
    assert for_a_core.loss is not None
    assert for_a_core.loss.low <= for_a_core.loss.value <= for_a_core.loss.high


def test_the_bill_of_materials_names_weights_tools_and_licences(for_a_core: ExportResult) -> None:
    bill = json.loads((for_a_core.bundle / "sbom.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    inside = {part["name"]: part for part in bill["components"]}
    provenance = open_bundle(for_a_core.bundle).manifest.provenance
    assert inside["checkpoint"]["hashes"] == [{"alg": "SHA-256", "content": provenance.checkpoint_sha256}]
    made_with = {tool["name"]: tool for tool in bill["metadata"]["tools"]["components"]}
    assert {"onnx", "onnxruntime", "numpy", "edgebci"} <= made_with.keys()
    assert all(tool["licenses"][0]["license"]["name"] for tool in made_with.values())


def test_a_runtime_gets_graphs_a_chunk_form_and_a_runner_but_no_c(finished_run: Any, tmp_path: Path) -> None:
    result = exported(finished_run.checkpoint, tmp_path / "b", "raspberry-pi-5")
    bundle = open_bundle(tmp_path / "b")
    assert not bundle.firmware.exists()
    assert result.accuracy[-1].form == "ONNX int8"
    assert {tensor.quantized_type for tensor in bundle.manifest.inputs} == {"float32", "int16"}
    assert {"decoder_int8.onnx", "decoder_chunk.onnx", "run_decoder.py"} <= bundle.manifest.files.keys()
    assert bundle.manifest.target_record is not None
    assert bundle.manifest.target_record["chunk"]["chunks"] > 10  # type: ignore[index,call-overload,operator]


def test_half_precision_has_its_own_graph_and_accuracy(finished_run: Any, tmp_path: Path) -> None:
    result = exported(finished_run.checkpoint, tmp_path / "b", "cpu", precision="fp16")
    bundle = open_bundle(tmp_path / "b")
    assert bundle.shipped_onnx.name == "decoder_fp16.onnx"
    assert bundle.manifest.half_agreement is not None
    assert 0 < max(bundle.manifest.half_agreement.largest_error.values()) < bundle.manifest.half_agreement.tolerance
    assert result.loss is not None
    assert result.loss.high < 0.005


def test_int8_that_is_mostly_something_else_is_refused_with_the_tensors(finished_run: Any, tmp_path: Path) -> None:
    """Four-bit weights in the largest matrix leave too few int8 by int8."""
    recipe = QuantizationRecipe(widths={"layers.0.mixer.in_proj": 4})
    with pytest.raises(
        VerificationError, match=r"layers\.0\.mixer\.in_proj \(4-bit weights .* fall short; export with"
    ):
        exported(finished_run.checkpoint, tmp_path / "b", recipe=recipe)
    assert list(tmp_path.iterdir()) == []


def test_the_share_of_int8_is_stated(for_a_core: ExportResult) -> None:
    spec = open_bundle(for_a_core.bundle).manifest.spec
    conv = 2 * spec.d_conv * spec.conv_dim
    work = open_bundle(for_a_core.bundle).manifest.workload
    assert for_a_core.int8_share == work.dense_macs / (work.dense_macs + conv) > 0.95


def test_a_bundle_in_float_has_no_quantized_decoder_and_says_so(in_float: Path) -> None:
    bundle = open_bundle(in_float)
    assert not bundle.int8_onnx.exists()
    assert bundle.manifest.quantization is None
    assert {tensor.quantized_type for tensor in bundle.manifest.inputs} == {"float32"}
    assert bundle.manifest.target_record is not None
    assert bundle.manifest.target_record["chunk"]["evaluator_chunks"] == 3  # type: ignore[index,call-overload]
    with pytest.raises(InputError, match="in fp32 and holds no quantized decoder; export with --precision int8"):
        bundle.quantized_decoder()


EXPORT_ONCE = """
import sys
from pathlib import Path
from edgebci.pipeline.export_command import export
from edgebci.pipeline.export_order import ExportOrder
from edgebci.progress import silent
export(ExportOrder(model=Path(sys.argv[1]), out=Path(sys.argv[2]), target="cortex-m4f"), silent)
"""


def test_two_processes_that_hash_differently_write_the_same_bytes(
    finished_run: Any, for_a_core: ExportResult, tmp_path: Path
) -> None:
    """Sets of strings come in another order there than in this process."""
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "4242" else "4242"
    command = [sys.executable, "-c", EXPORT_ONCE, str(finished_run.checkpoint), str(tmp_path / "again")]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True)
    names = sorted(path.relative_to(for_a_core.bundle) for path in for_a_core.bundle.rglob("*") if path.is_file())
    assert len(names) > 12
    assert open_bundle(tmp_path / "again").manifest.float_agreement.evaluator_steps == 300
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (for_a_core.bundle / name).read_bytes(), name


def test_a_checkpoint_on_its_own_asks_for_frames(finished_run: Any, tmp_path: Path) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(finished_run.checkpoint.read_bytes())
    with pytest.raises(InputError, match="lies in no run folder with its frames; give --prepared FOLDER"):
        exported(alone, tmp_path / "b")
    with pytest.raises(InputError, match=r"holds no frames\.safetensors; give the features folder"):
        exported(alone, tmp_path / "b", frames=FrameSource(prepared=tmp_path))


def found(finished_run: Any, model: Path, folder: Path, **source: Any) -> ExportFrames:
    return find_frames(model, load_checkpoint(model), FrameSource(**source), folder, silent)


def test_a_recording_gives_frames_by_the_checkpoints_own_front_end(finished_run: Any, tmp_path: Path) -> None:
    made = found(finished_run, finished_run.checkpoint, tmp_path, recording=finished_run.recording)
    wanted = load_prepared(finished_run.features)
    assert made.provenance.recording == "recording.h5"
    np.testing.assert_array_equal(made.prepared.front_end.mean, wanted.front_end.mean)
    # Cut as the run was, so the same training part, from the same statistics.
    np.testing.assert_array_equal(made.calibration.frames, part_stream(wanted.data, "train").frames)
    assert made.same_as_training


def test_frames_that_were_not_trained_on_are_told_of(finished_run: Any, tmp_path: Path) -> None:
    other = finished_run.rewritten(tmp_path, data_sha256={"train": "0" * 64})
    assert not found(finished_run, other, tmp_path, prepared=finished_run.features).same_as_training


def test_the_command_prints_json_and_offers_a_graph_with_fused_operators(finished_run: Any, tmp_path: Path) -> None:
    options = ["--target", "cpu", "--precision", "fp32", "--out", str(tmp_path / "b"), "--json"]
    fused = ["--rewrite", "com.microsoft.CausalConvWithState"]
    done = CliRunner().invoke(COMMAND, [str(finished_run.checkpoint), *options, *fused])
    assert done.exit_code == 0, (done.output, done.exception)
    said, manifest = ExportResult.model_validate_json(done.stdout), open_bundle(tmp_path / "b").manifest
    assert said.bundle_id == manifest.bundle_id
    assert manifest.target_record is not None
    (record,) = [RewriteRecord.model_validate(one) for one in manifest.target_record["rewrites"]]  # type: ignore[union-attr]
    assert record.applied == ("decoder_fused.onnx" in manifest.files)
    assert record.applied != bool(record.reason)


def test_fused_operators_are_for_a_runtime_in_float(finished_run: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fused operators are for cpu and raspberry-pi-5 in fp32"):
        exported(finished_run.checkpoint, tmp_path / "b", "cortex-m4f", rewrites=("com.microsoft.LinearAttention",))


def test_people_read_accuracy_and_loss(for_a_core: ExportResult, capsys: pytest.CaptureFixture[str]) -> None:
    print_result(for_a_core)
    shown = capsys.readouterr().out
    for part in ("cortex-m4f in int8", "bit-exact reference", "against the float", "parameter block"):
        assert part in shown


def dense_model(folder: Path) -> Path:
    """Two dense layers as someone else would write them."""
    rng = np.random.default_rng(5)
    weights = {"first": rng.standard_normal((24, 12)) / 4, "second": rng.standard_normal((12, 2)) / 4}
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["h"], "one"),
        helper.make_node("Relu", ["h"], ["r"], "two"),
        helper.make_node("MatMul", ["r", "second"], ["y"], "three"),
    ]
    ports = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, (1, k)) for n, k in (("x", 24), ("y", 2))]
    constants = [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "someones", ports[:1], ports[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "someones.onnx")
    np.save(folder / "frames.npy", rng.standard_normal((300, 24)).astype(np.float32))
    return folder / "someones.onnx"


def test_a_model_made_elsewhere_goes_the_same_way(tmp_path: Path) -> None:
    model = dense_model(tmp_path)
    with pytest.raises(InputError, match="was made elsewhere; give --calibration with frames"):
        exported(model, tmp_path / "b", "cpu")
    result = exported(model, tmp_path / "b", "cpu", calibration=tmp_path / "frames.npy")
    assert result.macs_per_step == 24 * 12 + 12 * 2
    assert result.int8_share == 1.0
    assert any("on this machine" in note for note in result.notes)
    assert read_result(tmp_path / "b").bundle_id == result.bundle_id
    assert verify_bundle(tmp_path / "b", 20, silent).kind == "foreign"


def test_a_model_made_elsewhere_may_be_had_as_c_in_float(tmp_path: Path) -> None:
    """Which a checkpoint may not: the C of our own operators is in integers."""
    model = dense_model(tmp_path)
    result = exported(model, tmp_path / "b", "cortex-m4f", precision="fp32", calibration=tmp_path / "frames.npy")
    assert (result.target, result.precision, result.int8_share) == ("cortex-m4f", "fp32", None)


def test_a_jetson_gets_a_folder_to_copy_and_the_word_that_nothing_was_built(finished_run: Any, tmp_path: Path) -> None:
    result = exported(finished_run.checkpoint, tmp_path / "b", "jetson")
    names = set(open_bundle(tmp_path / "b").manifest.files)
    assert {"jetson/decoder.onnx", "jetson/build_engine.py"} <= names
    assert (result.target, result.accuracy[-1].form) == ("jetson-orin-nano", "ONNX for TensorRT")
    assert any("engine was not built" in note for note in result.notes)
    assert verify_bundle(tmp_path / "b", 20, silent).files == len(names)


def test_mixed_precision_shows_its_frontier_and_keeps_to_the_loss_that_is_allowed(
    finished_run: Any, tmp_path: Path
) -> None:
    result = exported(finished_run.checkpoint, tmp_path / "b", "cortex-m4f", precision="mixed", max_loss=0.05)
    bundle = open_bundle(tmp_path / "b")
    assert {"precision.json", "precision.svg"} <= set(bundle.manifest.files)
    assert bundle.manifest.quantization is not None
    assert bundle.manifest.quantization["widths"]
    found = load_json(tmp_path / "b" / "precision.json", Frontier)
    plain = next(point for point in found.points if point.name == "all int8, states int16")
    cost = {point.name: point.cycles / plain.cycles + point.bytes / plain.bytes for point in found.points}
    allowed = [cost[point.name] for point in found.points if point.loss.high <= 0.05]
    assert len(allowed) > 1
    assert cost[found.chosen.name] == min(allowed) <= cost[plain.name]
    assert bundle.manifest.quantization["widths"] == found.chosen.widths
    assert result.loss is not None
    assert result.loss.margin == 0.05


def test_training_in_the_integers_comes_first_where_it_is_asked_for(finished_run: Any, tmp_path: Path) -> None:
    optimiser = Optimiser(learning_rate=3e-4, epochs=1, batch_windows=8, window_frames=64, warm_up_epochs=0)
    recipe = QuantizationAwareRecipe(optimiser=optimiser)
    result = exported(finished_run.checkpoint, tmp_path / "b", "cortex-m4f", quantization_aware=recipe)
    bundle = open_bundle(tmp_path / "b")
    assert bundle.manifest.quantization == {"learned": True}
    learned = QuantizedDecoder.load(tmp_path / "b.qat" / "decoder.int8.safetensors")
    for name, values in learned.tensors().items():
        np.testing.assert_array_equal(bundle.quantized_decoder().tensors()[name], values, err_msg=name)
    assert any("trained in the integers" in note for note in result.notes)


def test_a_bundle_for_a_core_with_vectors_holds_kernels_in_vectors(finished_run: Any, tmp_path: Path) -> None:
    bundle = exported(finished_run.checkpoint, tmp_path / "b", target="cortex-m55").bundle
    assert "Helium" in (bundle / "firmware" / "edgebci_dense.h").read_text(encoding="utf-8")
