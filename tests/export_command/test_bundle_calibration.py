"""`edgebci calibrate BUNDLE`: a new day's normalisation and readout go into the parameter block and nowhere else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
import typer
from typer.testing import CliRunner

from edgebci.bundle import Accuracy, Bundle, open_bundle
from edgebci.cli.bundle import bundle_app
from edgebci.cli.calibrate import calibrate as calibrate_cli
from edgebci.errors import InputError
from edgebci.export.half_graph import halved
from edgebci.export.parameter_graph import with_parameters
from edgebci.export.step_runner import OnnxStepRunner
from edgebci.frame_stream import part_stream
from edgebci.hardware import Radio, load_profile
from edgebci.pipeline.bundle_calibration import BundleCalibration, BundleOrder, calibrate_bundle
from edgebci.pipeline.bundle_check import verify_bundle
from edgebci.pipeline.export_order import ExportResult
from edgebci.pipeline.preparation import load_prepared
from edgebci.progress import silent
from edgebci.radio_cost import radio_cost
from edgebci.training.recipe import RidgeRecipe

RIDGE = RidgeRecipe(lags=4, folds=2, gap_s=1.0)
COMMAND = typer.Typer()
COMMAND.command()(calibrate_cli)


@pytest.fixture(scope="session")
def next_day(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same minute and a half, with electrodes that pick up six times as much, or a sixth."""
    path = tmp_path_factory.mktemp("next") / "next_day.h5"
    shutil.copy(finished_run.recording, path)
    with h5py.File(path, "r+") as file:
        values = file["lfp/signal"]
        gains = np.where(np.arange(values.shape[1]) % 2, 6.0, 1 / 6)
        values[...] = (values[...] * gains).astype(values.dtype)
    return path


def mean_r2(one: Accuracy) -> float:
    return float(np.mean(list(one.r2.values())))


def ordered(bundle: Path, recording: Path, calibration_s: float = 40.0) -> BundleOrder:
    return BundleOrder(bundle=bundle, recording=recording, calibration_s=calibration_s, ridge=RIDGE)


@pytest.fixture(scope="module")
def calibrated(
    for_a_core: ExportResult, next_day: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Bundle, BundleCalibration]:
    folder = tmp_path_factory.mktemp("calibrated")
    shutil.copytree(for_a_core.bundle, folder / "b")
    found = calibrate_bundle(ordered(folder / "b", next_day), folder, silent)
    return open_bundle(folder / "b"), found


def test_calibration_brings_back_what_new_gains_took(calibrated: tuple[Bundle, BundleCalibration]) -> None:
    _, found = calibrated
    assert mean_r2(found.after) > mean_r2(found.before) + 0.02
    assert found.before.n_frames == found.after.n_frames > 500


def test_only_the_block_and_the_manifest_change(
    calibrated: tuple[Bundle, BundleCalibration], for_a_core: ExportResult
) -> None:
    bundle, _ = calibrated
    names = sorted(path.relative_to(bundle.folder).as_posix() for path in bundle.folder.rglob("*") if path.is_file())
    changed = [n for n in names if (bundle.folder / n).read_bytes() != (for_a_core.bundle / n).read_bytes()]
    assert changed == ["manifest.json", "parameters.bin"]
    assert bundle.manifest.bundle_id == for_a_core.bundle_id
    assert bundle.manifest.recalibration is not None
    assert bundle.manifest.recalibration.recording == "next_day.h5"


def test_a_calibrated_bundle_verifies_with_its_new_readout(calibrated: tuple[Bundle, BundleCalibration]) -> None:
    bundle, _ = calibrated
    assert verify_bundle(bundle.folder, 60, silent).quantized_steps == 60


def test_normalisation_is_that_of_the_new_sessions_first_part(
    calibrated: tuple[Bundle, BundleCalibration], for_a_core: ExportResult
) -> None:
    """Log power of a channel with a sixth of the gain falls by log 36, but for the common average."""
    old, new = open_bundle(for_a_core.bundle).front_end(), calibrated[0].front_end()
    np.testing.assert_array_equal(new.good_channels, old.good_channels)
    assert (np.abs(new.mean - old.mean)[np.tile(old.good_channels, 2)] > 0.5).mean() > 0.8


def test_the_accuracy_stated_is_that_of_the_opened_bundle(
    calibrated: tuple[Bundle, BundleCalibration], finished_run: Any
) -> None:
    """A bundle opened again decodes by the block: with it the old session's frames give other outputs than before."""
    bundle, _ = calibrated
    stream = part_stream(load_prepared(finished_run.features).data, "test")
    plain = open_bundle(bundle.folder)
    decoded = plain.quantized_decoder().stream(stream.frames, stream.reset_before)
    np.testing.assert_array_equal(decoded, bundle.quantized_decoder().stream(stream.frames, stream.reset_before))
    assert plain.parameters() is not None


