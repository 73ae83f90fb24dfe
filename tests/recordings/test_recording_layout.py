"""The container: what we write is what temporaldata writes, and what temporaldata writes we read."""

from __future__ import annotations

import itertools
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from temporaldata import ArrayDict, Data, Interval, IrregularTimeSeries, RegularTimeSeries

from edgebci.errors import InputError
from edgebci.recordings import RecordingInfo, RecordingWriter, open_recording

RATE_HZ = 250.0
NAMES = ("M1 0", "M1 1", "M1 2")
RNG = np.random.default_rng(0)
LFP_UV = RNG.normal(0, 50, (5000, 3)).astype(np.float32)
SPEED = RNG.normal(0, 1, 1000)
HAND = RNG.normal(0, 1, (300, 2))
HAND_S = np.sort(RNG.uniform(0, 20, 300))
SPIKES_S = np.sort(RNG.uniform(0, 20, 500))
UNITS = RNG.integers(0, 4, 500)


def writer_for(path: Path, start_s: float = 0.0) -> RecordingWriter:
    return RecordingWriter(
        path, subject_id="rat 1", session_id="day 2", lfp_rate_hz=RATE_HZ, channel_names=NAMES, start_s=start_s
    )


def write_all(path: Path) -> RecordingInfo:
    with writer_for(path) as writer:
        writer.append_lfp(LFP_UV)
        writer.set_behavior("speed", SPEED, unit="cm/s", rate_hz=50.0)
        writer.set_behavior("hand", HAND, unit="m", timestamps_s=HAND_S, axis_names=("x", "y"))
        writer.set_spikes(SPIKES_S, UNITS, ("a", "b", "c", "d"))
        writer.set_intervals("train", [[0, 12]])
        writer.set_intervals("rail", [[1, 2], [3, 4]])
        writer.set_series("truth.latents", HAND, unit="1", rate_hz=15.0)
        writer.set_value("truth.rho", 0.5)
        return writer.close()


def tree(path: Path) -> dict[str, object]:
    """Type, shape and the library's own attributes of everything in a file."""
    ours = {"unit", "axis_names", "notes"}
    found: dict[str, object] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        kind = (item.dtype.str, item.shape) if isinstance(item, h5py.Dataset) else None
        attributes = {key: np.asarray(value).tolist() for key, value in item.attrs.items() if key not in ours}
        found[name] = (kind, attributes)

    with h5py.File(path) as file:
        visit("/", file)
        file.visititems(visit)
    return found


def test_the_file_is_laid_out_as_temporaldata_lays_out_the_same_recording(tmp_path: Path) -> None:
    write_all(tmp_path / "ours.h5")
    domain = Interval(0.0, 20.0)
    hand_domain = Interval(HAND_S[:1], HAND_S[-1:] + np.median(np.diff(HAND_S)))
    theirs = Data(
        subject=Data(id="rat 1"),
        session=Data(id="day 2"),
        lfp=RegularTimeSeries(sampling_rate=RATE_HZ, signal=LFP_UV),
        behavior=Data(
            speed=RegularTimeSeries(sampling_rate=50.0, values=SPEED),
            hand=IrregularTimeSeries(timestamps=HAND_S, values=HAND, domain=hand_domain),
            domain=domain,
        ),
        truth=Data(latents=RegularTimeSeries(sampling_rate=15.0, values=HAND), rho=0.5, domain=domain),
        quality=Data(rail=Interval(np.array([1.0, 3.0]), np.array([2.0, 4.0])), domain=domain),
        spikes=IrregularTimeSeries(timestamps=SPIKES_S, unit_index=UNITS, domain=domain),
        units=ArrayDict(id=np.array(["a", "b", "c", "d"])),
        channels=ArrayDict(id=np.array(NAMES), good=np.ones(3, dtype=bool)),
        train_domain=Interval(0.0, 12.0),
        domain=domain,
    )
    theirs.save(tmp_path / "theirs.h5")
    assert tree(tmp_path / "ours.h5") == tree(tmp_path / "theirs.h5")


