"""Each claim's own measurement, made small: the same code over fewer seconds, channels and seeds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgebci.edge_student import EdgeStudent, load_edge_student
from edgebci.errors import VerificationError
from edgebci.pipeline import edge_student_program
from edgebci.pipeline.proof import (
    device_claims,
    feature_claim,
    large_recording_claim,
    simulation_claim,
    spectrum_claim,
    start_up_claim,
    synthetic_claim,
    throughput_claim,
)
from edgebci.pipeline.proof.claim import CannotMeasureError, Place
from edgebci.pipeline.proof.figure import Figure
from edgebci.progress import silent
from edgebci.synthetic import SyntheticSpec
from edgebci.synthetic.acceptance import Acceptance, Judged

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def small_student() -> str:
    """The reference decoder with the same parts, all of them smaller."""
    text = (ROOT / "examples" / "edge_student.toml").read_text()
    smaller = {"n_channels": 16, "n_inputs": 64, "d_model": 8, "n_layers": 1, "d_state": 4, "headdim": 8}
    for name, value in smaller.items():
        text, changed = re.subn(rf"^{name} = \d+$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert changed == 1
    return text


@pytest.fixture
def place(tmp_path: Path, small_student: str) -> Place:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "edge_student.toml").write_text(small_student)
    (tmp_path / "folder").mkdir()
    return Place(tmp_path / "folder", tmp_path)


def by_name(figures: tuple[Figure, ...]) -> dict[str, Figure]:
    named = {figure.name: figure for figure in figures}
    assert len(named) == len(figures) > 0
    return named


@pytest.fixture
def short_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_student_program, "CALIBRATION_FRAMES", 400)
    for name, value in {"STEPS_ON_CORE": 6, "STEPS_ON_HOST": 12, "TIMED_STEPS": 4, "REPEATS": 2}.items():
        monkeypatch.setattr(device_claims, name, value)


@pytest.mark.usefixtures("short_device")
def test_the_edge_student_is_bit_exact_and_costed(place: Place) -> None:
    figures = by_name(device_claims.measure_edge_student(place, silent))
    assert (figures["steps_on_core"].value, figures["steps_on_host"].value) == (6, 12)
    assert (figures["instructions_per_step"].evidence, figures["cycles_per_step"].evidence) == ("counted", "modelled")
    whole, parts = figures["cycles_per_step"].value, ("cycles_front_end", "cycles_decoder")
    assert 0 < sum(float(figures[part].value) for part in parts) <= float(whole)
    assert figures["utah96_lfp_power"].evidence == "modelled"


@pytest.mark.usefixtures("short_device")
def test_emulation_is_timed_with_and_without_its_profile(place: Place) -> None:
    figures = by_name(device_claims.measure_emulation(place, silent))
    assert int(figures["instructions"].value) > 4 * 10_000
    for name in ("profiled", "plain"):
        speed = figures[name]
        assert speed.low is not None
        assert speed.high is not None
        assert 0 < speed.low <= float(speed.value) <= speed.high


@pytest.mark.usefixtures("short_device")
def test_a_program_that_differs_from_its_reference_is_no_figure(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_student_program, "reference_difference", lambda *_: "outputs differ at frame 3")
    with pytest.raises(VerificationError, match="outputs differ at frame 3, in the program of the edge student"):
        device_claims.measure_edge_student(place, silent)


def test_features_give_the_worst_error_and_the_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    errors_db = np.full((8, 3), -120.0)
    errors_db[6, 1] = -71.5
    monkeypatch.setattr(feature_claim, "float32_error_db", lambda *_: errors_db)
    monkeypatch.setattr(feature_claim, "one_over_f_counts", lambda *_: None)
    monkeypatch.setattr(feature_claim, "MINUTES", 1)
    monkeypatch.setattr(feature_claim, "CHUNK_S", 30)
    figures = by_name(feature_claim.measure_features(place, silent))
    assert figures["float32_error_db"].value == -71.5
    assert figures["float32_error_db"].note.startswith("lmp at 1000 Hz")
    assert figures["error_db_lmp_1"].value == -71.5
    assert len([name for name in figures if name.startswith("error_db_")]) == 24
    assert float(figures["seconds"].value) > 0


def test_synthetic_recordings_are_judged_seed_by_seed_and_finished_seeds_are_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def synthesize(spec: SyntheticSpec, path: Path, progress: object) -> None:
        if spec.seed == synthetic_claim.SEEDS[2] and len(made) == 2:
            made.append(-1)
            raise KeyboardInterrupt
        made.append(spec.seed)
        path.touch()

    values = {seed: 0.3 + 0.1 * i for i, seed in enumerate(synthetic_claim.SEEDS)}
    monkeypatch.setattr(synthetic_claim, "synthesize", synthesize)
    monkeypatch.setattr(
        synthetic_claim,
        "judge",
        lambda *_: Acceptance((Judged("ridge on LFP", values[made[-1]], "R2", 0.3, 0.45),)),
    )
    with pytest.raises(KeyboardInterrupt):
        synthetic_claim.measure_synthetic(place, silent)
    figures = by_name(synthetic_claim.measure_synthetic(place, silent))
    assert made == [*synthetic_claim.SEEDS[:2], -1, synthetic_claim.SEEDS[2]]
    ridge, accepted = figures["ridge_on_lfp"], figures["accepted"]
    assert (ridge.low, ridge.value, ridge.high) == pytest.approx((0.3, 0.4, 0.5))
    assert ridge.note == "accepted 0.3 to 0.45: 2 of 3 seeds"
    assert (accepted.value, accepted.unit) == (2, "of 3")


def test_seeds_of_the_claim_are_not_those_that_the_generator_was_tuned_on() -> None:
    from edgebci.synthetic.acceptance import TUNING_SEEDS

    assert len(set(synthetic_claim.SEEDS)) >= 3
    assert set(synthetic_claim.SEEDS).isdisjoint(TUNING_SEEDS)


def test_spectra_are_drawn_and_compared(place: Place, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectrum_claim, "LONGEST_S", 10.0)
    rat = Place(place.folder, place.checkout, shared_data / "rat_r1838_open_field.nwb")
    figures = by_name(spectrum_claim.measure_spectrum(rat, silent))
    # LFP falls with frequency; gamma makes the hippocampal formation's flatter than that of motor cortex.
    assert 0 < float(figures["slope_real"].value) < float(figures["slope_synthetic"].value) < 4
    assert "<svg" in (place.checkout / spectrum_claim.SPECTRUM_PICTURE).read_text()
    with pytest.raises(CannotMeasureError, match="no real recording"):
        spectrum_claim.measure_spectrum(place, silent)


@pytest.mark.parametrize(
    ("contender", "times", "said"),
    [
        ("transformers, chunks of 64", 1.6, "; the goal, 1.6 times, is reached"),
        ("quadratic dual form", 3.99, "; the goal, 4 times, is MISSED"),
        ("sequential recurrence", 20.0, ""),
    ],
)
def test_training_says_which_goal_it_reached(contender: str, times: float, said: str) -> None:
    assert throughput_claim.verdict(contender, times) == said


def test_the_command_line_is_timed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_up_claim, "REPEATS", 1)
    figures = by_name(start_up_claim.measure_start_up(place, silent))
    assert list(figures) == ["help_seconds", "import_seconds", "bare_seconds"]
    for figure in figures.values():
        assert (figure.unit, figure.evidence) == ("s", "measured")
        assert float(figure.value) > 0


def test_the_large_recording_is_streamed_whole_in_a_process_of_its_own(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_recording_claim, "N_SAMPLES", 30_000)
    monkeypatch.setattr(large_recording_claim, "RECORDED", 5_000)
    figures = by_name(large_recording_claim.measure_large_recording(place, silent))
    assert figures["samples"].value == 30_000
    # An interpreter with NumPy, h5py and pynwb, and nothing of the size of this test process.
    assert 0.02 < float(figures["peak_memory"].value) < 0.5
    assert [path.name for path in place.folder.iterdir()] == ["streamed.json"]


def test_a_system_without_proc_cannot_measure_memory(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_recording_claim, "STATUS", Path("/nonexistent"))
    with pytest.raises(CannotMeasureError, match="which this system lacks"):
        large_recording_claim.measure_large_recording(place, silent)


def test_the_full_size_is_that_of_the_issue() -> None:
    assert large_recording_claim.N_SAMPLES * large_recording_claim.N_CHANNELS * 8 >= 10e9
    assert (device_claims.STEPS_ON_CORE, device_claims.STEPS_ON_HOST) == (1_000, 10_000)
    student: EdgeStudent = load_edge_student(ROOT / "examples" / "edge_student.toml")
    assert student.n_channels == 96
    assert feature_claim.MINUTES == 10


def test_a_simulation_is_timed_in_a_process_of_its_own(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    small = simulation_claim.Simulation(8, "utah96-lfp", "stm32u385", 1, 0.0)
    for name, value in {"SIMULATIONS": (small,), "SECONDS": 20, "SHORT_SECONDS": 10}.items():
        monkeypatch.setattr(simulation_claim, name, value)
    figures = by_name(simulation_claim.measure_simulation(place, silent))
    assert float(figures["seconds_8"].value) > 0
    assert "MISSED, asked was at most 0" in figures["seconds_8"].label
    assert 0.05 < float(figures["peak_memory_8"].value) < 4.0  # Python with SciPy, and no more than a laptop has
    # Two chunks beside one of a small recording: what grows is within what two runs differ by.
    assert 0.8 < float(figures["memory_growth_8"].value) < 1.25
    assert not list(place.folder.glob("*.h5"))


def test_a_simulation_that_fails_says_why() -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        simulation_claim.peak_bytes([sys.executable, "-c", "raise SystemExit('no such implant')"])
    assert raised.value.stderr == "no such implant\n"