def test_a_bundle_in_float_is_calibrated_in_float(in_float: Path, next_day: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(in_float, tmp_path / "b"))
    found = calibrate_bundle(ordered(bundle, next_day), tmp_path, silent)
    assert mean_r2(found.after) > mean_r2(found.before) + 0.02
    block = open_bundle(bundle).parameters()
    assert block is not None
    assert block.tensors["readout.weight"].dtype == np.float32


def test_a_block_that_is_refused_leaves_the_one_that_stood_there(for_a_core: ExportResult, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(for_a_core.bundle, tmp_path / "b"))
    before = (bundle / "parameters.bin").read_bytes()
    damaged = tmp_path / "sent.bin"
    damaged.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(InputError, match="its check sum is not that of its bytes"):
        open_bundle(bundle).with_parameters(damaged)
    assert (bundle / "parameters.bin").read_bytes() == before


def test_a_block_made_elsewhere_is_taken_by_the_bundle_that_it_names(
    calibrated: tuple[Bundle, BundleCalibration], for_a_core: ExportResult, in_float: Path, tmp_path: Path
) -> None:
    sent = calibrated[0].folder / "parameters.bin"
    bundle = Path(shutil.copytree(for_a_core.bundle, tmp_path / "b"))
    taken = open_bundle(bundle).with_parameters(sent)
    assert (bundle / "parameters.bin").read_bytes() == sent.read_bytes()
    np.testing.assert_array_equal(taken.front_end().mean, calibrated[0].front_end().mean)
    other = Path(shutil.copytree(in_float, tmp_path / "other"))
    with pytest.raises(InputError, match="belongs to the bundle"):
        open_bundle(other).with_parameters(sent)


def test_another_array_and_too_short_a_session_are_refused(
    for_a_core: ExportResult, next_day: Path, make_recording: Any, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(for_a_core.bundle, tmp_path / "b"))
    with pytest.raises(InputError, match="s of calibration and a gap of"):
        calibrate_bundle(ordered(bundle, next_day, calibration_s=85.0), tmp_path, silent)
    few = make_recording(tmp_path / "few", 9101, n_channels=9)
    with pytest.raises(InputError, match="has 9 channels, the front end 10; give a recording of the same array"):
        calibrate_bundle(ordered(bundle, few), tmp_path, silent)


def test_the_radios_cost_is_what_their_profiles_say() -> None:
    ble = load_profile(Radio, "ble-2m")
    cost = radio_cost(ble, 1000)
    assert cost.packets == 5  # of at most 244 bytes
    assert cost.seconds.typical == pytest.approx(8000 / 1.3e6)
    assert cost.energy_uj.typical == pytest.approx(9.6e-3 * (8000 + 5 * 144) + 5 * 5.8)
    assert cost.energy_uj.low < cost.energy_uj.typical < cost.energy_uj.high


def test_the_command_states_size_and_radio_cost(for_a_core: ExportResult, next_day: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(for_a_core.bundle, tmp_path / "b")
    options = ["--recording", str(next_day), "--minutes", "0.7"]
    done = CliRunner().invoke(COMMAND, [str(bundle), *options], env={"COLUMNS": "160"})
    assert done.exit_code == 0, (done.output, done.exception)
    for said in ("before calibration", "after calibration", "the only thing that changed", "over ble-2m", "modelled"):
        assert said in done.stdout


def test_a_block_is_taken_by_command_or_refused(
    calibrated: tuple[Bundle, BundleCalibration], for_a_core: ExportResult, tmp_path: Path
) -> None:
    bundle, sent = shutil.copytree(for_a_core.bundle, tmp_path / "b"), calibrated[0].folder / "parameters.bin"
    done = CliRunner().invoke(bundle_app, ["take", str(bundle), str(sent)])
    assert done.exit_code == 0, done.output
    assert (Path(bundle) / "parameters.bin").read_bytes() == sent.read_bytes()
    refused = CliRunner().invoke(bundle_app, ["take", str(bundle), str(tmp_path / "none.bin")])
    assert isinstance(refused.exception, InputError)


def test_a_graph_in_half_precision_takes_the_block_too(in_float: Path) -> None:
    step = halved(onnx.load(in_float / "decoder_float.onnx"))
    block = open_bundle(in_float).parameters()
    assert block is not None
    doubled = {name: 2 * values for name, values in block.tensors.items() if name.startswith("readout")}
    frames = np.random.default_rng(1).standard_normal((20, 20)).astype(np.float32)
    before, after = (OnnxStepRunner(model).stream(frames) for model in (step, with_parameters(step, doubled)))
    # Half precision rounds at 2^-11 of the sums' size; twice the readout is twice the output.
    np.testing.assert_allclose(after, 2 * before, rtol=1e-2, atol=1e-2 * np.abs(before).max())
    assert np.abs(after - before).max() > 0.1 * np.abs(before).max()
