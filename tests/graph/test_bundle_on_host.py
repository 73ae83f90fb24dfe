"""`edgebci bundle time` says when int8 is slower here; `bundle hash` compares processors; `bundle rewrite` fuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import typer
from typer.testing import CliRunner

from edgebci.bundle import FIRMWARE, Provenance
from edgebci.checkpoint import Checkpoint, TrainingRecord
from edgebci.cli.bundle_on_host import hash_bundle, time_bundle
from edgebci.cli.bundle_rewrite import rewrite_bundle
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export import rewrites
from edgebci.export.bundle_writer import export_bundle
from edgebci.export.rewrite_probe import Probe
from edgebci.export.runtime_timing import RuntimeTiming, StepTime
from edgebci.features.cases import front_end_case
from edgebci.frame_stream import FrameStream
from edgebci.pipeline import bundle_on_host, bundle_rewrite, portable_bits
from edgebci.pipeline.bundle_on_host import IN_C, full_chunks, host_sentence
from edgebci.pipeline.bundle_rewrite import RewrittenGraph
from edgebci.pipeline.portable_bits import HERE, HOST_TWIN, MUST_BE_EQUAL, QEMU, PortableBits
from tests.graph.conftest import step_form

CASE = front_end_case("clean")
app = typer.Typer()
app.command("time")(time_bundle)
app.command("hash")(hash_bundle)
app.command("rewrite")(rewrite_bundle)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = DecoderSpec(
        n_inputs=CASE.front_end.n_features, output_names=("x", "y"), output_unit="cm/s", d_model=8, d_state=4, headdim=4
    )
    record = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=50, epochs_run=0, best_epoch=0, versions={})
    frames = random_frames(spec, 80, 2)
    stream = FrameStream(frames, np.arange(80) == 0, random_frames(spec, 80, 3)[:, :2].astype(float), np.ones(80, bool))
    provenance = Provenance(
        recording="r", recording_sha256="0" * 64, checkpoint_sha256="1" * 64, trials=1, test_intervals_s=((0.0, 1.0),)
    )
    checkpoint = Checkpoint(spec, random_parameters(spec, 1), record)
    folder = tmp_path_factory.mktemp("host") / "bundle"
    return export_bundle(folder, checkpoint, CASE.front_end, stream, stream, provenance).folder


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "250"})


def test_every_form_of_a_bundle_is_timed_its_c_too(bundle: Path) -> None:
    found = run("time", bundle, "--rounds", 2, "--json")
    assert found.exit_code == 0, found.output
    timing = RuntimeTiming.model_validate(json.loads(found.stdout))
    assert [entry.form for entry in timing.times] == ["fp32", "int8", IN_C]
    assert timing.steps == 100
    shown = run("time", bundle, "--rounds", 1)
    assert "measured over 50 of each form" in shown.stdout
    assert "on this machine" in shown.stdout


def test_the_sentence_is_about_both_int8_forms_against_float32() -> None:
    times = {"fp32": 40.0, "int8": 50.0, IN_C: 20.0}
    entries = tuple(StepTime(form=f, median_us=us, p99_us=us, slowest_us=us) for f, us in times.items())
    said = host_sentence(RuntimeTiming(provider="cpu", steps=9, times=entries))
    assert said.startswith("int8 is slower than fp32 on this machine, 1.25 times: ")
    assert "; int8 in C is 2.00 times as fast as fp32 on this machine: " in said
    assert host_sentence(RuntimeTiming(provider="cpu", steps=9, times=entries[1:])) == ""


@pytest.fixture(scope="module")
def hashed(bundle: Path) -> PortableBits:
    """What the command says, this processor in place of the emulated one, which `test_portable_bits` runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portable_bits, "_emulated", portable_bits._hashes)
        found = run("hash", bundle, "--frames", 20, "--json")
    assert found.exit_code == 0, found.output
    return PortableBits.model_validate_json(found.stdout)


def test_a_bundle_is_hashed_on_input_that_saturates(hashed: PortableBits) -> None:
    assert (hashed.rows, hashed.frames) == (20 * CASE.front_end.spec.samples_per_frame, 20)
    assert {entry.form for entry in hashed.hashes if entry.machine == HERE} >= set(MUST_BE_EQUAL)
    assert bool(hashed.not_run) == (shutil.which(QEMU) is None)


