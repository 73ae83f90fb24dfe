"""A bundle in an implant over a recording."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edgebci.cli.simulate import simulate as command
from edgebci.errors import InputError, MissingToolError
from edgebci.features.specification import Missing
from edgebci.firmware_sim.electronics.conditions import Converter, FrontEndModel
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.pipeline.simulation import forms
from edgebci.pipeline.simulation.order import SimulationOrder
from edgebci.pipeline.simulation.playing import Clean, Degraded, Lossy, Route, play
from edgebci.pipeline.simulation.run import Simulated, simulate
from edgebci.recordings import open_recording
from tests.simulation.conftest import Shipped

CONDITIONS = """
schema = "edgebci.conditions/1"
seed = 4

[converter]
bits = 10
full_scale_uv = 600

[amplifier]
noise_nv_per_rthz = 150

[source]
noise_nv_per_rthz = 40
step_uv = 0.01

[packets]
packet_ms = 10
loss_share = 0.2
mean_burst_packets = 4

[[events]]
kind = "motion_step"
at_s = 70
step_uv = 4000
decay_s = 0.2
"""


@pytest.fixture(scope="session")
def conditions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("conditions") / "conditions.toml"
    path.write_text(CONDITIONS)
    return path


@pytest.fixture(scope="session")
def simulated(shipped: Shipped, conditions: Path) -> Simulated:
    order = SimulationOrder(
        bundle=shipped.bundle,
        recording=shipped.recording,
        implant="utah96-lfp",
        conditions=conditions,
        closed_loop=True,
        sweeps=("converter",),
    )
    return simulate(order)


def test_only_the_bundles_test_intervals_count_on_its_own_recording(simulated: Simulated) -> None:
    report = simulated.report
    assert report.only_test_intervals
    assert report.frames_scored < len(simulated.truth.times_s) / 2


def test_a_noisier_front_end_decodes_worse_and_is_named_with_each_reference(simulated: Simulated) -> None:
    forms_of = {(one.name, one.reference): one.r2 for one in simulated.report.accuracy}
    assert set(forms_of) == {
        ("clean", "average"),
        ("degraded, without events", "average"),
        ("degraded", "average"),
        ("degraded", "none"),
    }
    assert forms_of["degraded", "average"] < forms_of["clean", "average"]
    difference = simulated.report.degraded_against_clean.difference.value
    assert difference == pytest.approx(forms_of["degraded", "average"] - forms_of["clean", "average"], abs=1e-9)


def test_a_large_step_clips_and_is_felt_after_its_end(simulated: Simulated) -> None:
    event = simulated.report.recoveries[0]
    assert simulated.report.clipping.clipped_share > 0
    assert event.largest_deviation_sd > 0.25
    assert event.invalid_s > 0


def test_lost_packets_cost_accuracy_under_either_policy(simulated: Simulated) -> None:
    loss = simulated.report.packet_loss
    assert loss is not None
    assert [one.policy.partition(",")[0] for one in loss.policies] == ["hold", "zero"]
    # 20 % of packets in bursts of 4: 7,500 packets give the share to a few percent of itself.
    assert loss.lost_share == pytest.approx(0.2, abs=0.03)
    assert all(one.valid_share < 1 for one in loss.policies)


def test_a_sweep_refuses_what_the_recording_cannot_show(simulated: Simulated) -> None:
    points = simulated.report.sweeps[0].points
    fine = [point for point in points if point.refused]
    assert all(point.r2 is None for point in fine)
    assert [point for point in points if point.line.startswith("250") and point.x == 12 and point.r2 is not None]
    assert simulated.report.sweeps[0].knees


def test_what_is_played_in_chunks_is_what_the_twin_gives_at_once(
    shipped: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = forms.bundle_with_program(shipped.bundle)
    library = forms.shipped(bundle, tmp_path)
    adc = bundle.manifest.features.adc
    with open_recording(shipped.recording) as recording:
        whole = HostTwin(library).run(adc.counts(recording.lfp_uv(0, recording.info.n_samples)))
        monkeypatch.setattr("edgebci.pipeline.simulation.playing.CHUNK_SAMPLES", 70_000)
        played = play(recording, None, {"a": Clean(adc)}, {"x": Route("a", library), "y": Route("a", library)}, 2)
        unchanged = forms.with_policy(bundle, Missing(), tmp_path, "unchanged")
        again = play(recording, None, {"a": Clean(adc)}, {"x": Route("a", unchanged)}, 1)
        lossless = Lossy(Clean(adc), np.zeros(recording.info.n_samples, bool))
        ideal = FrontEndModel(
            rate_hz=500.0, converter=Converter(bits=adc.bits, full_scale_uv=adc.uv_per_count * (1 << adc.bits))
        )
        front_end = Degraded(ideal, adc, recording.info.n_channels, 500.0)
        others = play(
            recording,
            None,
            {"lossless": lossless, "ideal": front_end},
            {"lossless": Route("lossless", library), "ideal": Route("ideal", library)},
            2,
        )
    assert played["x"] is played["y"]  # routes that are equal share a decoder
    for found in (played["x"], played["y"], again["x"], others["lossless"]):
        assert np.array_equal(found.outputs, whole.outputs)
        assert np.array_equal(found.valid, whole.valid)
    # Scaled in single precision, a count may fall to the other side of a half, which is one step of 0.195 uV: a level
    # or two of an activation of 8 bits.
    assert np.abs(others["ideal"].outputs - whole.outputs).max() < 0.15 * whole.outputs.std()


def test_vector_kernels_are_played_where_they_give_the_bits_of_what_ships_and_else_what_ships(
    shipped: Shipped, tmp_path: Path
) -> None:
    copied = shutil.copytree(shipped.bundle, tmp_path / "bundle")
    bundle = forms.bundle_with_program(copied)
    with open_recording(shipped.recording) as recording:
        counts = bundle.manifest.features.adc.counts(recording.lfp_uv(0, 4000))
    portion = counts, np.zeros(len(counts), bool)
    (tmp_path / "same").mkdir()
    with ThreadPoolExecutor(2) as pool:
        same = forms.compiled(bundle, tmp_path / "same", portion, pool)
    assert same.played.result() != same.shipped.result()
    assert same.played.result().name == "vectors.so"
    tables = bundle.firmware / "front_end_tables.h"
    name, of_shape, rows = tables.read_text().partition("edgebci_inverse_sd[EDGEBCI_KINDS][EDGEBCI_GOOD]")
    tables.write_text(name + of_shape + rows.replace("0x1.", "0x1.8", 1))
    (tmp_path / "other").mkdir()
    with ThreadPoolExecutor(2) as pool:
        other = forms.compiled(bundle, tmp_path / "other", portion, pool)
    assert other.played.result() == other.shipped.result()


def test_the_command_writes_its_report_and_pictures(shipped: Shipped, tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(command)
    out = tmp_path / "out"
    arguments = [str(shipped.bundle), "--recording", str(shipped.recording), "--implant", "utah96-lfp"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads((out / "simulation.json").read_text())["schema_version"] == "edgebci.simulation/1"
    assert (out / "traces.svg").read_text().startswith("<svg")


def test_bad_input_is_one_sentence(shipped: Shipped, tmp_path: Path) -> None:
    def refused(**changes: object) -> str:
        usual = {"bundle": shipped.bundle, "recording": shipped.recording, "implant": "utah96-lfp"}
        with pytest.raises(InputError) as raised:
            simulate(SimulationOrder.model_validate(usual | changes))
        return str(raised.value)

    assert "10 channels" in refused(implant="engini-lfp-soc")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('schema = "edgebci.conditions/1"\n[amplifier]\nnoise = 3\n')
    assert "the amplifier has no noise" in refused(conditions=wrong)
    wrong.write_text('schema = "edgebci.conditions/1"\n[[events]]\nkind = "sneezing"\nat_s = 1\n')
    assert "sneezing" in refused(conditions=wrong)
    assert "no behaviour 'velocities'" in refused(behavior="velocities")
    empty = tmp_path / "bundle"
    shutil.copytree(shipped.bundle, empty)
    (empty / "manifest.json").unlink()
    assert "holds no manifest.json" in refused(bundle=empty)
    assert "the decoder was trained on what is before" in refused(seconds=10.0)


@pytest.fixture(scope="session")
def device(shipped: Shipped) -> Simulated:
    return simulate(_on_device(shipped, "ble-2m", board="jetson-orin-nano"))


def _on_device(shipped: Shipped, radio: str, **more: str) -> SimulationOrder:
    asked = {"bundle": shipped.bundle, "recording": shipped.recording, "implant": "utah96-lfp"}
    return SimulationOrder.model_validate({**asked, "compute": "stm32l4r5", "radio": radio, **more})


def test_cycles_of_a_simulated_device_are_those_of_its_program_on_the_emulated_core(device: Simulated) -> None:
    found, run = device.report.device, device.device
    assert found is not None
    assert run is not None
    assert run.settings.step_cycles is not None
    assert found.budget.cycles_from.startswith("emulated on cortex-m4f, 50 steps")
    assert run.design.load.cycles_per_frame == pytest.approx(run.settings.step_cycles.mean())
    assert run.design.load.cycles_factor is None
    assert found.budget.report.memory.flash_bytes > 0


def test_boards_are_estimated_beside_a_simulation_and_enter_no_verdict(device: Simulated) -> None:
    assert device.report.device is not None
    budget = device.report.device.budget
    assert {step.basis for step in budget.boards} == {"estimate"}
    assert not any("jetson" in check.name + check.where for check in budget.limits)


def test_the_named_radio_says_what_is_lost_and_why(device: Simulated, shipped: Shipped, tmp_path: Path) -> None:
    loss = device.report.packet_loss
    assert loss is not None
    assert loss.packets is None
    assert "ble-2m streams" in loss.origin
    weak = tmp_path / "weak.toml"
    text = (Path(__file__).parents[2] / "hardware_profiles/radios/ble-2m.toml").read_text()
    assert "tx_power_dbm = { value = 0.0" in text
    weak.write_text(text.replace("tx_power_dbm = { value = 0.0", "tx_power_dbm = { value = -22.0"))
    weakened = simulate(_on_device(shipped, str(weak))).report.packet_loss
    assert weakened is not None
    assert weakened.lost_share > loss.lost_share


def test_without_a_compiler_for_the_core_counts_are_multiplied_and_that_is_said(
    shipped: Shipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> Path:
        raise MissingToolError("there is no compiler")

    monkeypatch.setattr("edgebci.pipeline.simulation.emulated.compile_target", missing)
    report = simulate(_on_device(shipped, "medradio")).report
    assert report.device is not None
    assert report.device.budget.cycles_from.startswith("counts x cycles per count")
    assert any("not emulated on cortex-m4f" in note and "no compiler" in note for note in report.notes)
