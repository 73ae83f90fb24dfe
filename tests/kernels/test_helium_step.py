"""The step in fixed point with Helium kernels has the bits of the reference, for any shape and at the extremes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebci.arithmetic import F32
from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import MissingToolError
from edgebci.example_decoder import random_frames, random_parameters
from edgebci.export.c_generator import generate
from edgebci.export.fixed_graph import fixed_step_graph
from edgebci.export.fixed_quantization import quantize_fixed
from edgebci.export.helium_kernels import blocked_rows
from edgebci.features.cases import front_end_case
from edgebci.firmware_sim.cores import CORES
from edgebci.firmware_sim.user_program import compile_alone, run_alone, runner
from edgebci.fixed_decoder import FixedDecoder

PROBE = Path(__file__).resolve().parent / "native" / "step_stream_probe.c"
CASE = front_end_case("clean")
SPEC = DecoderSpec(
    n_inputs=CASE.front_end.n_features, output_names=("x", "y"), output_unit="1", d_model=64, d_state=16, headdim=32,
    n_layers=1,
)  # fmt: skip
"""As wide as the edge student."""
SHAPES = {
    "as wide as the student": SPEC,
    "blocks that are not full, odd taps": SPEC.model_copy(
        update={"d_model": 24, "d_state": 8, "headdim": 12, "d_conv": 3, "n_layers": 2}
    ),
    "two rewrites a step, eight taps": SPEC.model_copy(
        update={"d_model": 80, "d_state": 24, "headdim": 20, "d_conv": 6}
    ),
    "two heads, which no vector takes": SPEC.model_copy(update={"d_model": 12, "headdim": 12}),
}


@dataclass(frozen=True)
class Program:
    """A decoder and its C for a core with Helium."""

    decoder: FixedDecoder
    sources: Path

    @property
    def kernels(self) -> set[str]:
        """Names of the headers."""
        return {path.name for path in self.sources.glob("*.h")}


@pytest.fixture(scope="module", params=list(SHAPES))
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder, spec = tmp_path_factory.mktemp("helium"), SHAPES[request.param]
    decoder = quantize_fixed(spec, random_parameters(spec, 1), random_frames(spec, 200, 2))
    onnx.save(fixed_step_graph(decoder), folder / "fixed.onnx")
    generate(folder / "fixed.onnx", CASE.front_end, folder / "c", "cortex-m55")
    return Program(decoder, folder / "c")


def frames(spec: DecoderSpec) -> F32:
    """Frames as they are met, then rails of one sign and of any, which drive every sum as far as it goes."""
    rng = np.random.default_rng(4)
    signs = np.sign(rng.standard_normal((32, spec.n_inputs)))
    signs[:8] = 1.0
    signs[8:16] = signs[8]
    return np.concatenate([random_frames(spec, 32, 3), 1e30 * signs]).astype(np.float32)


@pytest.mark.parametrize("core", ["cortex-m55", "host"])
def test_a_step_has_the_bits_of_the_reference(program: Program, core: str, tmp_path: Path) -> None:
    try:
        runner(CORES[core])
    except MissingToolError as absent:
        pytest.skip(f"not run on {core}: {absent}")
    sources = [*sorted(program.sources.glob("*.c")), PROBE]
    probe = compile_alone(sources, tmp_path / "probe", CORES[core], program.sources)
    given_frames = frames(program.decoder.spec)
    expected = program.decoder.stream(given_frames)
    printed = run_alone(probe, CORES[core], given_frames.tobytes()).printed
    assert np.ptp(expected[:32]) > 0.1
    assert printed[: expected.nbytes] == expected.tobytes()


@given(rows=st.integers(1, 20), columns=st.integers(1, 150))
@settings(max_examples=30)
def test_blocks_hold_every_weight_once(rows: int, columns: int) -> None:
    weight = np.random.default_rng(rows).integers(1, 127, (rows, columns)).astype(np.int8)
    laid = blocked_rows(weight)
    filled = (rows + -rows % 4) * (columns + -columns % 16)
    assert laid.size == filled + 16
    np.testing.assert_array_equal(np.sort(laid[laid > 0]), np.sort(weight.ravel()))


def test_two_rows_lie_side_by_side_sixteen_columns_at_a_time() -> None:
    weight = np.arange(4 * 80).reshape(4, 80) % 127
    laid = blocked_rows(weight)
    np.testing.assert_array_equal(laid[:16], weight[0, :16])
    np.testing.assert_array_equal(laid[16:32], weight[1, :16])
    np.testing.assert_array_equal(laid[128:144], weight[2, :16])
    np.testing.assert_array_equal(laid[256:288], weight[:2, 64:].ravel())
