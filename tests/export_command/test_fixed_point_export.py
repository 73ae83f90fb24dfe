"""A decoder and its front end in fixed point, chosen by the recipe: one bundle, the same bits everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from edgebci.bundle import Bundle, open_bundle
from edgebci.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edgebci.cli.export import front_end_options
from edgebci.cli.run_on_target import run_on_target as run_on_target_command
from edgebci.device_reference import DeviceTrace, run_reference
from edgebci.errors import InputError
from edgebci.export.calibration import QuantizationRecipe
from edgebci.export.front_end_verification import LOG_BOUND
from edgebci.features.specification import Band, FeatureSpec
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import compile_host, compile_target
from edgebci.fixed_decoder import FixedDecoder
from edgebci.pipeline.bundle_check import verify_bundle
from edgebci.pipeline.configuration import PreparationConfig, RecordingConfig
from edgebci.pipeline.device import reference_difference, target_difference
from edgebci.pipeline.export_command import export
from edgebci.pipeline.export_order import ExportOrder, ExportResult
from edgebci.pipeline.export_scoring import C_FORM, INT8_ARITHMETIC
from edgebci.pipeline.preparation import load_prepared, prepare
from edgebci.pipeline.run_on_target import TargetReport
from edgebci.progress import silent
from edgebci.training.recalibration import refit_readout
from edgebci.training.recipe import RidgeRecipe

FIXED = QuantizationRecipe(arithmetic="fixed", front_end="fixed")
FEATURES = FeatureSpec(
    rate_hz=500, frame_rate_hz=25, bands=(Band(low_hz=8, high_hz=30), Band(low_hz=70, high_hz=200)), startup_s=0.5
)
"""Steeper than those that other tests share: of one pole pair, too much aliases for the bound."""
RIDGE = RidgeRecipe(lags=4, folds=2, gap_s=1.0)


@pytest.fixture(scope="module")
def checkpoint(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder of such features in a run folder of its own, whose readout alone was fitted."""
    root = tmp_path_factory.mktemp("runs") / "fixed"
    source = RecordingConfig(path=finished_run.recording, target="velocity")
    prepare(finished_run.recording, PreparationConfig(recording=source, features=FEATURES), root / "features", silent)
    data = load_prepared(root / "features").data
    old = load_checkpoint(finished_run.checkpoint)
    record = old.training.model_copy(update={"data_sha256": {"train": data.fingerprint("train")}})
    fitted = refit_readout(Checkpoint(old.spec, dict(old.parameters), record), data, RIDGE)
    save_checkpoint(root / "student" / "student_1.safetensors", fitted)
    return root / "student" / "student_1.safetensors"


