"""The onnx package's own node cases: what each supported operator gives, in ONNX Runtime and through the C generator.

All cases are one program, so that one session and one compilation serve them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgebci.arithmetic import F32
from edgebci.export.foreign.c_program import generate_foreign_program
from edgebci.export.foreign.translations import TRANSLATIONS
from edgebci.export.foreign.writing import foreign_onnx
from edgebci.export.step_runner import open_session, runtime_step
from edgebci.firmware_sim.foreign_program import (
    as_counts,
    compile_foreign_host,
    compile_foreign_target,
    run_foreign_on_target,
)
from edgebci.foreign.decoder import ForeignDecoder
from tests.foreign.backend_cases import Case, LeftOut, collect, merged

# The package gives each case its own tolerance, mostly 1e-3 relative and 1e-7 absolute: what it asks of any backend.
# Its ones for float16 and bfloat16 do not matter here: those cases are left out.


@dataclass(frozen=True)
class Tried:
    """Every case, and where its values are in the output of the whole."""

    cases: dict[str, list[tuple[Case, int]]]
    left_out: list[LeftOut]
    reference: F32
    runtime: F32
    compiled: F32


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    cases, left_out = collect()
    graph, frame = merged(cases), np.concatenate([case.frame for case in cases])
    folder = tmp_path_factory.mktemp("nodes")
    generate_foreign_program(graph, folder / "c")
    twin = compile_foreign_host(folder / "c", folder / "host.so", "gcc", "1")
    by_operator: dict[str, list[tuple[Case, int]]] = {}
    start = 0
    for case in cases:
        by_operator.setdefault(case.operator, []).append((case, start))
        start += case.graph.n_outputs
    return Tried(
        by_operator,
        left_out,
        ForeignDecoder(graph).run(frame[None], {})[0][0],
        runtime_step(open_session(foreign_onnx(graph)))({"frame": frame})["output"],
        twin.run(as_counts(frame[None])).outputs[0],
    )


WITHOUT_CASES = {"Cast"}
"""Operators of which the package has no case in float32."""


@pytest.mark.parametrize("operator", sorted(TRANSLATIONS))
def test_an_operator_gives_what_its_standard_says(tried: Tried, operator: str) -> None:
    if operator in WITHOUT_CASES:
        assert operator not in tried.cases
        return
    for case, start in tried.cases[operator]:
        part = slice(start, start + case.graph.n_outputs)
        # Bit for bit on this machine; the emulated core is compared in test_foreign_program.
        assert tried.compiled[part].tobytes() == tried.reference[part].tobytes(), case.name
        for form in (tried.reference, tried.runtime, tried.compiled):
            _assert_close(form[part], case)


def _assert_close(values: F32, case: Case) -> None:
    start = 0
    for expected in case.expected:
        found = values[start : start + expected.size].reshape(expected.shape)
        np.testing.assert_allclose(
            found, expected.astype(np.float32), rtol=case.rtol, atol=case.atol, err_msg=case.name
        )
        start += expected.size
    assert start == len(values), case.name


def test_the_core_gives_the_host_s_bits_for_every_operator(tried: Tried, tmp_path: Path) -> None:
    """Of each operator the smallest case: all of them fit the memory of a core."""
    cases = [min((case for case, _ in of), key=lambda case: case.frame.size) for of in tried.cases.values()]
    graph, frame = merged(cases), np.concatenate([case.frame for case in cases])[None]
    generate_foreign_program(graph, tmp_path / "c")
    elf = compile_foreign_target(tmp_path / "c", tmp_path / "firmware.elf")
    found = run_foreign_on_target(elf, frame, graph.n_outputs).outputs
    assert len(cases) > 80
    assert found.tobytes() == ForeignDecoder(graph).run(frame, {})[0].tobytes()


def test_what_is_left_out_has_one_of_few_reasons(tried: Tried) -> None:
    assert sum(map(len, tried.cases.values())) > 400
    special = {one.name for one in tried.left_out if one.reason not in WHOLE_GROUPS}
    assert {name for name in special if not name.startswith(SPECIAL)} == set()
    assert {start for start in SPECIAL if not any(name.startswith(start) for name in special)} == set()


WHOLE_GROUPS = {
    "the same case written in other operators",
    "sequences, optional values and types that NumPy lacks",
    "no float32 input: a decoder's frames are float32",
    "empty tensors",
    "larger than a step of a decoder",
}
"""Why a case is not even translated."""
SPECIAL = (
    "test_averagepool_2d_ceil",  # rounds its length up
    "test_averagepool_2d_dilations",
    "test_averagepool_3d_dilations_small",
    "test_maxpool_2d_ceil",
    "test_maxpool_with_argmax",  # gives indices
    "test_batchnorm_example_training_mode",  # learns
    "test_batchnorm_epsilon_training_mode",
    "test_dropout_default_mask",  # gives what it dropped
    "test_training_dropout",
    "test_pow_types",  # an integer base
)
"""Beginnings of names of cases whose operator is supported, but not in that way: translating them is refused."""
