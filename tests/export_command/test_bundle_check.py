"""`edgebci bundle verify` passes what was exported and refuses what was changed; `show` says what it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from edgebci.bundle import Manifest, file_records, open_bundle, write_manifest
from edgebci.cli.bundle import bundle_app
from edgebci.documents import load_json
from edgebci.errors import InputError, VerificationError
from edgebci.pipeline.bundle_check import verify_bundle
from edgebci.pipeline.export_order import ExportResult
from edgebci.progress import silent


@pytest.fixture
def bundle(for_a_core: ExportResult, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(for_a_core.bundle, tmp_path / "bundle"))


def changed_graph(folder: Path, name: str, change: Callable[[onnx.ModelProto], None]) -> None:
    """Change a graph and make the manifest agree, as someone would who wants it to pass."""
    model = onnx.load(folder / name)
    change(model)
    onnx.save(model, folder / name)
    manifest = load_json(folder / "manifest.json", Manifest)
    write_manifest(folder, manifest.model_copy(update={"files": file_records(folder)}))


def scale_constant(name: str, factor: float) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        constant = next(c for c in model.graph.initializer if c.name == name)
        values = (numpy_helper.to_array(constant) * factor).astype(np.float32)
        constant.CopyFrom(numpy_helper.from_array(values, name))

    return change


def test_what_was_exported_passes(for_a_core: ExportResult) -> None:
    found = verify_bundle(for_a_core.bundle, 60, silent)
    assert found.bundle_id == for_a_core.bundle_id
    assert found.graphs == ("decoder_float.onnx", "decoder_int8.onnx")
    assert (found.float_steps, found.quantized_steps) == (40, 60)
    assert found.parameter_block
    assert found.notes == ()


def test_a_bundle_in_float_passes_without_integers(in_float: Path) -> None:
    found = verify_bundle(in_float, 60, silent)
    assert (found.float_steps, found.quantized_steps) == (40, 0)
    assert "decoder_chunk.onnx" in found.graphs


def test_a_changed_byte_is_found_in_any_file(bundle: Path) -> None:
    names = sorted(open_bundle(bundle).manifest.files)
    assert "firmware/weights.c" in names
    for name in names:
        whole = (bundle / name).read_bytes()
        (bundle / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(VerificationError, match=f"damaged: {name} is not what the manifest's hash says"):
            verify_bundle(bundle, 10, silent)
        (bundle / name).write_bytes(whole)


def test_a_graph_that_computes_something_else_is_found_behind_right_hashes(bundle: Path) -> None:
    changed_graph(bundle, "decoder_int8.onnx", scale_constant("layers.0.norm.weight", 1.1))
    # The id has changed with the graph, so the parameter block is no longer this bundle's.
    with pytest.raises(VerificationError, match=r"parameters\.bin belongs to the bundle [0-9a-f]{32}, this one is"):
        verify_bundle(bundle, 60, silent)
    manifest = load_json(bundle / "manifest.json", Manifest).model_copy(update={"parameters": None})
    write_manifest(bundle, manifest)
    with pytest.raises(VerificationError, match=r"layers\.0\.norm_q differs at step 0"):
        verify_bundle(bundle, 60, silent)


def test_a_graph_that_does_not_open_is_found(bundle: Path) -> None:
    whole = (bundle / "decoder_float.onnx").read_bytes()
    (bundle / "decoder_float.onnx").write_bytes(whole[: len(whole) // 2])
    manifest = load_json(bundle / "manifest.json", Manifest)
    write_manifest(bundle, manifest.model_copy(update={"files": file_records(bundle)}))
    with pytest.raises(VerificationError, match=r"decoder_float\.onnx cannot be run"):
        verify_bundle(bundle, 20, silent)


def test_strangers_in_the_folder_are_told_of(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("mine")
    assert verify_bundle(bundle, 20, silent).notes == ("not of the bundle: notes.txt",)


def test_another_kind_of_manifest_is_refused(bundle: Path) -> None:
    content = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(content | {"schema_version": "edgebci.pipeline/1"}))
    with pytest.raises(InputError, match=r"is 'edgebci.pipeline/1', known are edgebci.bundle"):
        verify_bundle(bundle, 20, silent)
    (bundle / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="is not valid JSON"):
        verify_bundle(bundle, 20, silent)


@pytest.mark.parametrize("command", ["verify", "show"])
def test_the_commands_print_json_for_programs(for_a_core: ExportResult, command: str) -> None:
    options = ["--steps", "20"] if command == "verify" else []
    done = CliRunner().invoke(bundle_app, [command, str(for_a_core.bundle), "--json", *options])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["bundle_id"] == for_a_core.bundle_id


def test_show_says_what_the_export_said(for_a_core: ExportResult) -> None:
    done = CliRunner().invoke(bundle_app, ["show", str(for_a_core.bundle), "--json"])
    assert ExportResult.model_validate_json(done.stdout) == for_a_core


def test_a_bundle_of_the_first_schema_still_opens_and_is_called_what_it_is(bundle: Path) -> None:
    content: dict[str, Any] = json.loads((bundle / "manifest.json").read_text())
    later = ("target", "precision", "calibration", "parameters", "recalibration", "target_record", "loss", "int8_share")
    old = {name: value for name, value in content.items() if name not in (*later, "half_agreement")}
    old["schema_version"] = "edgebci.bundle/1"
    for name in ("parameters.bin", "sbom.json"):
        del old["files"][name]
    old["accuracy"] = [{k: v for k, v in one.items() if k != "auroc"} for one in old["accuracy"]]
    (bundle / "manifest.json").write_text(json.dumps(old))
    assert not verify_bundle(bundle, 20, silent).parameter_block
    done = CliRunner().invoke(bundle_app, ["show", str(bundle), "--json"])
    assert "written as edgebci.bundle/1" in ExportResult.model_validate_json(done.stdout).notes[0]
