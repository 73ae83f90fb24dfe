"""The float decoder against the recurrence written out for one number at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebci.decoder_float import FloatDecoder, segments
from edgebci.decoder_spec import DecoderSpec
from edgebci.example_decoder import random_frames, random_parameters

SPEC = DecoderSpec(
    n_inputs=6, output_names=("x", "y"), output_unit="cm/s", d_model=8, n_layers=2, d_state=4, headdim=8, d_conv=3
)
DECODER = FloatDecoder.of(SPEC, random_parameters(SPEC, 5))
FRAMES = random_frames(SPEC, 40, 6)


def rms_norm(x: list[float], gamma: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    root = math.sqrt(sum(v * v for v in x) / len(x) + SPEC.norm_epsilon)
    return [v / root * g for v, g in zip(x, gamma, strict=True)]


def silu(x: float) -> float:
    return x / (1.0 + math.exp(-x))


def mixer_by_hand(
    i: int, normed: list[float], history: list[list[float]], h: dict[tuple[int, int, int], float]
) -> list[float]:
    """One step of a mixer from the paper's formulas; `history` holds xbc of all steps, `h` the state."""
    w = {
        name.removeprefix(f"layers.{i}.mixer."): value
        for name, value in DECODER.parameters.items()
        if f"layers.{i}.mixer." in name
    }
    projected = [float(row @ np.array(normed)) for row in w["in_proj.weight"]]
    z, xbc, dt_raw = projected[: SPEC.d_inner], projected[SPEC.d_inner : -SPEC.n_heads], projected[-SPEC.n_heads :]
    history.append(xbc)
    padded = [[0.0] * SPEC.conv_dim] * SPEC.d_conv + history
    u = [
        silu(
            sum(w["conv1d.weight"][c, 0, k] * padded[k - SPEC.d_conv][c] for k in range(SPEC.d_conv))
            + w["conv1d.bias"][c]
        )
        for c in range(SPEC.conv_dim)
    ]
    x, B, C = u[: SPEC.d_inner], u[SPEC.d_inner : SPEC.d_inner + SPEC.d_state], u[SPEC.d_inner + SPEC.d_state :]
    gated = []
    for c in range(SPEC.d_inner):
        head = c // SPEC.headdim
        dt = math.log1p(math.exp(dt_raw[head] + w["dt_bias"][head]))
        for n in range(SPEC.d_state):
            decay = math.exp(-dt * math.exp(w["A_log"][head]))
            h[i, c, n] = decay * h.get((i, c, n), 0.0) + dt * x[c] * B[n]
        y = sum(h[i, c, n] * C[n] for n in range(SPEC.d_state)) + w["D"][head] * x[c]
        gated.append(y * silu(z[c]))
    return [float(row @ np.array(rms_norm(gated, w["norm.weight"]))) for row in w["out_proj.weight"]]


def test_the_decoder_is_the_papers_recurrence() -> None:
    w, history, h = DECODER.parameters, [[], []], {}  # type: ignore[var-annotated]
    expected = []
    for frame in FRAMES[:12].astype(np.float64):
        x = list(w["input.weight"] @ frame + w["input.bias"])
        for i in range(SPEC.n_layers):
            mixed = mixer_by_hand(i, rms_norm(x, w[f"layers.{i}.norm.weight"]), history[i], h)
            x = [a + b for a, b in zip(x, mixed, strict=True)]
        expected.append(w["readout.weight"] @ np.array(rms_norm(x, w["norm.weight"])) + w["readout.bias"])
    # Both are float64; only the order of sums differs.
    np.testing.assert_allclose(DECODER.stream(FRAMES[:12]), expected, rtol=1e-12, atol=1e-12)


@given(st.lists(st.integers(1, 39), max_size=5, unique=True))
def test_stream_equals_batch_for_any_chunking(cuts: list[int]) -> None:
    states, outputs = DECODER.initial_states(), []
    for chunk in np.split(FRAMES, sorted(cuts)):
        output, states = DECODER.run(chunk, states)
        outputs.append(output)
    # BLAS may sum a product of matrices in another order than that of a vector.
    np.testing.assert_allclose(np.concatenate(outputs), DECODER.stream(FRAMES), rtol=1e-10, atol=1e-12)


def test_step_is_a_stream_of_one_frame() -> None:
    output, states = DECODER.step(FRAMES[0], DECODER.initial_states())
    np.testing.assert_allclose(output, DECODER.stream(FRAMES[:1])[0], rtol=1e-12)
    assert states.keys() == SPEC.state_shapes().keys()


def test_after_a_reset_nothing_is_remembered() -> None:
    resets = np.zeros(len(FRAMES), bool)
    resets[[17, 30]] = True
    parts = [DECODER.stream(part) for part in np.split(FRAMES, [17, 30])]
    np.testing.assert_allclose(DECODER.stream(FRAMES, resets), np.concatenate(parts), rtol=1e-10, atol=1e-12)


@given(
    st.lists(st.booleans(), min_size=1, max_size=30),
    st.integers(1, 9),
)
def test_segments_cover_every_frame_once_and_begin_at_each_reset(resets: list[bool], longest: int) -> None:
    pieces = list(segments(len(resets), np.array(resets), longest))
    assert [k for start, stop, _ in pieces for k in range(start, stop)] == list(range(len(resets)))
    assert [start for start, _, reset in pieces if reset] == [k for k, reset in enumerate(resets) if reset]
    assert max(stop - start for start, stop, _ in pieces) <= longest


def test_the_tap_sees_every_tensor_that_calibration_needs() -> None:
    seen: dict[str, tuple[int, ...]] = {}
    DECODER.stream(FRAMES, tap=lambda name, values: seen.__setitem__(name, values.shape))
    layers = {f"layers.{i}.{name}": (40, width) for i in range(2) for name, width in (("norm", 8), ("gated", 16))}
    states: dict[str, tuple[int, ...]] = {f"ssm.{i}.next": (40, 2, 8, 4) for i in range(2)}
    states |= {f"conv.{i}.next": (40, 24) for i in range(2)}
    assert seen == {"frame": (40, 6), "norm": (40, 8)} | layers | states


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weights_of_any_floating_type_are_taken(dtype: type[np.floating]) -> None:
    parameters = {name: values.astype(dtype) for name, values in random_parameters(SPEC, 5).items()}
    assert FloatDecoder.of(SPEC, parameters).stream(FRAMES).dtype == np.float64
