"""POSSM's step goes all the way: float, exact integers, both graphs, C that collects spikes, on the host and a core."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgebci.arithmetic import F32
from edgebci.checkpoint import TrainingRecord
from edgebci.errors import InputError
from edgebci.example_decoder import draw_parameters
from edgebci.export.c_spikes import generate_spike_program
from edgebci.export.possm_bundle_writer import export_possm_bundle
from edgebci.export.possm_step import float_possm_graph, quantize_possm, quantized_possm_graph
from edgebci.export.stream_comparison import FLOAT_TOLERANCE
from edgebci.export.verification import verify_float_reference, verify_quantized
from edgebci.firmware_sim.host_twin import HostTwin
from edgebci.firmware_sim.target_run import run_on_target
from edgebci.firmware_sim.toolchain import SPIKES_HOST, SPIKES_TARGET, compile_host, compile_target
from edgebci.operators.token_attention import Tokens
from edgebci.possm_bundle import open_possm_bundle
from edgebci.possm_float import FloatPossmStep
from edgebci.possm_quantized import QuantizedPossmStep
from edgebci.possm_spec import PossmCheckpoint, PossmStepSpec, save_possm_step
from edgebci.possm_stream import ChunkStream, FloatPossmStream
from tests.small_specs import small_spike_decoder

pytestmark = pytest.mark.usefixtures("few_evaluator_steps")
RECIPE = Path(__file__).resolve().parents[2] / "examples" / "recipes" / "possm_edge.toml"
MOST, UNITS, STEPS = 16, 20, 50
NOISE_DB = 17.0
"""Least signal over quantization noise: that of `test_every_form`, 20 dB for a dozen int8 quantizers in a row, less
3 dB for twice as many; 21 to 27 dB were seen."""


@dataclass(frozen=True)
class Form:
    spec: PossmStepSpec
    parameters: dict[str, F32]
    chunks: Tokens
    decoder: QuantizedPossmStep


def random_chunks(n_chunks: int, seed: int, most: int = MOST) -> Tokens:
    """(n_chunks, most, 2) of spikes whose rate and whose units drift; chunks without spikes have the token of row 0."""
    rng = np.random.default_rng(seed)
    chunks = np.full((n_chunks, most, 2), -1, np.int32)
    chunks[..., 1] = 0
    for t in range(n_chunks):
        n = min(int(rng.poisson(7 + 6 * np.sin(t / 9))), most)
        chunks[t, :n, 0] = 1 + np.minimum(
            rng.integers(0, UNITS, n), rng.integers(8, UNITS) if np.sin(t / 15) > 0 else UNITS
        )
        chunks[t, :n, 1] = np.sort(rng.integers(0, STEPS, n))
        if n == 0:
            chunks[t, 0] = 0
    return chunks


@pytest.fixture(scope="module", params=["gru", "mamba2"])
def form(request: pytest.FixtureRequest) -> Form:
    """Two layers; 300 chunks that calibration did not see."""
    # With 24 hidden units, Mamba-2's int8 would fall short of 95 % of the MACs.
    spec = small_spike_decoder(request.param, n_units=UNITS, n_time_steps=STEPS, max_tokens=MOST, hidden=32)
    parameters = draw_parameters(spec.parameter_shapes(), 1)
    parameters["score"], parameters["value"] = 8 * parameters["score"], 4 * parameters["value"]
    chunks = random_chunks(900, 2)
    return Form(spec, parameters, chunks[600:], quantize_possm(spec, parameters, chunks[:600]))


@pytest.fixture(scope="module")
def sources(form: Form, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spikes")
    onnx.save(quantized_possm_graph(form.decoder), folder / "decoder_int8.onnx")
    generate_spike_program(folder / "decoder_int8.onnx", form.spec, folder / "firmware")
    return folder / "firmware"


def test_the_stream_is_the_step_that_training_means(form: Form) -> None:
    step = FloatPossmStep.of(form.spec, form.parameters)
    states, expected = step.initial_states(), []
    for chunk in form.chunks[:40]:
        output, states = step.step(chunk[:, 0], chunk[:, 1], chunk[:, 0] >= 0, states)
        expected.append(output)
    found = FloatPossmStream.of(form.spec, form.parameters).stream(form.chunks[:40])
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_the_float_graph_computes_the_float_step(form: Form) -> None:
    reference = FloatPossmStream.of(form.spec, form.parameters)
    graph = float_possm_graph(form.spec, form.parameters)
    found = verify_float_reference(graph, reference, form.chunks[:200], np.arange(200) % 90 == 0, 20)
    # Ten times tighter than what is allowed: float32 rounds at 6e-8 and some hundred roundings add up.
    assert max(found.largest_error.values()) < FLOAT_TOLERANCE / 10


def test_each_quantizer_of_the_int8_graph_agrees_within_an_lsb(form: Form) -> None:
    found = verify_quantized(quantized_possm_graph(form.decoder), form.decoder, form.chunks)
    assert max(quantizer.largest_lsb for quantizer in found.each_quantizer) <= 1
    assert {f"{name}.next" for name in form.spec.state_shapes()} < {q.name for q in found.each_quantizer}


def test_quantization_noise_is_what_eight_bits_leave(form: Form) -> None:
    exact = FloatPossmStream.of(form.spec, form.parameters).stream(form.chunks)
    noise = form.decoder.stream(form.chunks) - exact
    assert (10 * np.log10(exact.var(axis=0) / (noise**2).mean(axis=0)) > NOISE_DB).all()


def test_neither_the_order_of_tokens_nor_absent_ones_change_a_bit(form: Form) -> None:
    rng = np.random.default_rng(0)
    mixed = np.stack([rng.permutation(chunk) for chunk in form.chunks[:60]])
    mixed[mixed[..., 0] < 0] = (-1, 7)
    assert form.decoder.stream(mixed).tobytes() == form.decoder.stream(form.chunks[:60]).tobytes()


@pytest.mark.parametrize("cut", [1, 2, 17, 59])
def test_any_chunking_of_a_stream_gives_the_same_bits(form: Form, cut: int) -> None:
    first, states = form.decoder.run(form.chunks[:cut], form.decoder.initial_states())
    second, _ = form.decoder.run(form.chunks[cut:60], states)
    assert np.concatenate([first, second]).tobytes() == form.decoder.stream(form.chunks[:60]).tobytes()


def rows_of(chunks: Tokens) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Chunks as the harnesses take them: 2 * MOST rows each, of which those with unit 0 or below are no spike."""
    rows = np.zeros((len(chunks), 2 * MOST, 2), np.int16)
    rows[:, : chunks.shape[1]] = chunks
    return rows.reshape(-1, 2)


