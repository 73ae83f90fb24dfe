"""The same int8 bundle gives equal hashes on this machine and under qemu-x86_64 -cpu Haswell, on saturating input."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgebci.bundle import FIRMWARE, INT8_ONNX, QUANTIZED, BundleFolder
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError, VerificationError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.c_spikes import generate_spike_program
from edgebci.export.quantization import quantize
from edgebci.export.quantized_graph import quantized_step_graph
from edgebci.features.cases import front_end_case
from edgebci.firmware_sim.toolchain import compile_host
from edgebci.pipeline import portable_bits as module
from edgebci.pipeline.portable_bits import (
    CPU,
    HERE,
    HOST_TWIN,
    MUST_BE_EQUAL,
    QEMU,
    REFERENCE,
    RUNTIME,
    PortableBits,
    PortableHash,
    SaturatingInput,
    portable_bits,
    saturating_input,
)
from tests.graph.conftest import step_form

NO_QEMU = f"{QEMU} is not on the PATH (Debian: apt-get install qemu-user)"
CASE = front_end_case("clean")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> BundleFolder:
    """As `edgebci export` writes them, of what is compared here."""
    spec = DecoderSpec(
        n_inputs=CASE.front_end.n_features,
        output_names=("x", "y"),
        output_unit="cm/s",
        d_model=16,
        d_state=8,
        headdim=8,
    )
    decoder = quantize(spec, random_parameters(spec, 1), random_frames(spec, 200, 2))
    folder = tmp_path_factory.mktemp("bundle")
    onnx.save(quantized_step_graph(decoder), folder / INT8_ONNX)
    decoder.save(folder / QUANTIZED)
    generate(folder / INT8_ONNX, CASE.front_end, folder / FIRMWARE)
    return BundleFolder(folder)


@pytest.fixture(scope="module")
def compared(bundle: BundleFolder, tmp_path_factory: pytest.TempPathFactory) -> PortableBits:
    """The bundle beside a host twin that was scored; emulated once, since that takes most of a minute."""
    library = tmp_path_factory.mktemp("scored") / "scored.so"
    return portable_bits(bundle, saturating(), scored=compile_host(bundle.firmware, library, "gcc", "1"))


def saturating() -> SaturatingInput:
    spec, channels = CASE.front_end.spec, CASE.front_end.n_channels
    return saturating_input((60 * spec.samples_per_frame, channels), (60, CASE.front_end.n_features), spec.adc.bits)


def test_the_input_saturates() -> None:
    given = saturating()
    assert set(np.unique(given.counts)) == {-32768, 32767}
    assert given.counts.dtype == np.int16
    assert set(np.unique(np.abs(given.frames))) == {np.float32(1e6)}
    # Neither stands still nor changes at every step.
    assert 0.05 < (given.frames[1:] != given.frames[:-1]).mean() < 0.3


def test_the_host_twin_that_was_scored_is_one_of_those_compared(compared: PortableBits) -> None:
    here = {(entry.form, entry.machine) for entry in compared.hashes if entry.machine.startswith(HERE)}
    assert here == {(HOST_TWIN, HERE), (HOST_TWIN, f"{HERE}, as scored"), (REFERENCE, HERE), (RUNTIME, HERE)}
    assert len({entry.sha256 for entry in compared.hashes if entry.form == HOST_TWIN}) == 1


@pytest.mark.skipif(shutil.which(QEMU) is None, reason=NO_QEMU)
def test_an_emulated_haswell_gives_the_same_bits(compared: PortableBits) -> None:
    assert compared.not_run == ""
    for form in MUST_BE_EQUAL:
        of_form = {entry.machine: entry.sha256 for entry in compared.hashes if entry.form == form}
        assert of_form[CPU] == of_form[HERE]
    assert compared.sentence().startswith(
        f"host twin and NumPy reference give equal bits on {HERE} and under {QEMU} -cpu Haswell"
    )


@pytest.mark.skipif(shutil.which(QEMU) is None, reason=NO_QEMU)
def test_an_emulated_haswell_gives_the_same_bits_of_a_decoder_of_spikes(tmp_path: Path) -> None:
    form: Any = step_form("possm gru")
    onnx.save(form.quantized_graph, tmp_path / INT8_ONNX)
    form.quantized_reference.save(tmp_path / QUANTIZED)
    generate_spike_program(tmp_path / INT8_ONNX, form.quantized_reference.spec, tmp_path / FIRMWARE)
    rows = np.repeat(form.frames[:40], 2, axis=1).reshape(-1, 2).astype(np.int16)
    rows[:, 0] = np.maximum(rows[:, 0], 0)
    found = portable_bits(BundleFolder(tmp_path), SaturatingInput(rows, form.frames[:40]), kind="spikes")
    assert not set(found.differing()) & set(MUST_BE_EQUAL)
    assert {entry.machine for entry in found.hashes if entry.form == HOST_TWIN} == {HERE, CPU}


def test_without_qemu_the_report_says_that_nothing_ran_there(
    bundle: BundleFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == QEMU else f"/usr/bin/{name}")
    found = portable_bits(bundle, saturating())
    assert found.sentence() == f"not compared with another processor: {NO_QEMU}"
    assert CPU not in {entry.machine for entry in found.hashes}


def test_other_bits_on_the_other_processor_are_refused(bundle: BundleFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(module, "_emulated", lambda _: dict.fromkeys((HOST_TWIN, RUNTIME), "0" * 64))
    with pytest.raises(VerificationError, match=r"host twin of \S+: other bits on another processor"):
        portable_bits(bundle, saturating())


def test_other_bits_of_onnx_runtime_are_reported() -> None:
    hashes = [PortableHash(form=form, machine=m, sha256=f"{form}") for form in MUST_BE_EQUAL for m in (HERE, CPU)]
    hashes += [PortableHash(form=RUNTIME, machine=m, sha256=m) for m in (HERE, CPU)]
    found = PortableBits(rows=1, frames=1, hashes=tuple(hashes), not_run="")
    assert found.differing() == (RUNTIME,)
    assert found.sentence().endswith("; ONNX Runtime gives other bits there")


def test_nothing_is_no_comparison(bundle: BundleFolder) -> None:
    empty = SaturatingInput(np.zeros((0, 2), np.int16), np.zeros((0, 2), np.float32))
    with pytest.raises(InputError, match="no counts or no frames to compare processors with"):
        portable_bits(bundle, empty)
