"""edgebci takes a brain decoder from recordings to a chip."""

__version__ = "0.1.0"
