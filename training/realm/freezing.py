"""Keeping a part of a model as it is."""

from __future__ import annotations

from torch import nn


def freeze(module: nn.Module) -> None:
    """Turn the module's parameters into buffers of the same names: saved and moved as before, but no optimiser, weight
    decay or average of weights touches them."""
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())
