"""`edgebci export MODEL.onnx` writes a whole, proved bundle, or nothing."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx import helper

from edgebci.documents import load_json
from edgebci.errors import InputError, VerificationError
from edgebci.export.foreign import bundle_writer, target_files
from edgebci.export.foreign.c_program import generate_foreign_program
from edgebci.export.foreign.lowering import lower
from edgebci.export.foreign.quantizing import quantize_foreign
from edgebci.export.foreign.verifying import VerificationStream
from edgebci.export.foreign.writing import foreign_onnx
from edgebci.export.tensorrt.jetson_files import JetsonRecord
from edgebci.foreign.bundle import ForeignBundle, open_foreign_bundle
from edgebci.foreign.decoder import ForeignDecoder
from edgebci.pipeline import foreign_export
from edgebci.pipeline.bundle_on_host import hash_bundle
from edgebci.pipeline.foreign_export import export_foreign, load_frames
from edgebci.pipeline.portable_bits import HERE, HOST_TWIN, REFERENCE, RUNTIME, saturating_input
from tests.foreign.conftest import dense_model, frames, gru_model, lstm_model, model, weights

Save = Callable[[onnx.ModelProto], Path]


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    np.save(tmp_path / "frames.npy", frames(300))
    return tmp_path / "frames.npy"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ForeignBundle:
    folder = tmp_path_factory.mktemp("exported")
    onnx.save(lstm_model(), folder / "decoder.onnx")
    np.save(folder / "frames.npy", frames(300))
    return export_foreign(
        folder / "decoder.onnx", "cortex-m4f", None, folder / "frames.npy", folder / "bundle", ["h=h_next", "c=c_next"]
    )


def test_a_bundle_holds_every_form_and_what_they_are_worth(exported: ForeignBundle) -> None:
    manifest = exported.manifest
    files = {"decoder_float.onnx", "decoder_int8.onnx", "decoder.safetensors", "sbom.json"}
    assert files | {"firmware/decoder.c", "firmware/decoder.h", "firmware/edgebci_foreign.h"} < manifest.files.keys()
    assert manifest.int8_share == 1.0
    assert manifest.macs == 4 * 6 * (8 + 6) + 2 * 6
    assert [(state.name, state.model_output, state.type) for state in manifest.states] == [
        ("h", "h_next", "int16"),
        ("c", "c_next", "int16"),
    ]
    assert manifest.state_bytes == 2 * 2 * 6
    assert manifest.host_twin_steps == manifest.float_agreement.steps >= 1024
    assert manifest.quantization_snr_db is not None
    assert set(manifest.quantization_snr_db) == {"velocity.0", "velocity.1"}


def test_the_same_model_and_frames_give_the_same_bytes(save: Save, calibration: Path, tmp_path: Path) -> None:
    path, folders = save(dense_model()), (tmp_path / "a", tmp_path / "b")
    first, second = (export_foreign(path, "cpu", "int8", calibration, folder) for folder in folders)
    assert first.manifest == second.manifest
    names = (*first.manifest.files, "manifest.json")
    assert all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in names)


def test_the_bundles_reference_is_the_quantized_decoder(exported: ForeignBundle) -> None:
    again = quantize_foreign(lower(lstm_model(), {"h": "h_next", "c": "c_next"}), frames(300))
    assert exported.decoder().stream(frames(50, 1)).tobytes() == again.stream(frames(50, 1)).tobytes()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_the_c_and_its_reference_hash_on_saturating_input(exported: ForeignBundle) -> None:
    found = hash_bundle(exported.folder, 60)
    hashes = {one.form: one.sha256 for one in found.hashes if one.machine == HERE}
    assert (found.rows, found.frames, set(hashes)) == (60, 60, {HOST_TWIN, REFERENCE, RUNTIME})
    decoder = exported.decoder()
    outputs, states = decoder.run(saturated(60, 8), decoder.initial_states())
    digest = hashlib.sha256(outputs.tobytes() + b"".join(values.tobytes() for values in states.values()))
    assert hashes[REFERENCE] == digest.hexdigest()


def saturated(n_frames: int, n_inputs: int) -> np.ndarray:
    return saturating_input((1, 1), (n_frames, n_inputs), 16).frames


def test_a_damaged_bundle_is_refused(exported: ForeignBundle, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in (*exported.manifest.files, "manifest.json"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((exported.folder / name).read_bytes())
    assert open_foreign_bundle(copy).manifest == exported.manifest
    (copy / "decoder.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match=r"damaged: decoder\.safetensors has 1 bytes"):
        open_foreign_bundle(copy)


def test_a_target_without_c_gets_graphs_alone(save: Save, calibration: Path, tmp_path: Path) -> None:
    bundle = export_foreign(save(dense_model()), "cpu", "fp32", calibration, tmp_path / "bundle")
    own = {"decoder_chunk.onnx", "run_decoder.py"}
    assert set(bundle.manifest.files) == {"decoder_float.onnx", "decoder.safetensors", "sbom.json"} | own
    assert bundle.manifest.target_record is not None
    assert bundle.manifest.target_record.keys() == {"runner", "chunk"}
    assert bundle.manifest.host_twin_steps is None
    assert bundle.manifest.quantized_agreement is None
    assert bundle.decoder().stream(frames(20)).shape == (20, 2)


def test_narrow_layers_of_a_jetson_are_padded_where_95_percent_would_not_be_int8(
    calibration: Path, tmp_path: Path
) -> None:
    constants: dict[str, np.ndarray] = {**weights(6, W1=(8, 32), W2=(16, 4, 8), W3=(16, 2)), "s": np.array([1, 4, 8])}
    nodes = [
        helper.make_node("MatMul", ["x", "W1"], ["a"], name="wide"),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("Reshape", ["b", "s"], ["rows"]),
        helper.make_node("Conv", ["rows", "W2"], ["c"], name="conv"),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("MatMul", ["f", "W3"], ["y"], name="narrow"),
    ]
    made = model(nodes, {"x": (1, 8)}, {"y": (1, 2)}, constants)
    onnx.save(made, tmp_path / "m.onnx")
    bundle = export_foreign(tmp_path / "m.onnx", "jetson", "int8", calibration, tmp_path / "bundle")
    record = load_json(bundle.folder / "jetson" / "jetson.json", JetsonRecord)
    assert {layer.computes for layer in record.layers} == {"int8"}
    padded = {layer.name: layer.padded_to for layer in record.layers}
    assert padded == {"wide.dense": (16, 32), "conv.dense": None, "narrow.dense": (16, 16)}
    assert bundle.manifest.int8_macs == bundle.manifest.macs == 8 * 32 + 16 * 32 + 16 * 2


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_jetson_gets_a_typed_graph_and_the_programs_that_build_it(
    precision: str, save: Save, calibration: Path, tmp_path: Path
) -> None:
    bundle = export_foreign(save(dense_model()), "jetson", precision, calibration, tmp_path / "bundle")
    assert {"jetson/decoder.onnx", "jetson/build_engine.py", "jetson/jetson.json"} < set(bundle.manifest.files)
    record = bundle.manifest.target_record
    assert record is not None
    assert (record["precision"], record["period_s"]) == (precision, 0.02)


def test_a_form_that_computes_something_else_writes_nothing(
    save: Save, calibration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quantizer gives a decoder of which one weight is not that of the graph."""
    real = foreign_onnx

    def altered(graph: object) -> onnx.ModelProto:
        made = real(graph)  # type: ignore[arg-type]
        for tensor in made.graph.initializer:
            if tensor.name.endswith("weight_int8"):
                tensor.raw_data = bytes(reversed(tensor.raw_data))
        return made

    monkeypatch.setattr(bundle_writer, "foreign_onnx", altered)
    with pytest.raises(VerificationError, match=r"ONNX Runtime: \S+ differs at step \d+ by \d+ LSB"):
        export_foreign(save(dense_model()), "host", "int8", calibration, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_c_that_computes_something_else_writes_nothing(
    save: Save, calibration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = generate_foreign_program

    def altered(graph: object, folder: Path, target: str) -> list[Path]:
        files = real(graph, folder, target)  # type: ignore[arg-type]
        header = folder / "edgebci_foreign.h"
        header.write_text(header.read_text().replace("return x > 0.0f ? x : 0.0f;", "return x > 0.1f ? x : 0.0f;"))
        return files

    monkeypatch.setattr(target_files, "generate_foreign_program", altered)
    with pytest.raises(
        VerificationError, match=r"the C on this machine: output differs from the reference at step \d+"
    ):
        export_foreign(save(dense_model()), "host", "fp32", calibration, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_what_stood_there_stays_when_an_export_fails(save: Save, calibration: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "kept").write_text("x")
    made = gru_model()
    made.graph.node[1].op_type = "Unknown"
    with pytest.raises(InputError):
        export_foreign(save(made), "cpu", "fp32", calibration, tmp_path / "bundle")
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == ["kept"]


@pytest.mark.parametrize(
    ("target", "precision", "sentence"),
    [
        ("cortex-m5", "int8", "no target 'cortex-m5'"),
        ("cortex-m4f", "fp16", "cannot be exported for cortex-m4f in 'fp16', allowed: fp32, int8"),
        ("jetson", "mixed", "cannot be exported for jetson-orin-nano in 'mixed', allowed: fp32, int8, fp16"),
    ],
)
def test_what_cannot_be_asked_for(target: str, precision: str, sentence: str, save: Save, calibration: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        export_foreign(save(gru_model()), target, precision, calibration, calibration.parent / "bundle")


def test_a_model_of_products_of_computed_tensors_is_no_int8(save: Save, calibration: Path, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["t", "x"], ["m"]),
        helper.make_node("ReduceMean", ["m"], ["y"], axes=[1], keepdims=0),
    ]
    made = model(nodes, {"x": (1, 8)}, {"y": (8,)}, {})
    with pytest.raises(InputError, match=r"0\.0% of the 64 MACs would be int8, --precision int8 means at least 95%"):
        export_foreign(save(made), "cpu", "int8", calibration, tmp_path / "bundle")
    assert export_foreign(save(made), "cpu", "fp32", calibration, tmp_path / "bundle").manifest.macs == 64


def test_a_state_that_never_settles_is_refused(save: Save, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mul", ["h", "grow"], ["kept"]),
        helper.make_node("Add", ["kept", "x"], ["h_out"]),
        helper.make_node("MatMul", ["h_out", "W"], ["y"]),
    ]
    constants = {"grow": np.asarray(1.02, np.float32), "W": np.ones((8, 2), np.float32)}
    made = model(nodes, {"x": (1, 8), "h": (1, 8)}, {"y": (1, 2), "h_out": (1, 8)}, constants)
    np.save(tmp_path / "f.npy", frames(400))
    with pytest.raises(InputError, match=r"the state 'h' never settles: up to .* in the first half"):
        export_foreign(save(made), "cpu", "int8", tmp_path / "f.npy", tmp_path / "bundle")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_model_that_gives_no_numbers_is_refused(
    precision: str, save: Save, calibration: Path, tmp_path: Path
) -> None:
    nodes = [helper.make_node("Sqrt", ["x"], ["r"]), helper.make_node("MatMul", ["r", "W"], ["y"])]
    made = model(nodes, {"x": (1, 8)}, {"y": (1, 2)}, {"W": np.ones((8, 2), np.float32)})
    with pytest.raises(InputError, match="the model gives NaN or infinity, first on calibration frame 0"):
        export_foreign(save(made), "cpu", precision, calibration, tmp_path / "bundle")


def test_frames_may_come_from_hdf5_with_resets(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["frames"], file["reset_before"] = frames(50), np.arange(50) % 25 == 0
        file["frames"].attrs["frame_rate_hz"] = 20
    seen, resets, rate_hz = load_frames(tmp_path / "f.h5")
    assert rate_hz == 20
    assert np.array_equal(seen, frames(50))
    assert resets is not None
    assert np.flatnonzero(resets).tolist() == [0, 25]


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("f.csv", None, "allowed are .npy and .h5"),
        ("absent.npy", None, "no file .*absent.npy"),
        ("f.npy", np.zeros(5), r"holds float64 of shape \(5,\)"),
        ("f.npy", np.array([["a"]]), "holds <U1 of shape"),
        ("f.npy", np.array([[{}]], dtype=object), "holds no calibration frames"),
    ],
)
def test_frames_that_are_none(name: str, array: np.ndarray | None, sentence: str, tmp_path: Path) -> None:
    if array is not None:
        np.save(tmp_path / name, array, allow_pickle=True)
    elif name == "f.csv":
        (tmp_path / name).write_text("1,2\n")
    with pytest.raises(InputError, match=sentence):
        load_frames(tmp_path / name)


def test_a_decoder_whose_state_differs_is_found_by_the_host_twin(exported: ForeignBundle) -> None:
    """A reference of another scale gives other counts of its state."""
    decoder = exported.decoder()
    first, *rest = decoder.graph.states
    other = ForeignDecoder(replace(decoder.graph, states=(replace(first, scale=first.scale * 2), *rest)))
    stream = VerificationStream.of(frames(60), None)
    with pytest.raises(VerificationError, match="the C on this machine: "):
        foreign_export.prove_on_host(exported.firmware, other, stream)
