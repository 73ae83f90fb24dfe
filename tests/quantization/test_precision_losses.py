"""The table of ways compares each with the float decoder on the same frames."""

from __future__ import annotations

import numpy as np
import pytest

from edgebci.checkpoint import Checkpoint, TrainingRecord
from edgebci.decoder_float import FloatDecoder
from edgebci.decoder_spec import DecoderSpec
from edgebci.detection import Events
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.frame_stream import FrameStream
from edgebci.pipeline.precision_losses import PrecisionLosses, precision_losses, ways
from edgebci.pipeline.precision_scoring import Validation

SPEC = DecoderSpec(n_inputs=8, output_names=("x",), output_unit="log odds", d_model=8, d_state=4, headdim=8, n_layers=1)
PARAMETERS, FRAMES = random_parameters(SPEC, 1), random_frames(SPEC, 2400, 2)
RECORD = TrainingRecord(recipe={}, data_sha256={}, frame_rate_hz=50, epochs_run=0, best_epoch=0, versions={})
CHECKPOINT = Checkpoint(SPEC, PARAMETERS, RECORD)


def stream(frames: np.ndarray, truth: np.ndarray) -> FrameStream:
    n = len(frames)
    return FrameStream(frames, np.arange(n) == 0, truth, np.ones(n, bool))


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    return FloatDecoder.of(SPEC, PARAMETERS).stream(FRAMES[400:])


@pytest.fixture(scope="module")
def losses(exact: np.ndarray) -> PrecisionLosses:
    calibration = stream(FRAMES[:400], np.zeros((400, 1)))
    return precision_losses(CHECKPOINT, calibration, Validation(stream(FRAMES[400:], exact), 50.0))


def test_against_its_own_output_the_loss_is_the_noise(losses: PrecisionLosses) -> None:
    assert losses.float_accuracy == pytest.approx(1.0)
    for way in losses.ways:
        # Of R2 with the float output as truth, the share that is lost is the noise over the variance.
        assert way.loss.value == pytest.approx(way.noise, rel=1e-6)


def test_every_way_is_there_and_narrow_ones_are_noisier(losses: PrecisionLosses) -> None:
    noise = {way.name: way.noise for way in losses.ways}
    assert list(noise) == list(ways(SPEC))
    default = noise["default (int8 weights, int16 states, mse)"]
    assert noise["int4 weights"] > 3 * default
    assert noise["int8 states"] > default
    assert noise["int8 states with headroom 2"] > noise["int8 states"]


def test_a_detector_is_compared_by_its_auroc(exact: np.ndarray) -> None:
    inside = np.repeat(exact[:, 0].reshape(-1, 50).mean(axis=1) > np.median(exact), 50)
    events = Events.of(inside, np.arange(len(inside)) / 50.0, 50.0)
    found = Validation(stream(FRAMES[400:], exact), 50.0, events)
    assert found.figure == "AUROC"
    assert 0.6 < found.accuracy(exact) < 1.0
    noisy = exact + exact.std() * np.random.default_rng(0).standard_normal(exact.shape)
    loss, block_s = found.loss(noisy, exact, 0.01)
    assert loss.value == pytest.approx(found.accuracy(exact) - found.accuracy(noisy), abs=1e-9)
    assert loss.low <= loss.value <= loss.high
    assert block_s > 0