@pytest.mark.parametrize("lazy", [True, False])
def test_temporaldata_reads_back_every_value(tmp_path: Path, lazy: bool) -> None:
    write_all(tmp_path / "r.h5")
    with Data.load(tmp_path / "r.h5", lazy=lazy) as data:
        part = data.slice(2.0, 6.0, reset_origin=False)
        assert np.array_equal(part.lfp.signal, LFP_UV[500:1500])
        assert np.array_equal(part.behavior.speed.values, SPEED[100:300])
        inside = (HAND_S >= 2) & (HAND_S < 6)
        assert np.array_equal(part.behavior.hand.values, HAND[inside])
        assert np.array_equal(part.behavior.hand.timestamps, HAND_S[inside])
        assert np.array_equal(part.spikes.unit_index, UNITS[(SPIKES_S >= 2) & (SPIKES_S < 6)])
        assert part.quality.rail.start.tolist() == [3.0]
        assert data.truth.rho == 0.5
        assert data.channels.id.tolist() == list(NAMES)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 4999), max_size=8), st.floats(0.004, 30.0), st.floats(-1e4, 1e6))
def test_what_is_appended_in_any_chunks_is_read_in_any_chunks(
    tmp_path: Path, cuts: list[int], chunk_s: float, start_s: float
) -> None:
    edges = sorted({0, len(LFP_UV), *cuts})
    with writer_for(tmp_path / "r.h5", start_s) as writer:
        for start, stop in itertools.pairwise(edges):
            writer.append_lfp(LFP_UV[start:stop])
    with open_recording(tmp_path / "r.h5") as recording:
        starts, chunks = zip(*recording.lfp_chunks(max(chunk_s, 0.5)), strict=True)
        assert np.array_equal(np.concatenate(chunks), LFP_UV)
        assert list(starts) == np.cumsum([0, *(len(c) for c in chunks[:-1])]).tolist()
        a, b = sorted(edges[:2])
        assert np.array_equal(recording.lfp_uv(a, b), LFP_UV[a:b])


def test_reading_a_piece_leaves_the_rest_on_disk(tmp_path: Path) -> None:
    write_all(tmp_path / "r.h5")
    with open_recording(tmp_path / "r.h5") as recording:
        recording.lfp_uv(10, 20)
        recording.behavior("speed")
        recording.spikes()
        data = recording._data
        stored = (vars(data.lfp)["signal"], vars(data.behavior.speed)["values"], vars(data.spikes)["timestamps"])
        assert all(isinstance(array, h5py.Dataset) for array in stored)


def test_a_gap_reads_as_missing_samples_takes_no_space_and_leaves_the_domain(tmp_path: Path) -> None:
    gap = 3_000_000
    with writer_for(tmp_path / "r.h5") as writer:
        writer.append_lfp(LFP_UV[:1000])
        writer.append_gap(gap)
        writer.append_lfp(LFP_UV[1000:])
    # 36 MB of samples were never recorded; what was takes 60 kB, in chunks of 1 MB.
    assert (tmp_path / "r.h5").stat().st_size < 5_000_000
    with open_recording(tmp_path / "r.h5") as recording:
        assert recording.info.n_samples == len(LFP_UV) + gap
        assert np.array_equal(recording.lfp_uv(0, 1000), LFP_UV[:1000])
        assert np.isnan(recording.lfp_uv(1000, 2000)).all()
        across = recording.lfp_uv(gap, gap + 2000)
        assert np.isnan(across[:1000]).all()
        assert np.array_equal(across[1000:], LFP_UV[1000:2000])
    with Data.load(tmp_path / "r.h5") as data:
        assert data.lfp.is_gappy()
        assert data.domain.end[0] == 4.0


def test_the_recording_describes_itself(tmp_path: Path) -> None:
    info = write_all(tmp_path / "r.h5")
    assert (info.subject_id, info.session_id, info.n_units) == ("rat 1", "day 2", 4)
    assert (info.lfp_rate_hz, info.n_samples, info.duration_s, info.channel_names) == (RATE_HZ, 5000, 20.0, NAMES)
    assert info.behavior_names == ("hand", "speed", "truth.latents")
    assert {b.name: (b.unit, b.rate_hz, b.n_dims) for b in info.behavior}["hand"] == ("m", None, 2)
    assert {i.name: i.total_s for i in info.intervals} == {"train": 12.0, "rail": 2.0}
    assert RecordingInfo.model_validate_json(info.model_dump_json()) == info


