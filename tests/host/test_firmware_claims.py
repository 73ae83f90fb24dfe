"""The long claims about firmware, made short: they compare what they say, go on where they stopped, and can fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgebci.edge_student import load_edge_student
from edgebci.errors import VerificationError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.firmware_sim.host_step import HostStepper
from edgebci.pipeline.proof import bits_claim, fuzzing_claim
from edgebci.pipeline.proof.bits_claim import BitsSize, Piece, measure_bits
from edgebci.pipeline.proof.claim import Place
from edgebci.pipeline.proof.day_claim import DaySize, Hour, at_limits, figures_of, prepared_day
from edgebci.pipeline.proof.firmware_claims import all_firmware_claims
from edgebci.pipeline.proof.fixed_error_claim import added_errors
from edgebci.pipeline.proof.fixed_error_claim import figures_of as figures_of_error
from edgebci.pipeline.proof.hostile_counts import SYNTHETIC
from edgebci.progress import silent
from tests.small_specs import small_decoder

ROOT = Path(__file__).resolve().parent.parent.parent


def test_every_hostile_input_reaches_what_it_is_for() -> None:
    student = load_edge_student(ROOT / "examples" / "edge_student.toml")
    made = {kind: make(student, 100, 1) for kind, make in SYNTHETIC.items()}
    shape = (100 * student.features.samples_per_frame, student.n_channels)
    assert {counts.shape for counts in made.values()} == {shape}
    assert set(np.unique(made["rails"])) == {-32768, 32767}
    quiet = made["silence"][len(made["silence"]) // 10 :]
    assert (quiet == made["silence"][0]).all()
    assert np.abs(made["full scale"].astype(int)).mean() == pytest.approx(2**14, rel=0.01)
    assert 0.9 < np.mean(np.diff(made["steps"], axis=0) == 0) < 1


def test_a_short_day_is_the_same_in_one_run_and_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = prepared_day(Place(tmp_path, ROOT), DaySize(hours=3, steps_per_hour=600))
    hours = [day.hour(k, silent) for k in range(3)]
    figures = {figure.name: figure for figure in figures_of(hours)}
    assert figures["steps"].value == 1_800
    assert figures["not_finite"].value == 0
    (tmp_path / "hour_2.json").unlink()
    assert day.hour(2, silent) == hours[2]
    # The check can fail: outputs that grow are drift.
    (tmp_path / "hour_2.json").unlink()
    plain = HostStepper.stream
    monkeypatch.setattr(HostStepper, "stream", lambda self, frames: plain(self, frames) * np.float32(1.5))
    with pytest.raises(VerificationError, match="times the first's"):
        figures_of([*hours[:2], day.hour(2, silent)])


def test_saturated_states_are_counted_and_floats_are_not() -> None:
    states: dict[str, NDArray[Any]] = {
        "ssm": np.array([32767, -32768, 5], np.int16),
        "q": np.array([127, 0], np.int8),
        "f": np.full(3, 127.0),
    }
    assert at_limits(states) == 3


def test_an_output_that_is_no_number_fails_the_day() -> None:
    hour = Hour(
        hour=0, steps=9, square_error=1.0, square_truth=4.0, not_finite=0, saturated_inputs=0, saturated_states=0
    )
    assert figures_of([hour, hour])[2].value == 1.0
    with pytest.raises(VerificationError, match="1 outputs of the simulated day"):
        figures_of([hour, hour.model_copy(update={"not_finite": 1})])


def test_pieces_that_ended_are_not_followed_again_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[str] = []

    def follow(_programs: object, kind: str, counts: NDArray[Any], left_out: tuple[str, ...], _: object) -> Piece:
        if len(followed) == 7:
            raise KeyboardInterrupt
        followed.append(kind)
        cores = tuple(core for core in ("cortex-m4f", "riscv32") if core not in left_out)
        return Piece(kind=kind, steps=len(counts) // 20, cores=cores, silent_filters=kind == "silence")

    monkeypatch.setattr(bits_claim, "_follow", follow)
    monkeypatch.setattr(bits_claim, "_compiled", lambda *_: None)
    monkeypatch.setattr(bits_claim, "_converted", lambda place: place.folder)
    monkeypatch.setattr(bits_claim, "real_counts", lambda _path, student, n, seed: SYNTHETIC["noise"](student, n, seed))
    place, size = Place(tmp_path, ROOT), BitsSize(pieces=2, frames=10)
    with pytest.raises(KeyboardInterrupt):
        measure_bits(place, silent, size)
    followed[:] = followed[:0]
    figures = measure_bits(place, silent, size)
    assert len(followed) == 5
    assert figures[0].value == 120
    assert figures[0].note.startswith("cortex-m4f; riscv32 on 60 of them; ")
    assert figures[1].value == "2 of 2"


def test_a_piece_on_which_a_form_differs_is_refused() -> None:
    with pytest.raises(VerificationError, match="the vector kernels, on rails: outputs differ first at frame 3"):
        bits_claim._require_equal(bits_claim._named(3), "rails", "the vector kernels")
    bits_claim._require_equal(bits_claim._named(None), "rails", "the vector kernels")


def test_the_reader_is_fuzzed_until_the_time_is_over(small_bundle: Path, tmp_path: Path) -> None:
    found = fuzzing_claim._read(small_bundle, Place(tmp_path, ROOT), 1, silent)
    assert found.runs > 5
    assert 0 < found.inputs < found.runs


def test_fixed_point_adds_less_than_a_hundredth_and_a_miss_is_said() -> None:
    spec = small_decoder(48, d_model=32, headdim=16)
    parameters, frames = random_parameters(spec, 6), random_frames(spec, 500, 7)
    errors = added_errors(spec, parameters, frames[:300], frames[300:], None, np.ones(200, bool))
    assert 0 < errors["fixed"] < 0.01 < errors["int8"]
    reached, other = figures_of_error(errors)
    assert "goal 1 % reached" in reached.note
    assert other.value == 100 * errors["int8"]
    assert "goal 1 % MISSED" in figures_of_error(errors | {"fixed": 0.0101})[0].note


def test_the_default_sizes_are_those_of_the_claims() -> None:
    size = BitsSize()
    assert size.pieces * size.frames * (len(SYNTHETIC) + 1) >= 100_000
    assert DaySize().hours * DaySize().steps_per_hour == 8_640_000
    assert fuzzing_claim.FuzzingSize().seconds == 600


def test_sources_of_every_claim_are_there() -> None:
    for claim in all_firmware_claims(()):
        assert len(claim.sources.paths(ROOT)) > 20, claim.name
