"""What the server of new processes loads once for all of them: torch, the loop, and Fabric, told to be quiet."""

from __future__ import annotations

import logging

import lightning_fabric  # noqa: F401

import edgebci.training.loop  # noqa: F401

logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
