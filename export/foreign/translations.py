"""Every ONNX operator that can be translated, by its name."""

from __future__ import annotations

from edgebci.export.foreign import elementwise, movement, products, recurrent, reductions
from edgebci.export.foreign.node import Translate

TRANSLATIONS: dict[str, Translate] = {
    **elementwise.TRANSLATIONS,
    **movement.TRANSLATIONS,
    **products.TRANSLATIONS,
    **reductions.TRANSLATIONS,
    **recurrent.TRANSLATIONS,
}
"""Beside these, any operator whose inputs are known beforehand is computed beforehand."""