def test_the_table_names_every_hash_and_the_result(
    bundle: Path, hashed: PortableBits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_on_host, "hash_bundle", lambda *_: hashed)
    shown = run("hash", bundle).stdout
    assert all(f"{entry.form}, {entry.machine}" in shown for entry in hashed.hashes)
    assert f"{HOST_TWIN}, {HERE}" in shown
    assert ("equal bits on this machine" if shutil.which(QEMU) else "not compared with another processor") in shown


def test_chunks_are_full_and_the_twin_gets_twice_as_many_spikes_as_it_looks_at() -> None:
    reference: Any = step_form("possm gru").quantized_reference
    given = full_chunks(reference.spec, 6)
    assert given.frames.shape == (6, reference.spec.max_tokens, 2)
    assert given.counts.shape == (6 * 2 * reference.spec.max_tokens, 2)
    assert 1 <= given.frames[..., 0].min() <= given.frames[..., 0].max() <= reference.spec.n_units
    # What the twin looks at are the newest, and those are the reference's.
    newest = given.counts.reshape(6, 2, reference.spec.max_tokens, 2)[:, 1]
    np.testing.assert_array_equal(newest, given.frames)


def test_a_rewritten_step_is_written_beside_the_bundle_and_computes_the_same(bundle: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    names, out = ("CausalConvWithState-27", "LinearAttention-27"), tmp_path / "fused.onnx"
    found = run("rewrite", bundle, *names, "--out", out, "--steps", 40, "--json")
    assert found.exit_code == 0, found.output
    said = RewrittenGraph.model_validate(json.loads(found.stdout))
    assert said.graph == out
    assert [(record.name, record.applied, record.steps["reference evaluator"]) for record in said.records] == [
        (name, True, 40) for name in names
    ]
    step = next(function for function in onnx.load(out).functions if function.name == "Mamba2Step")
    assert {"CausalConvWithState", "LinearAttention"} <= {node.op_type for node in step.node}
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before


def test_a_rewritten_step_leaves_as_a_chunk_that_says_what_followed_it(bundle: Path, tmp_path: Path) -> None:
    given = "CausalConvWithState-27", "--out", tmp_path / "fused.onnx", "--steps", 10, "--chunk", 2
    shown = run("rewrite", bundle, *given)
    assert shown.exit_code == 0, shown.output
    assert "2 steps in one run, bit for bit those of single steps over" in " ".join(shown.stdout.split())
    frames = onnx.load(tmp_path / "fused.onnx").graph.input[0]
    assert (frames.name, frames.type.tensor_type.shape.dim[0].dim_value) == ("frames", 2)


def test_a_chunk_of_no_length_is_refused_and_nothing_is_written(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "fused.onnx"
    with pytest.raises(InputError, match=r"a chunk of 65 steps; choose from 1 to 64"):
        bundle_rewrite.rewrite_bundle(bundle, ["LinearAttention-27"], out, 10, 65)
    assert not out.exists()


def test_a_rewrite_that_has_no_place_is_told_and_nothing_is_written(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrites, "probe", lambda *_: Probe(False, "ONNX Runtime 1.20 refuses it: unknown"))
    shown = run("rewrite", bundle, "com.microsoft.LinearAttention", "--out", tmp_path / "fused.onnx", "--steps", 20)
    assert shown.exit_code == 0
    assert "nothing was written" in shown.stdout
    assert "not applied: ONNX Runtime 1.20 refuses it" in shown.stdout
    assert not (tmp_path / "fused.onnx").exists()


def test_a_bundle_without_c_is_not_compared(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    shutil.rmtree(tmp_path / "bundle" / FIRMWARE)
    with pytest.raises(InputError, match=r"holds no C in int8 .* export the decoder for host or a core"):
        bundle_on_host.hash_bundle(tmp_path / "bundle")
    with pytest.raises(InputError, match=r"holds no manifest\.json"):
        bundle_on_host.hash_bundle(tmp_path)


def test_a_bundle_without_graphs_is_not_timed(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    for path in (tmp_path / "bundle").glob("*.onnx"):
        path.unlink()
    with pytest.raises(InputError, match="holds no graph to time; export the decoder again"):
        bundle_on_host.time_bundle(tmp_path / "bundle")
