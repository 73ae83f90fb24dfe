"""A bundle is whole or absent, opens only undamaged, and its bytes depend on nothing but its contents."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebci.bundle import Accuracy, Bundle, BundleFiles, Provenance, open_bundle
from edgebci.checkpoint import Checkpoint, TrainingRecord
from edgebci.decoding_data import DecodingData
from edgebci.documents import parse
from edgebci.errors import InputError, VerificationError
from edgebci.export import bundle_writer, decoder_forms, target_files
from edgebci.export.step_graph import float_step_graph
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.features.front_end import FrontEnd
from edgebci.features.specification import Band, FeatureSpec, LowPass
from edgebci.frame_stream import FrameStream, part_stream

PROVENANCE = Provenance(
    recording="r.h5", recording_sha256="0" * 64, checkpoint_sha256="1" * 64, trials=3, test_intervals_s=((80.0, 100.0),)
)
FRONT_END = FrontEnd(
    FeatureSpec(rate_hz=1000.0, bands=(Band(low_hz=8.0, high_hz=30.0),), lmp=LowPass(corner_hz=5.0)),
    np.ones(6, bool),
    np.zeros(12, np.float32),
    np.ones(12, np.float32),
)
FILES = {
    "decoder_float.onnx",
    "decoder_int8.onnx",
    "quantized.safetensors",
    "front_end.json",
    "front_end.safetensors",
    "parameters.bin",
    "sbom.json",
}


def export(folder: Path, forms: Any) -> Bundle:
    record = TrainingRecord(
        recipe={"seed": 1}, data_sha256={}, frame_rate_hz=50.0, epochs_run=1, best_epoch=1, versions={}
    )
    reference = forms.quantized.stream(forms.frames[:120]).astype(np.float64)
    calibration, stream = (
        FrameStream(frames, np.arange(120) == 0, reference, np.ones(120, bool))
        for frames in (forms.calibration[:120], forms.frames[:120])
    )
    checkpoint = Checkpoint(forms.spec, forms.parameters, record)
    return bundle_writer.export_bundle(folder, checkpoint, FRONT_END, calibration, stream, PROVENANCE)


@pytest.fixture(scope="session")
def exported(forms: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("export") / "bundle", forms).folder


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(exported, tmp_path / "bundle"))


def test_a_bundle_holds_every_form_and_says_what_they_are(exported: Path, forms: Any) -> None:
    manifest = open_bundle(exported).manifest
    top = {name for name in manifest.files if not name.startswith("firmware/")}
    assert top == FILES
    assert {"firmware/decoder.c", "firmware/decoder.h"} <= set(manifest.files)
    assert manifest.spec == forms.spec
    assert manifest.features == FRONT_END.spec
    assert [tensor.name for tensor in manifest.inputs] == ["frame", *forms.spec.state_shapes()]
    assert manifest.inputs[1].shape == forms.spec.state_shapes()["conv.0"]
    assert manifest.quantized_agreement is not None
    assert (manifest.float_agreement.steps, manifest.quantized_agreement.steps) == (2000, 120)
    assert manifest.provenance == PROVENANCE
    assert {"edgebci", "onnx", "onnxruntime", "numpy"} <= manifest.versions.keys()


def test_what_a_bundle_holds_computes_the_same_thing(exported: Path, forms: Any) -> None:
    bundle = open_bundle(exported)
    frames = forms.frames[:60]
    reference = bundle.quantized_decoder().stream(frames)
    # An int8 value near a tie may round the other way: a thousandth of the output's spread is far above that.
    np.testing.assert_allclose(OnnxStepRunner(bundle.int8_onnx).stream(frames), reference, atol=0.02)
    np.testing.assert_allclose(OnnxStepRunner(bundle.float_onnx).stream(frames), reference, atol=0.4)
    assert bundle.front_end().n_features == forms.spec.n_inputs


def test_the_same_checkpoint_gives_the_same_bundle(exported: Path, forms: Any, tmp_path: Path) -> None:
    again = export(tmp_path / "again", forms).folder
    names = sorted(path.relative_to(exported) for path in exported.rglob("*") if path.is_file())
    assert len(names) > 8
    for name in names:
        assert (again / name).read_bytes() == (exported / name).read_bytes(), name


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_changed_byte_is_found(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"damaged: {name} is not what the manifest's hash says; export .* again"):
        open_bundle(bundle)


def test_every_fault_is_named_at_once(bundle: Path) -> None:
    (bundle / "decoder_int8.onnx").unlink()
    (bundle / "quantized.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"decoder_int8.onnx is missing; quantized.safetensors has 0 bytes where"):
        open_bundle(bundle)


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no manifest\.json"):
        open_bundle(tmp_path)


def test_a_manifest_of_another_schema_is_refused(bundle: Path) -> None:
    content = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(content | {"schema_version": "edgebci.bundle/9"}))
    with pytest.raises(InputError, match="schema_version"):
        open_bundle(bundle)


def test_a_manifest_may_not_point_outside_its_folder(bundle: Path) -> None:
    content = json.loads((bundle / "manifest.json").read_text())
    content["files"]["../elsewhere"] = {"sha256": "0" * 64, "size_bytes": 0}
    (bundle / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="outside the bundle"):
        open_bundle(bundle)


def test_accuracy_is_written_into_the_manifest(bundle: Path) -> None:
    score = Accuracy(form="onnx_int8", n_frames=9, r2={"x": 0.5, "y": 0.25}, pearson_r={"x": 0.75, "y": 0.5})
    open_bundle(bundle).with_accuracy([score])
    assert open_bundle(bundle).manifest.accuracy == (score,)


def test_a_graph_that_is_wrong_leaves_nothing_behind(
    forms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {name: values * np.float32(1.01) for name, values in forms.parameters.items()}
    wrong_graph = float_step_graph(forms.spec, wrong)
    monkeypatch.setattr(decoder_forms, "float_step_graph", lambda *_: wrong_graph)
    with pytest.raises(VerificationError, match=r"conv\.0\.next differs at step 0"):
        export(tmp_path / "bundle", forms)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_bundle_that_stood_there(
    bundle: Path, forms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(target_files, "generate", full)
    with pytest.raises(InputError, match="no space left"):
        export(bundle, forms)
    assert open_bundle(bundle).manifest.provenance == PROVENANCE
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_a_new_bundle_takes_the_place_of_the_old_one(bundle: Path, forms: Any) -> None:
    (bundle / "left_over").write_text("old")
    export(bundle, forms)
    assert not (bundle / "left_over").exists()
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_a_front_end_of_another_size_is_refused(forms: Any, tmp_path: Path) -> None:
    record = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=50.0, epochs_run=1, best_epoch=1, versions={})
    front_end = FrontEnd(FRONT_END.spec, np.ones(5, bool), np.zeros(10, np.float32), np.ones(10, np.float32))
    stream = FrameStream(forms.frames, forms.reset_before, np.zeros((900, 2)), np.ones(900, bool))
    with pytest.raises(InputError, match="gives 10 features of 5 channels but the decoder takes 12"):
        bundle_writer.export_bundle(
            tmp_path / "b", Checkpoint(forms.spec, forms.parameters, record), front_end, stream, stream, PROVENANCE
        )


def test_a_part_of_a_recording_starts_anew_at_each_interval() -> None:
    frames = np.arange(40, dtype=np.float32)[:, None]
    resets = np.zeros(40, bool)
    resets[24] = True
    data = DecodingData(
        frames=frames,
        targets=2 * frames,
        valid=np.arange(40) != 21,
        times_s=np.arange(40) / 50.0,
        train=((0, 5), (20, 26)),
        validation=((8, 12),),
        test=((30, 40),),
        target_names=("x",),
        target_unit="cm/s",
        reset_before=resets,
    )
    stream = part_stream(data, "train")
    assert stream.frames[:, 0].tolist() == [0, 1, 2, 3, 4, 20, 21, 22, 23, 24, 25]
    assert np.flatnonzero(stream.reset_before).tolist() == [0, 5, 9]
    assert np.flatnonzero(~stream.scored).tolist() == [6]
    assert (stream.truth == 2 * stream.frames).all()
    assert len(stream) == 11


@pytest.mark.parametrize("name", ["../weights.c", "/etc/passwd", "firmware/../../weights.c"])
def test_no_manifest_names_a_file_outside_its_bundle(name: str) -> None:
    files = {name: {"sha256": "0" * 64, "size_bytes": 1}}
    with pytest.raises(InputError, match="lies outside the bundle"):
        parse({"files": files}, BundleFiles, "manifest.json")