@pytest.fixture(scope="module")
def library(sources: Path) -> Path:
    """The host twin by gcc, quickly; that of zig, as users get it, is one test's."""
    return compile_host(sources, sources.parent / "host.so", "gcc", "1", SPIKES_HOST)


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_the_host_twin_is_the_reference_bit_for_bit(
    form: Form, sources: Path, library: Path, compiler: str, tmp_path: Path
) -> None:
    by_zig = compiler == "zig"
    twin = HostTwin(compile_host(sources, tmp_path / "host.so", harness=SPIKES_HOST) if by_zig else library)
    run = twin.run(rows_of(form.chunks))
    outputs, states = form.decoder.run(form.chunks, form.decoder.initial_states())
    assert run.outputs.tobytes() == outputs.tobytes()
    for name, state in states.items():
        assert twin.state(name).tobytes() == state.tobytes(), name
    assert twin.state("dropped")[0] == 0


def test_spikes_beyond_the_maximum_displace_the_oldest_and_are_counted(form: Form, library: Path) -> None:
    rng, most = np.random.default_rng(4), MOST + 5
    crowded = np.stack([rng.integers(1, UNITS + 1, (12, most)), np.sort(rng.integers(0, STEPS, (12, most)))], axis=-1)
    twin = HostTwin(library)
    run = twin.run(rows_of(crowded.astype(np.int32)))
    newest = crowded[:, -MOST:].astype(np.int32)
    assert run.outputs.tobytes() == form.decoder.stream(newest).tobytes()
    assert run.features.ravel().tolist() == [5.0] * 12
    assert twin.state("dropped")[0] == 60


def test_spikes_of_no_unit_or_of_another_chunk_are_refused(form: Form, library: Path) -> None:
    twin = HostTwin(library)
    wrong = np.zeros((1, 4, 2), np.int32)
    wrong[0] = [(UNITS + 1, 3), (-7, 3), (3, STEPS), (3, -1)]
    empty = np.full((1, MOST, 2), -1, np.int32)
    empty[0, 0] = 0
    assert twin.run(rows_of(wrong)).outputs.tobytes() == form.decoder.stream(empty).tobytes()


