"""A design for the tests of the link."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgebci.firmware_sim.design import Design
from tests.implant_examples import utah_design_with


@pytest.fixture
def design_with() -> Callable[[str], Design]:
    """By the radio's name."""
    return utah_design_with()
