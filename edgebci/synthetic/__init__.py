"""Synthetic recordings whose truth is known, built so that the generator does not decide the conclusion."""

from edgebci.synthetic.generator import synthesize
from edgebci.synthetic.specification import SyntheticSpec, drawn

__all__ = ["SyntheticSpec", "drawn", "synthesize"]