def test_the_core_is_the_host_twin_bit_for_bit(form: Form, sources: Path, library: Path, tmp_path: Path) -> None:
    host = HostTwin(library)
    rows = rows_of(form.chunks[:25])
    elf = compile_target(sources, tmp_path / "firmware.elf", harness=SPIKES_TARGET)
    run = run_on_target(elf, rows, None, 2, 2 * MOST, form.spec.n_outputs)
    assert run.outputs.tobytes() == host.run(rows).outputs.tobytes()
    assert run.state == host.state_bytes()


def test_a_graph_of_another_size_is_refused(form: Form, tmp_path: Path) -> None:
    onnx.save(quantized_possm_graph(form.decoder), tmp_path / "decoder_int8.onnx")
    other = form.spec.model_copy(update={"max_tokens": 17})
    with pytest.raises(InputError, match=r"takes frames \(16, 2\) where the decoder of spikes has \(17, 2\)"):
        generate_spike_program(tmp_path / "decoder_int8.onnx", other, tmp_path / "c")


def test_a_bundle_holds_every_form_and_opens_only_undamaged(form: Form, tmp_path: Path) -> None:
    record = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=20, epochs_run=0, best_epoch=0, versions={})
    save_possm_step(tmp_path / "step.safetensors", PossmCheckpoint(form.spec, form.parameters, record))
    training, test = (ChunkStream(random_chunks(150, seed), np.arange(150) == 0) for seed in (5, 6))
    bundle = export_possm_bundle(tmp_path / "bundle", tmp_path / "step.safetensors", training, test)
    assert {"decoder_float.onnx", "decoder_int8.onnx", "quantized.safetensors"} < bundle.manifest.files.keys()
    assert {"firmware/decoder.c", "firmware/edgebci_attention.h"} < bundle.manifest.files.keys()
    assert bundle.manifest.quantized_agreement is not None
    assert bundle.manifest.quantized_agreement.steps == 150
    decoder, again = bundle.quantized_decoder(), quantize_possm(form.spec, form.parameters, training.chunks)
    assert decoder.stream(test.chunks).tobytes() == again.stream(test.chunks).tobytes()
    (bundle.folder / "firmware" / "decoder.c").write_text("int x;")
    with pytest.raises(InputError, match=r"damaged: firmware/decoder\.c has 6 bytes"):
        open_possm_bundle(bundle.folder)


@pytest.mark.parametrize("backbone", ["gru", "mamba2"])
def test_the_whole_program_of_the_edge_recipe_fits_the_flash(backbone: str, tmp_path: Path) -> None:
    model = tomllib.loads(RECIPE.read_text())["model"]
    same = (
        "max_tokens",
        "chunk_s",
        "dim",
        "hidden",
        "n_layers",
        "memory_chunks",
        "d_state",
        "headdim",
        "expand",
        "d_conv",
    )
    sizes = {name: model[name] for name in (*same, "norm_epsilon")}
    sizes |= {"n_units": 150, "n_time_steps": STEPS, "feed_forward_hidden": model["feed_forward_expand"] * model["dim"]}
    spec = PossmStepSpec(backbone=backbone, output_names=("vx", "vy"), output_unit="cm/s", **sizes)
    chunks = random_chunks(60, 3, spec.max_tokens)
    decoder = quantize_possm(spec, draw_parameters(spec.parameter_shapes(), 1), chunks)
    onnx.save(quantized_possm_graph(decoder), tmp_path / "decoder_int8.onnx")
    generate_spike_program(tmp_path / "decoder_int8.onnx", spec, tmp_path / "firmware")
    elf = compile_target(tmp_path / "firmware", tmp_path / "firmware.elf", harness=SPIKES_TARGET)
    rows = np.zeros((4, 2 * spec.max_tokens, 2), np.int16)
    rows[:, : spec.max_tokens] = chunks[:4]
    run = run_on_target(elf, rows.reshape(-1, 2), None, 2, 2 * spec.max_tokens, spec.n_outputs)
    assert run.outputs.tobytes() == decoder.stream(chunks[:4]).tobytes()
    assert run.memory.flash_bytes <= 256 * 1024
    assert run.memory.flash_bytes > sum(tensor.nbytes for tensor in decoder.tensors().values())
