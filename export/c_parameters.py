"""The part of a device program that takes a parameter block (`edgebci.parameter_block`) while it is in use.

An option: normalisation and readout then lie in the caller's context, which `edgebci_init` fills from flash.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebci.errors import InputError
from edgebci.parameter_block import ID_BYTES, MAGIC, VERSION, ParameterBlock
from edgebci.parameters import READOUT

TEMPLATES = {name: f"{name}.j2" for name in ("edgebci_parameters.c", "edgebci_parameters.h")}


def parameters_context(block: ParameterBlock) -> dict[str, Any]:
    """What the templates show of the block that a program is exported with.

    Raises:
        InputError: the readout is not in int8.
    """
    weight = block.tensors.get(f"{READOUT}.weight")
    if weight is None or weight.dtype != np.int8:
        raise InputError("parameters can be loaded into a readout of int8 alone; leave out --loadable, or use int8")
    layout, scale = block.layout, np.asarray(block.tensors[f"{READOUT}.act_scale"], np.float32)
    return {
        "loadable": True,
        "block_size": layout.size_bytes,
        "magic": int.from_bytes(MAGIC, "little"),
        "version": VERSION,
        "id_bytes": list(bytes.fromhex(block.bundle_id)[:ID_BYTES]),
        "layout_crc": layout.crc,
        "offsets": layout.offsets(),
        "act_scale_bits": int(scale.view(np.uint32)),
        "readout_size": weight.size,
        "readout_rows": len(weight),
    }
