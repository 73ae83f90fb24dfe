"""What the tests of implants share: a load the size of the reference decoder."""

from __future__ import annotations

import pytest

from edgebci.firmware_sim.design import DecoderLoad
from tests.implant_examples import reference_load


@pytest.fixture
def load() -> DecoderLoad:
    return reference_load("cortex-m4f")