def test_quality_is_the_union_of_its_labels_and_absent_sets_are_empty(tmp_path: Path) -> None:
    with writer_for(tmp_path / "r.h5") as writer:
        writer.append_lfp(LFP_UV)
        writer.set_intervals("rail", [[1, 2], [5, 6]])
        writer.set_intervals("stimulation", [[1.5, 3]])
    with open_recording(tmp_path / "r.h5") as recording:
        assert recording.intervals("quality").tolist() == [[1, 3], [5, 6]]
        assert recording.intervals("dropout").shape == (0, 2)
        assert recording.intervals("train").shape == (0, 2)
        with pytest.raises(InputError, match=r"no intervals 'rails', did you mean 'rail'\?"):
            recording.intervals("rails")


def brainsets_file(path: Path, signal: NDArray[np.generic]) -> Path:
    """A file made as the brainsets pipelines make theirs: other names, several fields in a series, no units."""
    domain = Interval(0.0, 20.0)
    Data(
        brainset=Data(id="someone_2026"),
        subject=Data(id="m", species="MACACA_MULATTA"),
        session=Data(id="s1"),
        ecog=RegularTimeSeries(sampling_rate=RATE_HZ, signal=signal),
        cursor=IrregularTimeSeries(timestamps=HAND_S, pos=HAND, vel=2 * HAND, domain=domain),
        spikes=IrregularTimeSeries(timestamps=SPIKES_S, unit_index=UNITS, domain=domain),
        units=ArrayDict(id=np.array(["a", "b", "c", "d"])),
        channels=ArrayDict(id=np.array(["e1", "e2", "e3"])),
        train_domain=Interval(0.0, 12.0),
        domain=domain,
    ).save(path)
    return path


def test_a_brainsets_file_opens_directly(tmp_path: Path) -> None:
    with open_recording(brainsets_file(tmp_path / "b.h5", LFP_UV)) as recording:
        assert recording.info.behavior_names == ("cursor.pos", "cursor.vel")
        assert recording.info.channel_names == ("e1", "e2", "e3")
        assert np.array_equal(recording.lfp_uv(100, 200), LFP_UV[100:200])
        assert np.array_equal(recording.behavior("cursor.vel").values, 2 * HAND)
        assert recording.behavior("cursor.vel").axis_names == ("cursor.vel[0]", "cursor.vel[1]")
        assert recording.intervals("train").tolist() == [[0.0, 12.0]]
        assert len(recording.spikes().times_s) == 500


@pytest.mark.parametrize(("unit", "per_unit"), [("V", 1e-6), ("volts", 1e-6), ("mV", 1e-3), ("uV", 1.0), (None, 1e-6)])
def test_lfp_is_microvolt_whatever_the_file_holds(tmp_path: Path, unit: str | None, per_unit: float) -> None:
    path = brainsets_file(tmp_path / "b.h5", LFP_UV.astype(np.float64) * per_unit)
    if unit:
        with h5py.File(path, "a") as file:
            file["ecog/signal"].attrs["unit"] = unit
    with open_recording(path) as recording:
        # Two roundings to float32, of 6e-8 each.
        np.testing.assert_allclose(recording.lfp_uv(0, 5000), LFP_UV, rtol=2e-7)


def test_a_size_that_fits_neither_volt_nor_microvolt_is_not_guessed(tmp_path: Path) -> None:
    path = brainsets_file(tmp_path / "b.h5", LFP_UV * np.float32(1e-3))
    with pytest.raises(InputError, match=r"fits neither volt nor microvolt; set the attribute unit"):
        open_recording(path)
    with h5py.File(path, "a") as file:
        file["ecog/signal"].attrs["unit"] = "furlong"
    with pytest.raises(InputError, match="the LFP's unit is 'furlong'; allowed: uV, mV, V"):
        open_recording(path)


def test_counts_without_a_unit_are_not_taken_for_microvolt(tmp_path: Path) -> None:
    path = brainsets_file(tmp_path / "b.h5", LFP_UV.astype(np.int16))
    with pytest.raises(InputError, match="holds int16 counts and has no unit attribute"):
        open_recording(path)
