"""The quantized decoder against its definition, written out for one number at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebci import arithmetic
from edgebci.arithmetic import F32
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.quantization import quantize
from edgebci.operators.dense import QuantizedDense
from edgebci.operators.linear_entry import QuantizedLinear
from edgebci.operators.mamba2 import QuantizedMamba2
from edgebci.quantized_decoder import QuantizedDecoder, QuantizedStates

SPEC = DecoderSpec(
    n_inputs=6, output_names=("x", "y"), output_unit="cm/s", d_model=8, n_layers=2, d_state=4, headdim=8, d_conv=3
)
FRAMES = random_frames(SPEC, 60, 6)
DECODER = quantize(SPEC, random_parameters(SPEC, 5), FRAMES)
f32 = np.float32


def scalar(function: object, x: np.float32) -> np.float32:
    assert callable(function)
    return f32(function(np.array([x], f32))[0])


def q8(x: np.float32, inverse: np.float32) -> int:
    return int(min(max(round(float(f32(x * inverse))), -128), 127))


def q16(x: np.float32, inverse: np.float32) -> int:
    return int(min(max(round(float(f32(x * inverse))), -32768), 32767))


def lane_sum(values: list[np.float32]) -> np.float32:
    lanes = values[:4]
    for k, value in enumerate(values[4:]):
        lanes[k % 4] = f32(lanes[k % 4] + value)
    return f32(f32(lanes[0] + lanes[1]) + f32(lanes[2] + lanes[3]))


def dense_by_hand(dense: QuantizedDense, q: list[int]) -> list[np.float32]:
    rows = []
    for i, row in enumerate(dense.weight):
        total = sum(int(w) * v for w, v in zip(row, q, strict=True))
        rows.append(f32(f32(f32(total) * f32(dense.act_scale * dense.weight_scale[i])) + dense.bias[i]))
    return rows


def norm_by_hand(x: list[np.float32], gamma: F32, dense: QuantizedDense) -> list[int]:
    mean = f32(lane_sum([f32(v * v) for v in x]) * f32(1.0 / len(x)))
    r = f32(f32(1.0) / np.sqrt(f32(mean + f32(SPEC.norm_epsilon))))
    inverse = f32(f32(1.0) / dense.act_scale)
    return [q8(f32(f32(v * r) * g), inverse) for v, g in zip(x, gamma, strict=True)]


def mixer_by_hand(b: QuantizedMamba2, p: list[np.float32], conv: np.ndarray, ssm: np.ndarray) -> list[np.float32]:
    """g; the states are replaced in place."""
    z, xbc, dt_raw = p[: SPEC.d_inner], p[SPEC.d_inner : -SPEC.n_heads], p[-SPEC.n_heads :]
    u = []
    for c in range(SPEC.conv_dim):
        window = [*conv[c].tolist(), q16(xbc[c], f32(f32(1.0) / b.conv_scale[c]))]
        conv[c] = window[1:]
        total = sum(int(w) * v for w, v in zip(b.conv_weight[c], window, strict=True))
        before = f32(f32(f32(total) * f32(b.conv_scale[c] * b.conv_weight_scale[c])) + b.conv_bias[c])
        u.append(scalar(arithmetic.silu, before))
    x, B, C = u[: SPEC.d_inner], u[SPEC.d_inner : SPEC.d_inner + SPEC.d_state], u[SPEC.d_inner + SPEC.d_state :]
    gated = []
    for k in range(SPEC.d_inner):
        h, lane = divmod(k, SPEC.headdim)
        dt = scalar(arithmetic.softplus, f32(dt_raw[h] + b.dt_bias[h]))
        decay = scalar(arithmetic.exp, f32(dt * b.A[h]))
        dxs = f32(f32(dt * x[k]) * f32(f32(1.0) / b.ssm_scale[h]))
        for n in range(SPEC.d_state):
            ssm[h, lane, n] = q16(f32(f32(f32(ssm[h, lane, n]) * decay) + f32(dxs * B[n])), f32(1.0))
        s = lane_sum([f32(C[n] * f32(ssm[h, lane, n])) for n in range(SPEC.d_state)])
        y = f32(f32(s * b.ssm_scale[h]) + f32(b.D[h] * x[k]))
        gated.append(f32(y * scalar(arithmetic.silu, z[k])))
    return gated


def step_by_hand(frame: F32, states: QuantizedStates) -> list[np.float32]:
    """One step from the text of the definition; the states are replaced in place."""
    assert isinstance(DECODER.entry, QuantizedLinear)
    inverse = f32(f32(1.0) / DECODER.entry.dense.act_scale)
    x = dense_by_hand(DECODER.entry.dense, [q8(v, inverse) for v in frame])
    for i, layer in enumerate(DECODER.layers):
        block = layer.cell
        assert isinstance(block, QuantizedMamba2)
        p = dense_by_hand(block.in_proj, norm_by_hand(x, layer.norm_weight, block.in_proj))
        g = mixer_by_hand(block, p, states[f"conv.{i}"], states[f"ssm.{i}"])
        mixed = dense_by_hand(block.out_proj, norm_by_hand(g, block.norm_weight, block.out_proj))
        x = [f32(a + b) for a, b in zip(x, mixed, strict=True)]
    return dense_by_hand(DECODER.readout, norm_by_hand(x, DECODER.norm_weight, DECODER.readout))


def test_every_bit_is_as_the_definition_says() -> None:
    states, by_hand = DECODER.initial_states(), DECODER.initial_states()
    for frame in FRAMES[:10]:
        output, states = DECODER.step(frame, states)
        assert output.tobytes() == np.array(step_by_hand(frame, by_hand), f32).tobytes()
        for name, state in states.items():
            np.testing.assert_array_equal(state, by_hand[name])


@settings(max_examples=30)
@given(st.lists(st.integers(1, 59), max_size=6, unique=True))
def test_any_chunking_of_a_stream_gives_the_same_bits(cuts: list[int]) -> None:
    states, outputs = DECODER.initial_states(), []
    for chunk in np.split(FRAMES, sorted(cuts)):
        output, states = DECODER.run(chunk, states)
        outputs.append(output)
    assert np.concatenate(outputs).tobytes() == DECODER.stream(FRAMES).tobytes()


def test_steps_are_the_stream_bit_for_bit() -> None:
    states, outputs = DECODER.initial_states(), []
    for frame in FRAMES:
        output, states = DECODER.step(frame, states)
        outputs.append(output)
    assert np.stack(outputs).tobytes() == DECODER.stream(FRAMES).tobytes()


def test_after_a_reset_nothing_is_remembered() -> None:
    resets = np.zeros(len(FRAMES), bool)
    resets[[17, 18, 40]] = True
    parts = [DECODER.stream(part) for part in np.split(FRAMES, [17, 18, 40])]
    assert DECODER.stream(FRAMES, resets).tobytes() == np.concatenate(parts).tobytes()


def test_a_run_leaves_the_states_that_it_was_given_alone() -> None:
    _, states = DECODER.run(FRAMES[:5], DECODER.initial_states())
    before = {name: state.copy() for name, state in states.items()}
    DECODER.run(FRAMES[5:], states)
    for name, state in states.items():
        np.testing.assert_array_equal(state, before[name])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30, 1e-38])
def test_a_frame_of_nonsense_gives_finite_output_and_is_forgotten(value: float) -> None:
    frames = FRAMES.copy()
    frames[3] = value
    outputs = DECODER.stream(frames)
    assert np.isfinite(outputs).all()
    resets = np.zeros(len(frames), bool)
    resets[4] = True
    assert DECODER.stream(frames, resets)[4:].tobytes() == DECODER.stream(FRAMES[4:]).tobytes()


def test_the_state_saturates_instead_of_wrapping() -> None:
    tiny = {
        name: t * f32(1e-4) if name.endswith(("ssm_scale", "conv1d.scale")) else t
        for name, t in DECODER.tensors().items()
    }
    decoder = QuantizedDecoder.from_tensors(SPEC, tiny)
    seen: dict[str, tuple[int, int]] = {}
    decoder.stream(FRAMES, tap=lambda name, v: seen.__setitem__(name, (int(v.min()), int(v.max()))))
    assert seen["conv.0.next"] == (-32768, 32767)
    assert seen["ssm.0.next"] == (-32768, 32767)


def test_what_was_saved_computes_the_same_and_has_the_same_bytes(tmp_path: Path) -> None:
    DECODER.save(tmp_path / "a.safetensors")
    loaded = QuantizedDecoder.load(tmp_path / "a.safetensors")
    assert loaded.spec == SPEC
    assert loaded.stream(FRAMES).tobytes() == DECODER.stream(FRAMES).tobytes()
    loaded.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    DECODER.save(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"a\.safetensors is not a whole safetensors file"):
        QuantizedDecoder.load(path)
    with pytest.raises(InputError, match="missing"):
        QuantizedDecoder.load(tmp_path / "missing.safetensors")


def test_integers_have_the_types_that_the_device_stores() -> None:
    types = {name: tensor.dtype for name, tensor in DECODER.tensors().items()}
    int8 = {name for name, kind in types.items() if kind == np.int8}
    dense = (
        "input",
        "readout",
        *(f"layers.{i}.mixer.{p}" for i in range(2) for p in ("in_proj", "conv1d", "out_proj")),
    )
    assert int8 == {f"{name}.weight" for name in dense}
    assert {kind for name, kind in types.items() if name not in int8} == {np.dtype(f32)}
