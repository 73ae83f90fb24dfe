"""What is written can be read, says the truth about itself, and carries the controls that were asked for."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from edgebci.errors import InputError
from edgebci.recordings import open_recording
from edgebci.synthetic import SyntheticSpec, synthesize
from edgebci.synthetic.generator import draw_world

TINY = SyntheticSpec(seed=21, duration_s=6.0, n_channels=4)


def test_the_recording_holds_lfp_spikes_and_behaviour_on_one_clock(recording_path: Path) -> None:
    with open_recording(recording_path) as recording:
        info = recording.info
        assert (info.n_channels, info.lfp_rate_hz, info.n_samples) == (64, 1000.0, 24_000)
        velocity, position = recording.behavior("velocity"), recording.behavior("position")
        assert (velocity.unit, position.unit) == ("cm/s", "cm")
        assert velocity.values.shape == position.values.shape == (2400, 2)
        speed = recording.behavior("speed").values[:, 0]
        assert speed == pytest.approx(np.linalg.norm(velocity.values, axis=1))
        spikes = recording.spikes()
        assert spikes.n_units == 120
        assert 0 <= spikes.times_s[0] <= spikes.times_s[-1] < info.duration_s
        lfp_uv = recording.lfp_uv(0, info.n_samples)
    assert np.isfinite(lfp_uv).all()
    # Within a factor of two of the 40-100 uV of the whole band: 24 s, gains and mains vary it.
    assert 20 < np.median(lfp_uv.std(axis=0)) < 200


def test_ground_truth_stands_beside_the_recording(recording_path: Path) -> None:
    with h5py.File(recording_path) as file:
        truth = file["truth"]
        spec = SyntheticSpec.model_validate_json(truth.attrs["specification"])
        assert spec.n_channels == 64
        assert truth.attrs["rho"] == spec.latents.rho
        assert truth.attrs["unrecorded_variance_fraction"] >= 0.95
        assert truth.attrs["free_variance_fraction"] > 0.5
        assert truth["latents_of_lfp/values"].shape == truth["latents_of_spikes/values"].shape == (2400, 16)
        assert truth["unit_weights"].shape == (16, 120)
        world = draw_world(spec)
        inside = world.movement.inside(spec.duration_s)
        assert np.allclose(truth["latents_of_lfp/values"], world.latents.lfp[inside], atol=1e-5)


def test_progress_ends_at_one(tmp_path: Path) -> None:
    seen: list[float] = []
    synthesize(TINY, tmp_path / "a.h5", lambda fraction, _: seen.append(fraction))
    assert seen[0] == 0.0
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_equal_specifications_give_equal_recordings(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        synthesize(TINY, tmp_path / name)
    with open_recording(tmp_path / "a.h5") as a, open_recording(tmp_path / "b.h5") as b:
        assert np.array_equal(a.lfp_uv(0, 6000), b.lfp_uv(0, 6000))
        assert np.array_equal(a.spikes().times_s, b.spikes().times_s)
        assert np.array_equal(a.behavior("velocity").values, b.behavior("velocity").values)


def test_shuffled_labels_change_the_behaviour_and_nothing_else(tmp_path: Path) -> None:
    for name, shuffle in (("a.h5", False), ("b.h5", True)):
        synthesize(TINY.model_copy(update={"label_shuffle": shuffle}), tmp_path / name)
    with open_recording(tmp_path / "a.h5") as a, open_recording(tmp_path / "b.h5") as b:
        assert np.array_equal(a.lfp_uv(0, 6000), b.lfp_uv(0, 6000))
        assert np.array_equal(a.spikes().times_s, b.spikes().times_s)
        assert not np.allclose(a.behavior("velocity").values, b.behavior("velocity").values)


def test_an_interrupted_synthesis_leaves_no_file(tmp_path: Path) -> None:
    def interrupt(fraction: float, note: str) -> None:
        if fraction > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(TINY, tmp_path / "a.h5", interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        synthesize(TINY, tmp_path / "file" / "a.h5")


def test_the_second_family_needs_no_cells_and_passes_through_the_same_electrodes(tmp_path: Path) -> None:
    spec = TINY.model_copy(update={"family": "oscillators"})
    synthesize(spec, tmp_path / "a.h5")
    with open_recording(tmp_path / "a.h5") as recording:
        lfp_uv = recording.lfp_uv(0, 6000)
    fewer = spec.model_copy(update={"population": spec.population.model_copy(update={"n_cells": 10_000})})
    synthesize(fewer, tmp_path / "b.h5")
    with open_recording(tmp_path / "b.h5") as recording:
        assert np.array_equal(recording.lfp_uv(0, 6000), lfp_uv)
    assert 20 < np.median(lfp_uv.std(axis=0)) < 200
