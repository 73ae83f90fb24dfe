"""Where a training run computes: Lightning Fabric on the CPU, one GPU, or several through its launcher."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch

from edgebci.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Accelerator = Literal["cpu", "cuda", "auto"]
"""auto: a CUDA GPU where there is one, else the CPU."""
Precision = Literal["float32", "bf16"]


def prepare(accelerator: Accelerator, devices: int, precision: Precision) -> Fabric:
    """Say where to compute, and how exactly; with several devices, `several_devices.launch` starts them.

    bf16 means autocast: weights, optimiser and sums of a recurrence stay float32.

    Raises:
        InputError: there are fewer devices than are asked for.
    """
    chosen = _chosen(accelerator, devices)
    # Imported here: it takes seconds, and only training needs it.
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on settings that are meant
        return Fabric(
            accelerator=chosen,
            devices=devices,
            # A window may leave a parameter untouched: the embedding of a session that is not in it.
            strategy="auto" if devices == 1 else DDPStrategy(start_method="forkserver", find_unused_parameters=True),
            precision="32-true" if precision == "float32" else "bf16-mixed",
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what torch says of choices that are made on purpose."""
    with warnings.catch_warnings():
        # Under autocast a norm has bfloat16 inputs and float32 weights, which is right, if not fused.
        warnings.filterwarnings("ignore", message="Mismatch dtype between input and weight")
        # On a GPU, some sums have no form that repeats itself to the bit.
        warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation")
        yield


def _chosen(accelerator: Accelerator, devices: int) -> Literal["cpu", "cuda"]:
    present = torch.cuda.device_count()
    if devices < 1:
        raise InputError(f"training on {devices} devices is not possible; give 1 or more")
    if accelerator == "cpu" or (accelerator == "auto" and not present):
        return "cpu"
    if devices > present:
        raise InputError(
            f"training on {devices} CUDA devices was asked for where torch finds {present}; "
            "give fewer devices, or choose the accelerator cpu"
        )
    # What cuBLAS needs in order to repeat itself; operations that can't repeat themselves are let through.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled(), warn_only=True)
    return "cuda"
