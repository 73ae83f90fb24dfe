"""What the server of new processes loads once for all of them: torch, the loop, and Fabric, all told to be quiet."""

from __future__ import annotations

import logging
import os

# torch reads this when it is loaded. It would say in every run that looking for unused parameters takes time.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

import lightning_fabric  # noqa: F401

import edgebci.training.loop  # noqa: F401

logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
