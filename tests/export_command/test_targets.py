"""Targets are found by name, and say what they take."""

from __future__ import annotations

import pytest

from edgebci.errors import InputError
from edgebci.export.c_program import require_target
from edgebci.targets import TARGETS, precision_for, target


def test_a_jetson_that_asks_for_nothing_is_an_orin_nano() -> None:
    assert target("jetson") == TARGETS["jetson-orin-nano"]


def test_an_unknown_target_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"no target 'cortex-m4', did you mean 'cortex-m4f'\?"):
        target("cortex-m4")


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_every_target_takes_its_default_and_has_the_c_that_it_promises(name: str) -> None:
    found = target(name)
    assert precision_for(found, None) in found.precisions
    assert (found.core is not None) == (found.kind in ("microcontroller", "host"))
    if found.core is not None:
        require_target(found.core)


def test_a_precision_that_a_target_lacks_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(
        InputError, match=r"cortex-m4f cannot be exported in 'fp16', allowed: fp32, int8, mixed; change"
    ):
        precision_for(target("cortex-m4f"), "fp16")