@pytest.fixture(scope="module")
def result(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    out = tmp_path_factory.mktemp("fixed") / "bundle"
    order = ExportOrder(model=checkpoint, out=out, target="cortex-m4f", recipe=FIXED, loadable=True)
    return export(order, silent)


@pytest.fixture(scope="module")
def bundle(result: ExportResult) -> Bundle:
    return open_bundle(result.bundle)


def test_the_manifest_says_what_was_chosen_and_how_far_the_front_end_is_from_the_reference(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert (manifest.arithmetic, manifest.front_end, manifest.precision) == ("fixed", "fixed", "int8")
    assert manifest.quantization is not None
    assert manifest.quantization["arithmetic"] == manifest.quantization["front_end"] == "fixed"
    assert isinstance(bundle.quantized_decoder(), FixedDecoder)
    agreement = manifest.front_end_agreement
    assert agreement is not None
    assert 0 < agreement.rms_error < agreement.largest_error <= agreement.bound == LOG_BOUND
    assert {record.name for record in manifest.inputs} == {"frame", *bundle.quantized_decoder().initial_states()}


def test_its_accuracy_stands_beside_that_of_int8_arithmetic(result: ExportResult) -> None:
    scored = {one.form: one.r2 for one in result.accuracy}
    assert next(iter(scored)) == INT8_ARITHMETIC
    assert list(scored)[-1] == C_FORM
    for axis, r2 in scored[C_FORM].items():
        assert r2 == pytest.approx(scored["ONNX float"][axis], abs=0.02)  # rounding weights costs as much in either
        assert r2 != scored[INT8_ARITHMETIC][axis]


def counts_with_gaps(bundle: Bundle) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """60 frames: noise, rails, silence, and a gap that resets filters and states."""
    features = bundle.manifest.features
    n = 60 * features.samples_per_frame
    rng = np.random.default_rng(3)
    counts = rng.normal(0, 800, (n, bundle.manifest.n_channels)).clip(-32768, 32767).astype(np.int16)
    counts[n // 6 : n // 5] = 32767
    counts[n // 4 : n // 3] = 0
    missing = np.zeros(n, bool)
    missing[n // 2 : n // 2 + features.reset_after_samples + 3] = True
    return counts, missing


@pytest.fixture(scope="module")
def reference(bundle: Bundle) -> DeviceTrace:
    counts, missing = counts_with_gaps(bundle)
    return run_reference(bundle.front_end(), bundle.quantized_decoder(), counts, missing, form="fixed")


def test_numpy_host_and_core_give_the_same_bits_over_a_stream_with_a_reset(
    bundle: Bundle, reference: DeviceTrace, tmp_path: Path
) -> None:
    counts, missing = counts_with_gaps(bundle)
    host = HostTwin(compile_host(bundle.firmware, tmp_path / "host.so", "gcc", "1"))
    twin = host.run(counts, missing)
    assert reference_difference(reference, twin, host) is None
    elf = compile_target(bundle.firmware, tmp_path / "core.elf", "cortex-m4f")
    features = bundle.manifest.features
    run = run_on_target(
        elf, counts, missing, bundle.manifest.n_channels, features.samples_per_frame, twin.outputs.shape[1]
    )
    assert target_difference(twin, host, run) is None
    assert np.ptp(reference.outputs, axis=0).all()


def test_a_bundle_in_fixed_point_is_verified_like_any_other(bundle: Bundle) -> None:
    check = verify_bundle(bundle.folder, 120, silent)
    assert (check.quantized_steps, check.parameter_block) == (120, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": "cpu"}, "fixed-point arithmetic is that of C on a core, and cpu gets none"),
        ({"precision": "mixed"}, "has int8 weights and int16 activations throughout, and mixed was asked for"),
        ({"precision": "fp32"}, "and fp32 was asked for"),
    ],
)
def test_what_cannot_be_had_in_fixed_point_is_refused(
    checkpoint: Path, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    order = ExportOrder(model=checkpoint, out=tmp_path / "b", target="cortex-m4f", recipe=FIXED)
    with pytest.raises(InputError, match=said):
        export(order.model_copy(update=change), silent)
    assert list(tmp_path.iterdir()) == []


def test_a_model_made_elsewhere_has_no_fixed_form(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    order = ExportOrder(model=tmp_path / "m.onnx", out=tmp_path / "b", target="cortex-m4f", recipe=FIXED)
    with pytest.raises(InputError, match="fixed-point arithmetic is there for Mamba-2 decoders of LFP alone"):
        export(order, silent)


def test_the_option_of_the_front_end_takes_a_form_a_folder_or_both() -> None:
    assert front_end_options(["fixed"]) == (None, "fixed")
    assert front_end_options(["runs/a/features", "fixed"]) == (Path("runs/a/features"), "fixed")
    assert front_end_options([]) == (None, "float32")
    with pytest.raises(InputError, match="give a form"):
        front_end_options(["fixed", "float32"])


def test_a_run_on_a_core_tells_what_bounds_each_part_of_the_decoder(bundle: Bundle, finished_run: Any) -> None:
    app = typer.Typer()
    app.command()(run_on_target_command)
    options = ["--core", "cortex-m4f", "--recording", str(finished_run.recording), "--seconds", "1", "--json"]
    result = CliRunner().invoke(app, [str(bundle.folder), *options])
    assert result.exit_code == 0, result.output
    report = TargetReport.model_validate_json(result.stdout)
    dense = next(one for one in report.parts if one.name == "dense_fixed")
    assert dense.bounded_by == "multiply-accumulates"
    assert all(one.over_bound >= 1.0 for one in report.parts), report.parts
    decoder = next(step.mean_cycles for step in report.step_cycles if step.name == "decoder")
    assert sum(one.cycles for one in report.parts) == pytest.approx(decoder)
    assert f"bound {dense.bound:,.0f} (multiply-accumulates)" in dense.sentence()
