"""Whether a decoder, a target and a precision can be had in the arithmetic that a recipe names."""

from __future__ import annotations

from edgebci.decoder_spec import DecoderSpec
from edgebci.errors import InputError
from edgebci.export.calibration import QuantizationRecipe
from edgebci.fixed_decoder import require_fixed
from edgebci.targets import Precision, Target


def require_arithmetic(recipe: QuantizationRecipe, target: Target, precision: Precision, spec: DecoderSpec) -> None:
    """Raise InputError where it cannot, before anything is computed."""
    if target.core is None and (recipe.arithmetic, recipe.front_end) != ("int8", "float32"):
        raise InputError(
            f"fixed-point arithmetic is that of C on a core, and {target.name} gets none; leave arithmetic and front "
            "end out, or export for a core"
        )
    if recipe.arithmetic == "int8":
        return
    require_fixed(spec)
    if precision != "int8" or recipe.widths:
        asked = precision if precision != "int8" else "a choice of widths"
        raise InputError(
            f"fixed-point arithmetic has int8 weights and int16 activations throughout, and {asked} was asked for; "
            "leave that out, or leave the arithmetic at int8"
        )
